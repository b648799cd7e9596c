"""Whatever happens inside a savepoint, the instrument is put back, or somebody is told."""

import contextlib
import signal
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given, strategies as st
from tests.core.fakes import KNOBS, QUICK, START, Bench, ParkableBench, fails

from stempilot.contract.values import KnobValue, SetPoint
from stempilot.errors import BackendError, EnvelopeError, HandsOffError, RestoreError
from stempilot.instrument.checks import differs
from stempilot.instrument.guard import GuardedBackend
from stempilot.instrument.putting_back import put_back, read_baseline, savepoint

MOVES = [SetPoint("shift", (0.3, 0.1)), SetPoint("focus", 4.5), SetPoint("tilt", 0.05)]


class Broken(Exception):
    """A bug."""


def guarded(bench: Bench | None = None) -> tuple[Bench, GuardedBackend]:
    bench = bench or Bench()
    return bench, GuardedBackend(bench, KNOBS)


def test_knobs_are_put_back_in_reverse_order() -> None:
    bench, guard = guarded()
    with savepoint(guard, keep=False) as baseline:
        assert baseline == START
        guard.send(MOVES)
    assert bench.standing == START
    back = [knob for knob, _ in bench.written[len(MOVES) :]]
    assert list(dict.fromkeys(back)) == ["tilt", "focus", "shift"]


def test_knobs_may_be_kept() -> None:
    bench, guard = guarded()
    with savepoint(guard, keep=True):
        guard.send(MOVES)
    assert bench.standing == {point.knob: point.value for point in MOVES}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, SystemExit, GeneratorExit, Broken, BackendError, EnvelopeError]
)
def test_any_exception_puts_back_and_goes_on(error: type[BaseException], keep: bool) -> None:
    bench, guard = guarded()
    with pytest.raises(error), savepoint(guard, keep=keep):
        guard.send(MOVES)
        raise error("x")
    assert bench.standing == START


def test_ctrl_c_in_the_middle_of_a_write_puts_back() -> None:
    bench, guard = guarded()

    def interrupt(what: str, knob: str) -> None:
        if (what, knob) == ("write", "focus"):
            bench.trouble = lambda what, knob: None
            signal.raise_signal(signal.SIGINT)

    bench.trouble = interrupt
    with pytest.raises(KeyboardInterrupt), savepoint(guard, keep=True):
        guard.send(MOVES)
    assert bench.standing == START


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_putting_back_waits_until_it_is_done(number: signal.Signals) -> None:
    bench, guard = guarded()
    count = []

    def interrupt(what: str, knob: str) -> None:
        if what == "write":
            count.append(knob)
            signal.raise_signal(number)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), savepoint(guard, keep=False):
            guard.send(MOVES)
            bench.trouble = interrupt
    finally:
        signal.signal(signal.SIGTERM, before)
    assert bench.standing == START
    assert len(count) >= 3, "the signal arrived at each write"


def test_a_second_ctrl_c_does_not_stop_the_putting_back_after_the_first() -> None:
    bench, guard = guarded()

    def interrupt(what: str, _: str) -> None:
        if what == "write":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), savepoint(guard, keep=False):
        guard.send(MOVES)
        bench.trouble = interrupt
        raise KeyboardInterrupt
    assert bench.standing == START


@pytest.mark.parametrize("trouble", ["write focus", "read focus"])
def test_when_one_knob_fails_the_others_are_put_back(trouble: str) -> None:
    bench, guard = guarded()
    with pytest.raises(RestoreError) as caught, savepoint(guard, keep=False):
        guard.send(MOVES)
        bench.trouble = fails(trouble)
    assert bench.standing == {**START, "focus": (4.5,)}
    assert caught.value.exit_code == 5
    assert "THE INSTRUMENT WAS NOT PUT BACK" in str(caught.value)
    knobs, parked = caught.value.left[:-1], caught.value.left[-1]
    assert len(knobs) == 1
    assert knobs[0].startswith("focus should read (3.0,): BackendError(")
    assert parked == "this backend has no state to park in"


def test_all_knobs_that_are_not_back_are_listed() -> None:
    bench, guard = guarded()
    with pytest.raises(RestoreError) as caught, savepoint(guard, keep=False):
        guard.send(MOVES)
        bench.trouble = fails("write tilt", "write shift")
    assert [line.split()[0] for line in caught.value.left[:-1]] == ["tilt", "shift"]


