"""What stops a run, or ends it cleanly: failures, hands off, dead cameras, the run budget."""

import contextlib
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from tests.core.envs import BACK, FULL, REST, Kept, envelope, on_desk
from tests.core.fakes import Desk, blank

from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import Frame, Outcome
from stempilot.errors import BackendError, FrameError, HandsOffError
from stempilot.testing.toys import ToyCentring, ToyState


@pytest.mark.parametrize("call", ["read", "write", "acquire", "state"])
def test_a_failing_instrument_is_never_a_reward(call: str) -> None:
    desk, kept = Desk(), Kept()

    def fail(what: str, _: str) -> None:
        if what == call:
            desk.before = lambda what, name: None
            msg = f"{what} timed out"
            raise BackendError(msg)

    with pytest.raises(BackendError, match=f"{call} timed out"):
        with on_desk(desk, recorder=kept, seed=3) as env:
            env.reset()
            desk.before = fail
            env.step(FULL)
    assert [step.step for step in kept.steps] == [0]
    desk.toy.open()
    assert desk.toy.read(BEAM_SHIFT) == pytest.approx((0, 0), abs=1e-12)


def test_hands_off_stops_the_run_and_nothing_is_sent() -> None:
    desk, kept = Desk(), Kept()
    with pytest.raises(HandsOffError, match="It was left so"), contextlib.ExitStack() as stack:
        env = stack.enter_context(on_desk(desk, recorder=kept, seed=3))
        env.reset()
        env.step(REST)
        desk.toy.write(BEAM_SHIFT, (1e-7, 1e-7))
        desk.log.clear()
        with pytest.raises(HandsOffError, match="another user moved it"):
            env.step(FULL)
        with pytest.raises(HandsOffError):
            env.reset()
    assert desk.log == []
    assert len(kept.steps) == 2


def stale(frame: Frame) -> Frame:
    return evolve(frame, pixels=np.full_like(frame.pixels, 7))


def malformed(frame: Frame) -> Frame:
    return evolve(frame, pixels=frame.pixels[:-1])


def of_floats(frame: Frame) -> Frame:
    return evolve(frame, pixels=frame.pixels.astype(float))


@pytest.mark.parametrize("develop", [stale, malformed, of_floats, blank])
def test_a_camera_that_fails_after_the_dot_was_seen_stops_the_run(develop: Any) -> None:
    desk = Desk()
    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.develop = develop
        with pytest.raises(FrameError):
            env.step(FULL)


def test_a_frozen_camera_stops_the_run() -> None:
    desk, frozen_frame = Desk(), []

    def freeze(frame: Frame) -> Frame:
        frozen_frame.append(frame)
        return frozen_frame[0]

    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.develop = freeze
        env.step(FULL)
        with pytest.raises(FrameError, match="the same frame twice"):
            env.step(REST)


def test_a_dark_field_at_the_start_is_the_tasks_affair() -> None:
    desk = Desk()
    desk.develop = blank
    with on_desk(desk, plain=True) as env:
        _, info = env.reset()
        assert info["outcome"] == "failure"
        _, info = env.reset()
        assert info["outcome"] == "failure"


def test_a_mode_that_somebody_changes_stops_the_run() -> None:
    desk = Desk()
    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.toy.park()
        with pytest.raises(BackendError, match="beam_blanker is blanked, set it to open"):
            env.step(FULL)


# --- the run budget ------------------------------------------------------------------------------


class Dear(ToyCentring):
    """Has a price for everything."""

    def reward(self, before: ToyState, action: Any, after: ToyState, outcome: Outcome) -> float:
        return -7.0


def test_the_run_budget_ends_the_episode_unpriced_and_nothing_more_is_sent() -> None:
    desk, kept = Desk(), Kept()
    limits = evolve(envelope(desk), max_writes=2)
    task = Dear(tolerance=0.01)
    with on_desk(desk, task, limits, recorder=kept, seed=3) as env:
        env.reset()
        assert env.step(0.1 * FULL)[1] == -7.0
        env.step(0.1 * BACK)
        assert not env.budget_spent
        desk.log.clear()
        before = env.last.state
        _, reward, terminated, truncated, info = env.step(FULL)
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert "leaves 0 writes" in info["reason"]
        assert bool(env.budget_spent)
        assert env.last.state is before
        env.reset()
        assert env.step(FULL)[1:4] == (0.0, False, True)
        assert desk.log == []
    assert kept.steps[2].outcome is Outcome.RUNNING
    desk.toy.open()
    assert desk.toy.read(BEAM_SHIFT) == (0.0, 0.0)
