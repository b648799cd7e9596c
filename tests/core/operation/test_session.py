"""A session writes nothing before all is checked and saved, and leaves nothing where it was not."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from tests.core.fakes import (
    KNOBS,
    START,
    Bench,
    Desk,
    ExactAgent,
    KnobTask,
    ParkableBench,
    bench_envelope,
    bench_task,
    fails,
)

from stempilot.contract.agent import Brief
from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import KnobValue, Needs, SetPoint
from stempilot.errors import (
    BackendError,
    EnvelopeError,
    HandsOffError,
    IncompatibleError,
    PluginError,
    RestoreError,
    StempilotError,
)
from stempilot.instrument.envelope import Envelope, KnobLimits, open_envelope
from stempilot.instrument.opening import combined_needs, require_envelope
from stempilot.operation.session import open_session
from stempilot.testing.toys import ToyBackend, ToyCentring, ToyWalker

MOVES = [SetPoint("shift", (0.3, 0.1)), SetPoint("focus", 3.9), SetPoint("tilt", 0.05)]


class Broken(Exception):
    """A bug."""


def opened(bench: Bench, **options: Any) -> Any:
    return open_session(bench, [bench_task()], name="bench", **options)


def desk_envelope(**changes: Any) -> Envelope:
    return evolve(open_envelope("desk", Desk().offers()), **changes)


# --- before anything is written ------------------------------------------------------------------


def test_opening_reads_and_never_writes() -> None:
    bench = Bench()
    with opened(bench) as session:
        assert session.baseline == START
        assert bench.log[0] == "open"
    assert bench.written == []
    assert bench.log[-1] == "close"


def test_the_baseline_is_saved_before_the_first_write() -> None:
    bench = Bench()
    saved: list[Mapping[str, KnobValue]] = []

    def save(baseline: Mapping[str, KnobValue]) -> None:
        assert bench.written == []
        saved.append(dict(baseline))

    with opened(bench, on_baseline=save) as session:
        assert saved == [START]
        session.guard.send(MOVES)


def test_a_baseline_that_cannot_be_saved_stops_before_the_first_write() -> None:
    bench = Bench()

    def save(_: Mapping[str, KnobValue]) -> None:
        raise Broken

    with pytest.raises(Broken), opened(bench, on_baseline=save):
        pytest.fail("the block must not begin")
    assert bench.written == []
    assert bench.log[-1] == "close"


def test_needs_are_negotiated_before_the_instrument_is_opened() -> None:
    bench = Bench({"tilt": KNOBS["tilt"]})
    with pytest.raises(IncompatibleError) as caught, opened(bench):
        pytest.fail("the block must not begin")
    assert len(caught.value.problems) == 2
    assert bench.log == []


def test_what_all_tasks_lack_is_told_at_once_and_by_their_names() -> None:
    bench = Bench({"tilt": KNOBS["tilt"]})
    tasks = [KnobTask(focus=1.0), KnobTask(shift=(0.2, 0.2)), KnobTask(tilt=9.0)]
    with pytest.raises(IncompatibleError) as caught:
        with open_session(bench, tasks, name="bench", names=["refocus", "recentre"]):
            pytest.fail("the block must not begin")
    assert caught.value.problems == (
        "refocus needs knob focus; bench offers tilt",
        "recentre needs knob shift; bench offers tilt",
        "tilt[0]: a full action of KnobTask moves 9 rad, more than the largest step of 0.1 rad; "
        "lower the task's step size",
    )
    assert bench.log == []


def test_a_full_action_larger_than_the_largest_step_is_refused_before_opening() -> None:
    bench = Bench()
    task = KnobTask(focus=2.1)
    with pytest.raises(IncompatibleError, match="lower the task's step size"):
        with open_session(bench, [task], name="bench"):
            pytest.fail("the block must not begin")
    assert bench.log == []


def test_a_real_instrument_needs_an_envelope() -> None:
    desk = Desk()
    with pytest.raises(EnvelopeError, match="stempilot envelope init --backend desk") as caught:
        with open_session(desk, [ToyCentring()], name="desk"):
            pytest.fail("the block must not begin")
    assert caught.value.exit_code == 4
    assert not desk.log


def test_an_envelope_of_another_backend_is_refused() -> None:
    with pytest.raises(EnvelopeError, match="written for bench, not for desk"):
        require_envelope(bench_envelope(), Desk().offers(), "desk")


def test_a_simulator_may_do_without_and_may_have_one() -> None:
    bench = Bench()
    assert require_envelope(None, bench.offers(), "bench").knobs == bench_envelope().knobs
    narrow = bench_envelope(may_park=True)
    assert require_envelope(narrow, bench.offers(), "bench") is narrow


def test_an_envelope_that_excludes_the_start_is_refused_and_nothing_is_written() -> None:
    bench = Bench()
    rows = {**bench_envelope().knobs, "focus": KnobLimits(spec=evolve(KNOBS["focus"], upper=2.9))}
    with pytest.raises(EnvelopeError, match="stands at the start = 3 m outside") as caught:
        with opened(bench, envelope=bench_envelope(knobs=rows)):
            pytest.fail("the block must not begin")
    assert caught.value.exit_code == 4
    assert bench.written == []
    assert bench.log[-1] == "close"


def test_modes_are_checked_and_never_set() -> None:
    desk = Desk()
    desk.toy.park()
    with pytest.raises(BackendError, match="beam_blanker is blanked, set it to open"):
        with open_session(desk, [ToyCentring()], name="desk", envelope=desk_envelope()):
            pytest.fail("the block must not begin")
    assert not desk.log


def test_an_instrument_that_cannot_be_opened_is_closed() -> None:
    class Unreachable(Bench):
        def open(self) -> None:
            super().open()
            msg = "no answer"
            raise BackendError(msg)

    bench = Unreachable()
    with pytest.raises(BackendError, match="no answer"), opened(bench):
        pytest.fail("the block must not begin")
    assert bench.log == ["open", "close"]


@pytest.mark.parametrize("found", [(np.nan,), (1.0, 2.0)])
def test_a_baseline_that_is_none_stops_before_the_first_write(found: KnobValue) -> None:
    bench = Bench()
    bench.standing["focus"] = found
    with pytest.raises(StempilotError), opened(bench):
        pytest.fail("the block must not begin")
    assert bench.written == []


# --- what it allows ------------------------------------------------------------------------------


def test_only_the_knobs_of_the_tasks_may_be_written() -> None:
    bench = Bench()
    with open_session(bench, [KnobTask(focus=1.0)], name="bench") as session:
        with pytest.raises(EnvelopeError, match="tilt may not be written; allowed: focus"):
            session.guard.send([SetPoint("tilt", 0.01)])


def test_rate_and_budget_of_the_envelope_hold() -> None:
    bench = Bench()
    envelope = bench_envelope(writes_per_s=50.0, max_writes=2)
    with opened(bench, envelope=envelope) as session:
        assert session.guard.remaining_writes() == 2
        session.guard.send([SetPoint("focus", 3.1), SetPoint("tilt", 0.01)])
        first, second = session.guard.writes
        assert second.at_s - first.at_s >= 0.019


def test_the_needs_of_several_tasks_are_put_together() -> None:
    needs = combined_needs(
        [task.needs for task in (KnobTask(focus=1.0, tilt=0.05), KnobTask(tilt=0.1), ToyCentring())]
    )
    assert list(needs.knobs) == ["focus", "tilt", BEAM_SHIFT]
    assert needs.knobs["tilt"].largest_step == (0.1,)
    assert needs.sources == ("toy_camera",)
    assert needs.states == {"beam_blanker": "open"}
    assert combined_needs([]) == Needs()


def test_tasks_that_contradict_each_other_are_refused_before_opening() -> None:
    class Blanked(ToyCentring):
        @property
        def needs(self) -> Needs:
            return evolve(super().needs, states={"beam_blanker": "blanked"})

    toy = ToyBackend()
    with pytest.raises(IncompatibleError, match="beam_blanker = open, another beam_blanker = bl"):
        with open_session(toy, [ToyCentring(), Blanked()], name="toy"):
            pytest.fail("the block must not begin")
    with pytest.raises(BackendError, match="not open"):
        toy.read(BEAM_SHIFT)


def test_a_session_of_several_tasks_allows_the_knobs_of_all() -> None:
    bench = Bench()
    tasks = [KnobTask(focus=1.0), KnobTask(tilt=0.1)]
    with open_session(bench, tasks, name="bench") as session:
        session.guard.send([SetPoint("focus", 4.0), SetPoint("tilt", 0.1)])
    assert bench.standing == START


# --- afterwards ----------------------------------------------------------------------------------


def test_all_is_put_back_at_the_end() -> None:
    bench = Bench()
    with opened(bench) as session:
        session.guard.send(MOVES)
        assert bench.standing != START
    assert bench.standing == START


def test_a_run_may_keep_where_it_ends() -> None:
    bench = Bench()
    with opened(bench, keep=True) as session:
        session.guard.send(MOVES)
    assert bench.standing == {point.knob: point.value for point in MOVES}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("error", [Broken, KeyboardInterrupt, BackendError])
def test_a_run_that_fails_is_put_back_before_the_instrument_is_closed(
    error: type[BaseException], keep: bool
) -> None:
    bench = Bench()
    with pytest.raises(error), opened(bench, keep=keep) as session:
        session.guard.send(MOVES)
        raise error
    assert bench.standing == START
    assert bench.log[-1] == "close"
    assert bench.log.index("close") > len(bench.log) - 2


def test_what_was_not_put_back_is_an_error_and_the_instrument_is_closed() -> None:
    bench = Bench()
    with pytest.raises(RestoreError) as caught, opened(bench) as session:
        session.guard.send(MOVES)
        bench.trouble = fails("write focus")
    assert caught.value.exit_code == 5
    assert bench.standing == {**START, "focus": (3.9,)}
    assert bench.log[-1] == "close"


@pytest.mark.parametrize("allowed", [False, True])
def test_parking_is_up_to_the_envelope(allowed: bool) -> None:
    bench = ParkableBench()
    with (
        pytest.raises(RestoreError),
        opened(bench, envelope=bench_envelope(may_park=allowed)) as session,
    ):
        session.guard.send(MOVES)
        bench.trouble = fails("write focus")
    assert ("park" in bench.log) is allowed


def test_a_session_can_be_put_back_before_its_end() -> None:
    bench = Bench()
    with opened(bench, keep=True) as session:
        session.guard.send(MOVES)
        session.put_back()
        assert bench.standing == START
        with pytest.raises(Broken), session.savepoint(keep=True):
            session.guard.send(MOVES)
            raise Broken
        assert bench.standing == START


def test_other_knobs_are_put_back_after_somebody_moved_one() -> None:
    bench = Bench()
    with pytest.raises(HandsOffError), opened(bench, keep=True) as session:
        session.guard.send(MOVES)
        bench.standing["tilt"] = (0.02,)
        session.guard.send(MOVES)
    assert bench.standing["shift"] == START["shift"]
    assert bench.standing["focus"] == START["focus"]
    assert bench.standing["tilt"] == (0.02,), "whoever moved it must not be fought"


def test_a_knob_that_somebody_takes_before_the_first_write_is_not_written() -> None:
    bench = Bench()
    with pytest.raises(HandsOffError), opened(bench) as session:
        bench.standing["focus"] = (3.5,)
        session.guard.send(MOVES)
    assert bench.written == []
    assert bench.standing == {**START, "focus": (3.5,)}


# --- environments --------------------------------------------------------------------------------


def test_an_environment_goes_home_to_where_it_was_made() -> None:
    toy = ToyBackend()
    with open_session(toy, [ToyCentring()], name="toy") as session:
        session.guard.send([SetPoint(BEAM_SHIFT, (1e-7, 0.0))])
        env = session.env(ToyCentring(), seed=1)
        env.reset()
        assert toy.read(BEAM_SHIFT) == (1e-7, 0.0)
    toy.open()
    assert toy.read(BEAM_SHIFT) == (0.0, 0.0)


def test_an_environment_on_a_twin_leaves_the_instrument_alone() -> None:
    toy = ToyBackend()
    with open_session(toy, [ToyCentring()], name="toy") as session:
        env = session.twin_env(ToyCentring(), seed=1, timestep=70)
        assert env is not None
        env.reset()
        env.step(np.ones(2, np.float32))
        assert env.timestep == 71
        assert toy.read(BEAM_SHIFT) == (0.0, 0.0)
        assert session.guard.writes == []
        env.close()
        with pytest.raises(BackendError, match="not open"):
            env.reset()
        assert toy.read(BEAM_SHIFT) == (0.0, 0.0)


def test_what_cannot_be_copied_has_no_twin() -> None:
    desk = Desk()
    with open_session(desk, [ToyCentring()], name="desk", envelope=desk_envelope()) as session:
        assert session.twin_env(ToyCentring(), seed=1) is None


def test_an_episode_that_succeeds_stays_where_it_ended() -> None:
    toy, task = ToyBackend(), ToyCentring()
    with open_session(toy, [task], name="toy") as session:
        agent = ExactAgent(Brief.of(task, 0))
        episode = session.play(task, agent)
        assert episode.success
        assert dict(episode.products) == {}
        assert session.standing() == {BEAM_SHIFT: toy.read(BEAM_SHIFT)}
        assert session.standing() != session.baseline
        assert session.play(task, agent).steps == 0


def test_an_episode_that_fails_is_put_back_to_where_it_began() -> None:
    toy = ToyBackend()
    easy, hard = ToyCentring(), ToyCentring(tolerance=1e-9)
    with open_session(toy, [easy, hard], name="toy") as session:
        session.play(easy, ExactAgent(Brief.of(easy, 0)))
        began = session.standing()
        assert began != session.baseline
        episode = session.play(hard, ToyWalker(Brief.of(hard, 0)), max_timesteps=3)
        assert (episode.success, episode.steps) == (False, 3)
        assert session.standing() == began


def test_an_agent_may_be_called_by_its_name() -> None:
    task = ToyCentring()
    with open_session(ToyBackend(), [task], name="toy") as session:
        assert session.play(task, "random", max_timesteps=2).steps == 2
        with pytest.raises(PluginError, match="did you mean random"):
            session.play(task, "randm")