def test_a_knob_that_does_not_read_what_was_written_is_not_back() -> None:
    bench, guard = guarded()

    def stick(what: str, knob: str) -> None:
        if (what, knob) == ("read", "focus"):
            bench.standing["focus"] = (4.5,)

    with pytest.raises(RestoreError, match=r"focus should read \(3.0,\).*reads \(4.5,\) m after"):
        with savepoint(guard, keep=False):
            guard.send(MOVES)
            bench.trouble = stick


def test_the_first_error_is_not_forgotten_when_putting_back_fails() -> None:
    bench, guard = guarded()
    with pytest.raises(RestoreError) as caught, savepoint(guard, keep=False):
        guard.send(MOVES)
        bench.trouble = fails("write focus")
        raise Broken
    assert isinstance(caught.value.__context__, Broken)


@pytest.mark.parametrize(
    ("allowed", "works", "said"),
    [
        (True, True, "it was parked in its safest state"),
        (True, False, "parking failed too: BackendError("),
        (False, True, "it was not parked: the envelope does not allow it"),
    ],
)
def test_the_backend_parks_when_it_may_and_one_knob_is_not_back(
    allowed: bool, works: bool, said: str
) -> None:
    bench, guard = guarded(ParkableBench())
    with pytest.raises(RestoreError) as caught, savepoint(guard, keep=False, may_park=allowed):
        guard.send(MOVES)
        bench.trouble = fails("write focus", *(() if works else ("park",)))
    assert said in caught.value.left[-1]
    assert bench.log.count("park") == int(allowed)


def test_nobody_parks_when_all_is_well() -> None:
    bench, guard = guarded(ParkableBench())
    with savepoint(guard, keep=False, may_park=True):
        guard.send(MOVES)
    assert "park" not in bench.log


def test_savepoints_nest() -> None:
    bench, guard = guarded()
    with savepoint(guard, keep=False):
        guard.send([SetPoint("focus", 4.0)])
        with pytest.raises(Broken), savepoint(guard, keep=True):
            guard.send([SetPoint("focus", 5.0)])
            raise Broken
        assert bench.standing["focus"] == (4.0,)
        with savepoint(guard, keep=True):
            guard.send([SetPoint("focus", 5.5)])
        assert bench.standing["focus"] == (5.5,)
    assert bench.standing == START


def test_nothing_is_written_where_nothing_was_moved() -> None:
    bench, guard = guarded()
    with savepoint(guard, keep=False):
        pass
    assert bench.written == []


def test_a_baseline_that_cannot_be_read_is_none() -> None:
    bench, guard = guarded()
    bench.standing["focus"] = (float("nan"),)
    with pytest.raises(BackendError, match="not 1 finite components"):
        read_baseline(guard)
    with pytest.raises(BackendError), savepoint(guard, keep=False):
        pytest.fail("the block must not begin")


# --- whatever the interleaving -------------------------------------------------------------------

NEAR = st.floats(-1.5, 1.5)
ACTIONS = st.one_of(
    st.tuples(st.just("send"), st.just("shift"), st.tuples(NEAR, NEAR)),
    st.tuples(st.just("send"), st.just("focus"), st.tuples(st.floats(-12, 12))),
    st.tuples(st.just("ramp"), st.just("focus"), st.tuples(st.floats(-12, 12))),
    st.tuples(st.just("ramp"), st.just("tilt"), st.tuples(st.floats(-0.6, 0.6))),
    st.tuples(st.just("somebody"), st.just("focus"), st.tuples(st.floats(-10, 10))),
    st.tuples(st.just("write fails"), st.sampled_from(list(KNOBS)), st.just(())),
    st.tuples(st.just("half a write"), st.sampled_from(list(KNOBS)), st.just(())),
    st.tuples(st.just("read fails"), st.sampled_from(list(KNOBS)), st.just(())),
    st.tuples(st.just("all is well"), st.just(""), st.just(())),
)
Action = tuple[str, str, KnobValue]
ENDS = st.sampled_from([None, Broken, KeyboardInterrupt, BackendError, SystemExit])


def play(bench: Bench, guard: GuardedBackend, actions: Sequence[Action]) -> None:
    """Carry out what a run might do and what might happen to it; failures are not its end."""
    for what, knob, value in actions:
        if what == "somebody":
            bench.standing[knob] = value
        elif what == "all is well":
            bench.trouble = lambda what, knob: None
        elif what == "half a write":
            bench.trouble = half_way(bench, knob)
        elif what.endswith("fails"):
            bench.trouble = fails(f"{what.split()[0]} {knob}")
        else:
            with contextlib.suppress(BackendError, EnvelopeError, HandsOffError):
                getattr(guard, what)([SetPoint(knob, value)])


