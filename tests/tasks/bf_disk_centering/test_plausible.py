"""A calibration that what is seen contradicts is refused, or said before success is."""

from typing import Any

import numpy as np
import pytest
from tests.tasks.bf_disk_centering.conftest import Draw, MakeTask, See

from stempilot.contract.names import DIFFRACTION_SHIFT, FLUCAM
from stempilot.contract.values import Frame, Outcome, Snapshot
from stempilot.errors import FrameError
from stempilot_tasks.bf_disk_centering.state import CenteringState
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

TRUE_RAD = 0.565e-3
FULL_X = np.array([1, 0], dtype=np.float32)


def centred(task: BfDiskCentering, see: See, moved_px: float, **rest: Any) -> CenteringState:
    """Return the success that one full action of 23.04 mrad leads to."""
    state = task.initial(see(moved_px, 0.0, **rest))
    state = task.advance(state, FULL_X, see(0.0, 0.0, **rest))
    assert task.outcome(state) is Outcome.SUCCESS
    return state


@pytest.mark.parametrize(
    ("pixel_rad", "said"),
    [
        (TRUE_RAD, ""),
        (TRUE_RAD * 1.9, ""),
        (TRUE_RAD / 1.9, ""),
        (TRUE_RAD * 4, "of 2.26 mrad a pixel the disk moved 4 times as far"),  # binned by 4
        (TRUE_RAD / 4, "moved 0.25 times as far as the diffraction shift says"),
        (TRUE_RAD / 1000, "of 0.000565 mrad a pixel the disk moved 0.001 times"),
        (None, ""),
    ],
)
def test_a_wrong_unit_is_said_with_the_success(
    make_task: MakeTask, see: See, pixel_rad: float | None, said: str
) -> None:
    task = make_task(tolerance_px=12.2)
    told = task.explain(centred(task, see, 40.78, pixel_rad=pixel_rad))
    assert said in told
    assert bool(told) == bool(said)
    assert not said or "see whether unit, binning and camera length are right" in told


def test_the_calibration_of_the_options_counts_where_a_tolerance_rests_on_it(
    make_task: MakeTask, see: See
) -> None:
    in_px, in_mrad = make_task(pixel_mrad=5.65), make_task(pixel_mrad=5.65, tolerance_mrad=60)
    assert in_px.explain(centred(in_px, see, 40.78)) == ""
    assert "5.65 mrad a pixel the disk moved 10 times" in in_mrad.explain(
        centred(in_mrad, see, 40.78)
    )


@pytest.mark.parametrize(
    ("semi", "said"), [(17.0, ""), (9.0, ""), (33.0, ""), (70.0, "0.242 times")]
)
def test_a_radius_that_contradicts_the_semi_angle_is_said(
    make_task: MakeTask, see: See, semi: float, said: str
) -> None:
    task = make_task(semi_angle_mrad=semi)
    told = task.explain(task.initial(see(1.0, 0.0, pixel_rad=TRUE_RAD)))
    assert said in told
    assert bool(told) == bool(said)


def test_both_contradictions_are_said_at_once_and_with_a_failure(
    make_task: MakeTask, see: See
) -> None:
    task = make_task(semi_angle_mrad=17.0)
    state = task.initial(see(300.0, 0.0, pixel_rad=TRUE_RAD * 4))
    state = task.advance(state, FULL_X, see(259.22, 0.0, pixel_rad=TRUE_RAD * 4))
    told = task.explain(state)
    assert "259 px from the goal" in told
    assert (
        "moved 4 times as far as the diffraction shift says and has a radius of 67.8 mrad" in told
    )


def test_what_hardly_moved_tells_nothing(make_task: MakeTask, see: See) -> None:
    task = make_task()
    state = task.initial(see(3.0, 0.0, pixel_rad=TRUE_RAD))
    state = task.advance(state, FULL_X * 0.05, see(-2.0, 0.0, pixel_rad=TRUE_RAD))
    assert task.explain(state) == ""


def snapshot(draw: Draw, pixel_rad: float) -> Snapshot:
    frame = Frame(pixels=draw(100, 0), exposure_s=0.17, taken_at_s=0.0, pixel_rad=pixel_rad)
    return Snapshot(frames={FLUCAM: frame}, knobs={DIFFRACTION_SHIFT: (0.0, 0.0)}, states={})


def test_what_cannot_be_true_is_refused_with_the_first_frame(
    make_task: MakeTask, draw: Draw
) -> None:
    with pytest.raises(FrameError, match=r"calibrated as 0.565 rad; .* at most 0.00302, .* mrad\?"):
        make_task().measure(snapshot(draw, 0.565))
    task = make_task(tolerance_mrad=2.0)
    with pytest.raises(FrameError, match="tolerance_mrad = 2 is 3540 px .* more than 130 px"):
        task.measure(snapshot(draw, TRUE_RAD / 1000))
    assert task.measure(snapshot(draw, TRUE_RAD)).visible
