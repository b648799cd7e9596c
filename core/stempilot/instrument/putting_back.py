"""Puts the instrument back, whatever happened in between."""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from stempilot.contract.backend import Parkable
from stempilot.contract.values import KnobValue, SetPoint
from stempilot.errors import BackendError, HandsOffError, RestoreError
from stempilot.instrument.checks import differs, read_back
from stempilot.instrument.guard import GuardedBackend
from stempilot.instrument.signals import signals_deferred

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before trying again to put back a knob of a real instrument."""

DEADLINE_S = 30.0
"""Nothing is tried again later than so long after putting back began."""

_log = logging.getLogger(__name__)


def read_baseline(guard: GuardedBackend) -> dict[str, KnobValue]:
    """Return where all knobs stand that the session may write.

    Raises:
        HandsOffError: another user moved one.
        BackendError: the instrument failed.
    """
    return {knob: guard.read(knob) for knob in guard.limits}


def put_back(
    guard: GuardedBackend,
    baseline: Mapping[str, KnobValue],
    *,
    may_park: bool,
    after: BaseException | None = None,
) -> None:
    """Ramp all knobs to the baseline in reverse order and verify each by read-back.

    Goes on when one knob fails, whatever is raised. On a real instrument it is tried again after
    each of `PAUSES_S`, until `DEADLINE_S` after the beginning: a server that comes back must not
    find the instrument displaced. Ctrl-C and SIGTERM wait until it is done. At the end all knobs
    are read once more, because writing one may move another one.

    Args:
        guard: the session's backend.
        baseline: where the knobs should stand.
        may_park: whether the backend may go to its safest state when a knob is not back.
        after: what ended the run, for the message.

    Raises:
        RestoreError: a knob is not back; the message says which, and whether the backend parked.
        HandsOffError: another user moved a knob since this session did; it stays where they put
            it. All others are back.
    """
    left: list[str] = []
    theirs: list[HandsOffError] = []

    def tried(knob: str, act: Callable[[], object]) -> bool:
        try:
            _insist(guard, knob, act, deadline_s)
        # Whatever one knob's failure is, the others must still be put back: a backend may raise
        # KeyboardInterrupt or SystemExit too, and what it says of another knob does not count.
        except BaseException as error:  # noqa: BLE001
            if isinstance(error, HandsOffError) and error.knob == knob:
                theirs.append(error)
            else:
                left.append(f"{knob} should read {baseline[knob]}: {error!r}")
            return False
        return True

    with signals_deferred():
        deadline_s = guard.clock() + DEADLINE_S
        back = [
            knob
            for knob in reversed(list(baseline))
            if tried(knob, partial(guard.put_back, SetPoint(knob, baseline[knob])))
        ]
        written = {knob for knob in baseline if guard.wrote(knob)}
        # Writing one knob may have moved another one that was back already.
        for knob in [knob for knob in back if knob in written and len(written) > 1]:
            tried(knob, partial(guard.read, knob))
        # Also where the only one that was written is another user's now.
        if any(map(guard.wrote, guard.limits)) and guard.clock() < deadline_s:
            _remark_on_others(guard, baseline, baseline.keys() - written)
        if left:
            left += [*map(str, theirs), _park(guard, may_park=may_park)]
            why = "" if after is None else f" (the run had ended with {after!r})"
            msg = f"THE INSTRUMENT WAS NOT PUT BACK, go and look at it{why}:"
            raise RestoreError(msg, left=left)
        if theirs:
            theirs = [after, *theirs] if isinstance(after, HandsOffError) else theirs
            msg = "; ".join(map(str, theirs)) + ". It was left so; all other knobs were put back"
            raise HandsOffError(msg, knob=theirs[0].knob)


def _insist(guard: GuardedBackend, knob: str, act: Callable[[], object], deadline_s: float) -> None:
    """Do something with a knob, trying again what may pass."""
    # What fails in a simulator fails again.
    pauses_s = () if guard.backend.offers().simulated else PAUSES_S
    for number, pause_s in enumerate(pauses_s, start=1):
        try:
            act()
        except HandsOffError:
            raise
        except (BackendError, KeyboardInterrupt, SystemExit, MemoryError) as error:
            if guard.clock() + pause_s > deadline_s:
                raise
            _log.warning(
                "%s is not back yet (%s); trying again, %d of %d",
                knob,
                str(error) or repr(error),
                number,
                len(pauses_s),
            )
            guard.sleep(pause_s)
        else:
            return
    act()


def _remark_on_others(
    guard: GuardedBackend, baseline: Mapping[str, KnobValue], others: Iterable[str]
) -> None:
    """Remark on knobs that were never written and read something else than at the start."""
    for knob in others:
        try:
            found = read_back(guard.backend, knob, guard.limits[knob])
        except BaseException as error:  # noqa: BLE001 - it is not this run's to put back
            _log.warning("%s could not be read at the end: %r", knob, error)
            continue
        if differs(found, baseline[knob], guard.limits[knob]):
            _log.warning(
                "%s reads %s and read %s at the start. This run never wrote it: another user "
                "moved it, or writing another knob moves it too. It stays so",
                *(knob, found, baseline[knob]),
            )


def _park(guard: GuardedBackend, *, may_park: bool) -> str:
    if not isinstance(guard.backend, Parkable):
        return "this backend has no state to park in"
    if not may_park:
        return "it was not parked: the envelope does not allow it"
    try:
        guard.backend.park()
    except BaseException as error:  # noqa: BLE001 - reported in the RestoreError that follows
        return f"parking failed too: {error!r}"
    return "it was parked in its safest state"


@contextlib.contextmanager
def savepoint(
    guard: GuardedBackend, *, keep: bool, may_park: bool = False
) -> Iterator[dict[str, KnobValue]]:
    """Return to where the knobs stand now when the block ends. Savepoints nest.

    A knob that another user moved is theirs and stays where they put it.

    Args:
        guard: the session's backend.
        keep: leave the knobs where they are when the block ends without an exception.
        may_park: whether the backend may go to its safest state when putting back failed.

    Yields:
        The baseline that it returns to.

    Raises:
        RestoreError: a knob is not back.
        HandsOffError: another user moved a knob; see `put_back`.
    """
    baseline = read_baseline(guard)
    ending = False
    try:
        yield baseline
        ending = True
        if not keep:
            put_back(guard, baseline, may_park=may_park)
    # Ctrl-C, SIGTERM and bugs must put the instrument back too; nothing is swallowed.
    except BaseException as error:
        # Ctrl-C may come just before putting back holds it off; doing it twice is harmless.
        if not ending or not isinstance(error, RestoreError | HandsOffError):
            _put_back_after(error, guard, baseline, may_park=may_park)
        raise


def _put_back_after(
    error: BaseException,
    guard: GuardedBackend,
    baseline: Mapping[str, KnobValue],
    *,
    may_park: bool,
) -> None:
    """Put back after what ended a run; a knob that another user moved is theirs."""
    moved = error.knob if isinstance(error, HandsOffError) else None
    ours = {knob: value for knob, value in baseline.items() if knob != moved}
    put_back(guard, ours, may_park=may_park, after=error)
