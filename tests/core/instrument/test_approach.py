"""Against hysteresis: the last move home comes from where the envelope says, if that is allowed."""

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import KNOBS, START, Bench, bench_envelope, bench_task, fails, focus

from stempilot.contract.values import SetPoint
from stempilot.errors import EnvelopeError, HandsOffError, RestoreError
from stempilot.instrument.envelope import KnobLimits
from stempilot.instrument.envelope_file import plain_envelope, read_envelope
from stempilot.instrument.guard import GuardedBackend
from stempilot.instrument.putting_back import put_back, savepoint
from stempilot.instrument.signals import interrupts_once
from stempilot.operation.session import open_session


def guarded(**approaches: Any) -> tuple[Bench, GuardedBackend]:
    bench = Bench()
    made = approaches or {"focus": (-1.5,)}
    return bench, GuardedBackend(bench, KNOBS, standing=START, approaches=made)


def way(bench: Bench, knob: str = "focus") -> list[float]:
    return [value[0] for name, value in bench.written if name == knob]


@pytest.mark.parametrize("to", [2.0, 4.5, 3.0])
def test_home_is_always_reached_from_the_same_side(to: float) -> None:
    bench, guard = guarded()
    with savepoint(guard, keep=False):
        guard.send([focus(4.0)])
        guard.send([focus(to)])
    assert way(bench)[-2:] == [1.5, 3.0]
    assert bench.standing == START


def test_all_steps_of_the_detour_are_allowed_ones() -> None:
    bench, guard = guarded()
    guard.ramp([focus(9.0)])
    put_back(guard, START, may_park=False)
    steps = [abs(b - a) for a, b in zip([3.0, *way(bench)], way(bench), strict=False)]
    assert max(steps) <= 2.0 + 1e-9


def test_knobs_without_one_and_knobs_that_were_not_written_go_straight() -> None:
    bench, guard = guarded()
    with savepoint(guard, keep=False):
        guard.send([SetPoint("tilt", 0.05)])
    assert bench.written == [("tilt", (0.05,)), ("tilt", (0.0,))]


def test_putting_back_twice_makes_the_detour_once() -> None:
    bench, guard = guarded()
    with savepoint(guard, keep=False):
        guard.send([focus(4.0)])
        put_back(guard, START, may_park=False)
    assert way(bench) == [4.0, 2.75, 1.5, 3.0]
    guard.send([focus(4.0)])
    put_back(guard, START, may_park=False)
    assert way(bench).count(1.5) == 2


@pytest.mark.parametrize("approach", [(-2.5,), (7.5,)])
def test_what_is_not_allowed_is_left_out_and_said(
    approach: tuple[float], caplog: pytest.LogCaptureFixture
) -> None:
    bench, guard = guarded(focus=approach)
    with savepoint(guard, keep=False):
        guard.send([focus(4.0)])
    assert way(bench) == [4.0, 3.0]
    assert "focus goes straight home, not by its approach" in caplog.text


def test_a_detour_that_fails_does_not_keep_a_knob_from_home(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench, guard = guarded()

    def once(what: str, knob: str) -> None:
        if what == "write":
            bench.trouble = lambda what, knob: None
            fails("write focus")(what, knob)

    with savepoint(guard, keep=False):
        guard.send([focus(4.0)])
        bench.trouble = once
    assert way(bench) == [4.0, 3.0]
    assert "write focus timed out" in caplog.text


def test_a_person_who_takes_the_knob_on_the_detour_has_it() -> None:
    bench, guard = guarded()
    reads: list[str] = []

    def take(what: str, knob: str) -> None:
        if what == "read" and way(bench)[-1:] == [2.75]:
            reads.append(knob)
            if len(reads) == 2:  # the first one verifies the write
                bench.standing["focus"] = (6.0,)

    guard.send([focus(4.0)])
    bench.trouble = take
    with pytest.raises(HandsOffError):
        put_back(guard, START, may_park=False)
    assert bench.standing["focus"] == (6.0,)


def test_after_one_ctrl_c_the_detour_is_made() -> None:
    bench, guard = guarded()
    with pytest.raises(KeyboardInterrupt), interrupts_once(), savepoint(guard, keep=True):
        guard.send([focus(4.0)])
        signal.raise_signal(signal.SIGINT)
    assert way(bench)[-2:] == [1.5, 3.0]


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_after_a_second_ctrl_c_home_is_reached_straight(second: signal.Signals) -> None:
    bench, guard = guarded()
    with pytest.raises(KeyboardInterrupt), interrupts_once(), savepoint(guard, keep=True):
        guard.send([focus(4.0)])
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(second)
    assert way(bench) == [4.0, 3.0]


def test_a_second_ctrl_c_on_the_detour_ends_it() -> None:
    bench, guard = guarded()

    def impatient(what: str, knob: str) -> None:
        if what == "write":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), interrupts_once(), savepoint(guard, keep=True):
        guard.ramp([focus(7.0)])
        bench.trouble = impatient
        raise KeyboardInterrupt
    assert 1.5 not in way(bench)
    assert bench.standing == START


def test_it_is_read_from_the_envelope_file_and_kept_with_the_run(tmp_path: Path) -> None:
    text = """
    schema = 1
    backend = "bench"
    [knobs.focus]
    unit = "m"
    lower = [-10.0]
    upper = [10.0]
    max_step = [2.0]
    resolution = [0.01]
    approach = {}
    """
    file = tmp_path / "envelope.toml"
    file.write_text(text.format("[-1.5]"))
    envelope = read_envelope(file)
    assert envelope.knobs["focus"].approach == (-1.5,)
    assert plain_envelope(envelope)["knobs"]["focus"]["approach"] == [-1.5]
    file.write_text(text.format("[-1.5, 0.0]"))
    with pytest.raises(EnvelopeError, match="approach has 2 components, not 1"):
        read_envelope(file)


def test_a_session_goes_home_as_its_envelope_says() -> None:
    bench = Bench()
    rows = {**bench_envelope().knobs, "focus": KnobLimits(spec=KNOBS["focus"], approach=(1.0,))}
    options: dict[str, Any] = {"name": "bench", "envelope": bench_envelope(knobs=rows)}
    with open_session(bench, [bench_task()], **options) as session:
        session.guard.send([focus(3.5)])
    assert way(bench) == [3.5, 4.0, 3.0]


def test_a_knob_that_is_stuck_is_told_with_an_approach_too() -> None:
    bench, guard = guarded()
    guard.send([focus(4.0)])
    bench.trouble = fails("write focus")
    with pytest.raises(RestoreError, match="focus should read"):
        put_back(guard, START, may_park=False)