def half_way(bench: Bench, stuck: str) -> Callable[[str, str], None]:
    """Return trouble in which a knob moves somewhere and then the instrument fails."""

    def trouble(what: str, knob: str) -> None:
        if (what, knob) == ("write", stuck):
            bench.standing[knob] = tuple(0.9 * item + 0.01 for item in bench.standing[knob])
            msg = f"{knob} vanished on its way"
            raise BackendError(msg)

    return trouble


class Told(Bench):
    """Knows which of its knobs stand where the run last wrote them."""

    def __init__(self) -> None:
        super().__init__()
        self.own: dict[str, KnobValue | None] = {}
        self._verified = ""

    def read(self, knob: str) -> KnobValue:
        verifies, self._verified = self._verified == knob, ""
        try:
            return super().read(knob)
        except BackendError:
            if verifies:
                self.own[knob] = None
            raise

    def write(self, knob: str, value: KnobValue) -> None:
        self.own[knob] = None
        super().write(knob, value)
        self.own[knob] = value
        self._verified = knob

    def theirs(self) -> set[str]:
        """Return the knobs that somebody moved after the run had, as far as a run can know."""
        known = {knob: value for knob, value in self.own.items() if value is not None}
        return {k for k, value in known.items() if differs(self.standing[k], value, KNOBS[k])}

    def expected(self) -> dict[str, KnobValue]:
        """Return where the knobs should stand when all that is the run's is put back."""
        ours = set(self.own) - self.theirs()
        return {knob: START[knob] if knob in ours else self.standing[knob] for knob in KNOBS}


def told() -> tuple[Told, GuardedBackend]:
    bench = Told()
    return bench, GuardedBackend(bench, KNOBS, standing=START)


@QUICK
@given(st.lists(ACTIONS, max_size=12), ENDS)
@example(
    [("send", "focus", (4.5,)), ("half a write", "focus", ()), ("send", "focus", (5.0,))], None
)
@example([("send", "focus", (4.5,)), ("somebody", "focus", (5.0,))], None)
@example([("somebody", "focus", (5.0,))], KeyboardInterrupt)
def test_all_that_is_ours_is_put_back_whatever_the_interleaving(
    actions: Sequence[Action], end: type[BaseException] | None
) -> None:
    bench, guard = told()
    expected: dict[str, KnobValue] = {}
    theirs: set[str] = set()
    try:
        with savepoint(guard, keep=False):
            play(bench, guard, actions)
            bench.trouble = lambda what, knob: None
            expected, theirs = bench.expected(), bench.theirs()
            if end is not None:
                raise end
    except HandsOffError as error:
        assert error.knob in theirs
    except BaseException as error:
        assert not theirs
        assert end is not None
        assert isinstance(error, end)
    else:
        assert not theirs
        assert end is None
    for knob, spec in KNOBS.items():
        assert bench.standing[knob] == pytest.approx(expected[knob], abs=spec.resolution[0] + 1e-9)


@QUICK
@given(st.lists(ACTIONS, max_size=8), st.sets(st.sampled_from(list(KNOBS)), min_size=1), ENDS)
def test_what_is_not_back_is_exactly_what_is_listed(
    actions: Sequence[Action], stuck: set[str], end: type[BaseException] | None
) -> None:
    bench, guard = told()
    listed: set[str] = set()
    expected: dict[str, KnobValue] = {}
    theirs: set[str] = set()
    try:
        with savepoint(guard, keep=False):
            play(bench, guard, actions)
            bench.trouble = fails(*(f"write {knob}" for knob in stuck))
            expected, theirs = bench.expected(), bench.theirs()
            if end is not None:
                raise end
    except RestoreError as error:
        listed = {line.split()[0] for line in error.left[:-1]} - theirs
    except HandsOffError as error:
        assert error.knob in theirs
    except BaseException as error:
        assert end is not None
        assert isinstance(error, end)
    not_back = {
        knob for knob in KNOBS if differs(bench.standing[knob], expected[knob], KNOBS[knob])
    }
    assert listed == not_back
    assert listed <= stuck


def test_putting_back_can_be_done_alone() -> None:
    bench, guard = guarded()
    guard.send(MOVES)
    put_back(guard, {"focus": (3.0,)}, may_park=False)
    assert bench.standing["focus"] == (3.0,)
    assert bench.standing["tilt"] == (0.05,)
