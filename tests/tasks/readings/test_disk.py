"""``read-disk``: what it tells of a disk that is known, and what it refuses."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from stempilot.contract.values import Outcome, Snapshot
from stempilot.operation.session import open_session
from stempilot.plugins.options import build
from stempilot.plugins.parts import part
from stempilot.plugins.registry import discover
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering
from stempilot_tasks.readings.config import ReadDiskConfig
from stempilot_tasks.readings.disk import DiskState, ReadDisk

Shot = Callable[..., Snapshot]
SHAPE = (320, 320)


def reading(**options: Any) -> ReadDisk:
    return ReadDisk(build(ReadDiskConfig, {"camera_shape": SHAPE, **options}, section="task"))


def played(task: ReadDisk, shots: list[Snapshot]) -> DiskState:
    state = task.initial(task.measure(shots[0]))
    for snapshot in shots[1:]:
        if task.own_moves(state, snapshot.knobs) is None:
            break
        assert task.own_moves(state, snapshot.knobs) == (), "no knob moves"
        state = task.advance(state, None, task.measure(snapshot))
    return state


def test_radius_centre_and_dose_are_those_of_the_disk(shot: Shot) -> None:
    task = reading(semi_angle_mrad=11.3, semi_angle_uncertainty_mrad=0.1)
    assert not task.needs.knobs
    shots = [shot((31.3, -20.6, 900), seed=seed) for seed in range(9)]
    state = played(task, shots)
    assert (task.outcome(state), task.explain(state)) == (Outcome.SUCCESS, "")
    found = task.products(state)
    expected = {
        "radius": (20.0, "px"),
        "centre_x": (31.3, "px"),
        "centre_y": (-20.6, "px"),
        "dose": (900 * math.pi * 20.0**2, "counts"),
        "saturation": (0.0, ""),
        "pixel": (11.3 / 20.0, "mrad/px"),
    }
    assert found.keys() == expected.keys()
    for name, (value, unit) in expected.items():
        one = found[name]
        assert one.unit == unit
        # A drawn disk's edge is a ramp of one pixel, which adds 0.02 % to its area.
        room = 3 * one.uncertainty + 5e-4 * abs(value) * (name == "dose")
        assert one.value == pytest.approx(value, abs=room + 1e-12), name
    assert found["radius"].uncertainty < 0.1
    assert found["pixel"].uncertainty > 0.1 / 20.0, "that of the angle is in it"
    assert len(state.frames) == 5


def test_without_an_angle_nothing_is_calibrated(shot: Shot) -> None:
    task = reading(frames=2)
    assert "pixel" not in task.products(played(task, [shot((0, 0, 900))] * 2))


def test_saturation_is_the_share_of_clipped_pixels_in_the_disk(shot: Shot) -> None:
    # A gradient of two disks on top of each other: the inner one clips.
    task = reading(frames=2, disk_px=[0, 0])
    state = played(task, [shot((0, 0, 900), most=1000)] * 2)
    clipped = task.products(state)["saturation"]
    assert 0.3 < clipped.value < 0.7, "noise clips about half of what lies at the limit"
    radius = task.products(state)["radius"]
    assert radius.uncertainty > 0.2, "a clipped edge lies farther out"
    assert "dose" not in task.products(state), "it is not known"


@pytest.mark.parametrize(
    ("disks", "outcome", "said"),
    [
        ((), Outcome.FAILURE, "disk not visible"),
        (((60, 0, 900), (-60, 10, 800)), Outcome.AMBIGUOUS, "the direct beam is not certain"),
        (((150, 0, 900),), Outcome.FAILURE, "disk cut by the frame's edge"),
    ],
)
def test_what_it_refuses_it_says_as_the_centring_does(
    shot: Shot, disks: Any, outcome: Outcome, said: str
) -> None:
    task = reading()
    state = played(task, [shot(*disks)] * 5)
    assert task.outcome(state) is outcome
    assert task.explain(state).startswith(said)
    assert task.products(state) == {}
    assert task.own_moves(state, {}) is None
    if outcome is not Outcome.FAILURE or not disks:
        centring = BfDiskCentering(BfDiskCenteringConfig(camera_shape=SHAPE, watch_frames=0))
        measured = centring.measure(shot(*disks))
        assert task.explain(state) == centring.explain(centring.initial(measured))


def test_the_disk_that_was_picked_is_read(shot: Shot) -> None:
    task = reading(frames=2, disk_px=[-60, 10])
    state = played(task, [shot((60, 0, 900), (-60, 10, 800))] * 2)
    assert task.products(state)["centre_x"].value == pytest.approx(-60, abs=0.2)
    assert task.marks(state).keys() == {"found"}


def test_an_option_that_makes_no_sense_is_refused() -> None:
    for options in ({"frames": 1}, {"semi_angle_mrad": 0.0}, {"radius_px": -3.0}):
        with pytest.raises(Exception, match=next(iter(options))):
            reading(**options)


def test_it_reads_a_simulated_instrument_and_moves_nothing() -> None:
    registry = discover(only="")
    backend = part(registry, "backend", "simulator", {"preset": "random"})
    task = ReadDisk(ReadDiskConfig())
    from stempilot.contract.backend import Opening

    with open_session(backend.load(Opening(seed=4)), [task], name="simulator") as session:
        episode = session.play(task)
        truth = session.backend.truth()  # type: ignore[attr-defined] # the simulator's
        assert not session.guard.writes
    assert episode.success
    radius = episode.products["radius"]
    assert radius.value == pytest.approx(truth["radius_px"][0], abs=3 * radius.uncertainty)
