"""Puts the instrument back, whatever happened in between."""

import contextlib
from collections.abc import Iterator, Mapping

from stempilot.backend import Parkable
from stempilot.envelope import GuardedBackend, read_back
from stempilot.errors import HandsOffError, RestoreError
from stempilot.model import Reading, SetPoint
from stempilot.signals import signals_deferred


def read_baseline(guard: GuardedBackend) -> dict[str, Reading]:
    """Return where all knobs stand that the session may write."""
    return {knob: read_back(guard.backend, knob, spec) for knob, spec in guard.limits.items()}


def put_back(guard: GuardedBackend, baseline: Mapping[str, Reading], *, may_park: bool) -> None:
    """Ramp all knobs to the baseline in reverse order and verify each by read-back.

    Goes on when one knob fails. Ctrl-C and SIGTERM wait until it is done.

    Raises:
        RestoreError: a knob is not back; the message says which, and whether the backend parked.
    """
    left = []
    with signals_deferred():
        for knob in reversed(list(baseline)):
            try:
                guard.put_back(SetPoint(knob, baseline[knob]))
            # Whatever one knob's failure is, the others must still be put back.
            except Exception as error:  # noqa: BLE001
                left.append(f"{knob} should read {baseline[knob]}: {error!r}")
        if left:
            left.append(_park(guard, may_park=may_park))
            msg = "THE INSTRUMENT WAS NOT PUT BACK, go and look at it:"
            raise RestoreError(msg, left=left)


def _park(guard: GuardedBackend, *, may_park: bool) -> str:
    if not isinstance(guard.backend, Parkable):
        return "this backend has no state to park in"
    if not may_park:
        return "it was not parked: the envelope does not allow it"
    try:
        guard.backend.park()
    except Exception as error:  # noqa: BLE001 - reported in the RestoreError that follows
        return f"parking failed too: {error!r}"
    return "it was parked in its safest state"


@contextlib.contextmanager
def savepoint(
    guard: GuardedBackend, *, keep: bool, may_park: bool = False
) -> Iterator[dict[str, Reading]]:
    """Return to where the knobs stand now when the block ends. Savepoints nest.

    A knob that somebody else moved is theirs and stays where they put it.

    Args:
        guard: the session's backend.
        keep: leave the knobs where they are when the block ends without an exception.
        may_park: whether the backend may go to its safest state when putting back failed.

    Yields:
        The baseline that it returns to.

    Raises:
        RestoreError: a knob is not back.
    """
    baseline = read_baseline(guard)
    try:
        yield baseline
    except HandsOffError as error:
        others = {knob: value for knob, value in baseline.items() if knob != error.knob}
        put_back(guard, others, may_park=may_park)
        raise
    # Ctrl-C, SIGTERM and bugs must put the instrument back too; nothing is swallowed.
    except BaseException:
        put_back(guard, baseline, may_park=may_park)
        raise
    if not keep:
        put_back(guard, baseline, may_park=may_park)
