"""What the guard finds out beside a frame never becomes a timestep."""

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from tests.core.envs import FULL, HomeTask, Kept, envelope, on_desk
from tests.core.fakes import Desk
from tests.core.instrument.test_calibration import LongDesk

from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import Frame, KnobValue, Outcome, Snapshot
from stempilot.errors import BackendError, HandsOffError
from stempilot.testing.toys import TOY_CAMERA, ToyCentring


def test_a_knob_that_somebody_takes_during_the_exposure_makes_no_timestep() -> None:
    desk, kept = Desk(), Kept()

    def take(frame: Frame) -> Frame:
        desk.toy.write(BEAM_SHIFT, (1e-6, 1e-6))
        return frame

    with pytest.raises(HandsOffError), on_desk(desk, recorder=kept, seed=3) as env:
        env.reset()
        desk.develop = take
        env.step(FULL)
    assert [step.step for step in kept.steps] == [0]
    desk.toy.open()
    assert desk.toy.read(BEAM_SHIFT) == (1e-6, 1e-6), "it is theirs"


def test_a_knob_that_is_stuck_makes_no_timestep_and_no_frame() -> None:
    desk, kept = Desk(), Kept()
    exposed = []

    def stick(what: str, name: str) -> None:
        exposed.append(what) if what == "acquire" else None
        if what == "write":
            desk.toy.write = lambda knob, value: None  # type: ignore[method-assign]

    with pytest.raises(BackendError, match="either it is stuck, or its read-back is coarser"):
        with on_desk(desk, recorder=kept, plain=True) as env:
            env.reset()
            exposed.clear()
            desk.before = stick
            env.step(FULL)
    assert exposed == []
    assert [step.step for step in kept.steps] == [0]


def test_read_back_and_time_of_each_write_are_in_the_timestep() -> None:
    kept = Kept()
    with on_desk(Desk(), recorder=kept, plain=True) as env:
        env.reset()
        env.step(FULL)
    (write,) = kept.steps[1].writes
    assert write.read_back == write.value == write.requested
    assert write.origin == "agent"
    assert write.duration_s is not None


class Overshot(Desk):
    """Reads half a resolution more than where it stands."""

    def read(self, knob: str) -> KnobValue:
        return tuple(item + 5e-13 for item in super().read(knob))


@pytest.mark.parametrize("scramble", [False, True])
def test_a_knob_at_its_bound_that_reads_as_if_behind_it_moves_on_and_comes_back(
    scramble: bool,
) -> None:
    desk, kept = Overshot(), Kept()
    desk.toy.open()
    edge = desk.toy.read(BEAM_SHIFT)
    with on_desk(
        desk, HomeTask(), envelope(desk, upper=edge), recorder=kept, scramble=scramble
    ) as env:
        for _ in range(2):
            env.reset()
            assert desk.toy.read(BEAM_SHIFT) == edge
            *_, info = env.step(np.array([0.0, -1.0], np.float32))
            assert env.last.outcome is Outcome.RUNNING, info
            assert desk.toy.read(BEAM_SHIFT)[1] < edge[1]
    assert max(value[0] for value in desk.log) == edge[0], "nothing behind the bound is sent"


class Looks(ToyCentring):
    """Notes the calibration of the frames it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float | None] = []

    def measure(self, snapshot: Snapshot) -> Any:
        self.seen.append(snapshot.frames[TOY_CAMERA].pixel_rad)
        return super().measure(snapshot)


def test_a_task_sees_frames_calibrated_by_the_envelope() -> None:
    desk, task = LongDesk(), Looks()
    limits = evolve(envelope(desk), pixel_mrad={TOY_CAMERA: {12: 0.565}})
    with on_desk(desk, task, limits, plain=True) as env:
        env.reset()
        desk.index = 5.0
        env.step(np.zeros(2, np.float32))
    assert task.seen == [pytest.approx(0.565e-3), None]
