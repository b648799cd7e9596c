import math
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest

from stempilot.contract.task import Drawable, Scored
from stempilot.contract.values import Frame, Outcome, Snapshot
from stempilot.errors import FrameError
from stempilot_tasks.bf_disk_centering.state import Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

MakeTask = Callable[..., BfDiskCentering]
See = Callable[..., Measured]
Draw = Callable[..., npt.NDArray[Any]]

BIN = 1040 / 255
STILL = np.zeros(2, dtype=np.float32)
FULL_X = np.array([1, 0], dtype=np.float32)
RUNNING, FAILURE = Outcome.RUNNING, Outcome.FAILURE


def shown(pixels: npt.NDArray[Any], pixel_rad: float | None = None) -> Snapshot:
    frame = Frame(pixels=pixels, exposure_s=0.1, taken_at_s=0, pixel_rad=pixel_rad)
    return Snapshot(frames={"flucam": frame}, knobs={"diffraction_shift": (0.0, 0.0)}, states={})


def test_needs_the_shift_the_flucam_and_the_beam_on_the_screen(make_task: MakeTask) -> None:
    needs = make_task(step_size=50).needs
    knob = needs.knobs["diffraction_shift"]
    assert (knob.unit, knob.size) == ("rad", 2)
    assert knob.largest_step == pytest.approx((11.5215e-3,) * 2, rel=1e-4)
    assert needs.sources == ("flucam",)
    assert dict(needs.states) == {"screen": "down", "beam_blanker": "open"}
    assert needs.reads == ("camera_length_index",)
    assert make_task(camera_shape=(600, 800)).needs.shapes == {"flucam": (600, 800)}


def test_measures_the_flucams_frame(make_task: MakeTask, draw: Draw) -> None:
    task = make_task()
    measured = task.measure(shown(draw(30, -40), pixel_rad=6e-4))
    assert measured.position_px == pytest.approx((30, -40), abs=0.2)
    assert (measured.pixel_rad, task.sees(measured, "flucam")) == (6e-4, True)


def test_refuses_a_frame_of_another_shape(make_task: MakeTask, draw: Draw) -> None:
    frame = shown(draw(0, 0, shape=(520, 520)))
    assert make_task(camera_shape=(520, 520)).measure(frame).visible
    with pytest.raises(FrameError):
        make_task().measure(frame)


# --- the knob --------------------------------------------------------------------------------


def test_plans_absolutely_from_the_shift_last_asked_for(make_task: MakeTask, see: See) -> None:
    task = make_task()
    start = task.initial(see(shift_rad=(0.01, -0.02)))
    half = np.array([0.5, -1], dtype=np.float32)
    (point,) = task.targets(start, half, {})
    assert point.knob == "diffraction_shift"
    assert point.value == pytest.approx((0.01 + 0.0115215, -0.02 - 0.023043), rel=1e-4)
    # The read-back that follows is rounded; the next plan must not take that up.
    after = task.advance(start, half, see(shift_rad=(0.02, -0.04)))
    assert task.targets(after, STILL, {})[0].value == point.value


def test_discrete_actions_move_one_axis(make_task: MakeTask, see: See) -> None:
    task = make_task(actions="discrete")
    start = task.initial(see())
    step = task.config.step_rad
    assert [task.targets(start, action, {})[0].value for action in (0, 3, 6)] == [
        (step, 0),
        (0, -step),
        (0, step / 4),
    ]
    assert task.targets(start, np.int64(0), {}) == task.targets(start, 0, {})


def test_scramble_spreads_over_its_range_around_home(make_task: MakeTask) -> None:
    task = make_task(scramble_steps=2, step_size=50)
    home, rng = (0.1, -0.2), np.random.default_rng(0)
    values = np.array(
        [task.scramble({"diffraction_shift": home}, rng)[0].value for _ in range(500)]
    )
    shares = (values - home) / (2 * task.config.step_rad)
    assert np.abs(shares).max() <= 1
    assert np.abs(shares).mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.05)
    assert abs(float(np.mean(shares[:, 0] * shares[:, 1]))) < 0.05


def test_scramble_depends_on_the_generator_alone(make_task: MakeTask) -> None:
    task, home = make_task(), {"diffraction_shift": (0.0, 0.0)}
    one, same, other = (task.scramble(home, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same != other


def test_hints_lead_to_the_residual_in_the_observation(make_task: MakeTask, see: See) -> None:
    goal = (52.0, -26.0)
    goal = make_task(goal_px=goal, tolerance_px=5.2, edge_threshold_px=20).goal
    assert (goal.residual, goal.unit, goal.resolution) == ((0, 1), "half fields", 0)
    assert goal.tolerance == pytest.approx(0.01)
    assert goal.edges[0] == pytest.approx((-500 / 520 - 0.1, -500 / 520 + 0.05))
    assert goal.edges[1] == pytest.approx((500 / 520 - 0.1, 500 / 520 + 0.05))
    assert goal.full_action == pytest.approx(10 * BIN / 520)


def test_hints_of_the_paper_are_in_bins(make_task: MakeTask) -> None:
    goal = make_task(preset="paper").goal
    assert (goal.residual, goal.unit, goal.resolution) == ((1, 2), "bins", 1)
    assert goal.tolerance == pytest.approx(3)
    assert goal.edges[0] == pytest.approx((-126.5, -130.5))
    assert goal.edges[1] == pytest.approx((118.5, 114.5))
    assert goal.full_action == pytest.approx(10)


def test_hints_convert_with_the_pixel_that_was_given(make_task: MakeTask) -> None:
    goal = make_task(preset="paper", pixel_mrad=0.565 / 2, tolerance_mrad=0.565 * BIN).goal
    assert goal.full_action == pytest.approx(20)
    assert goal.tolerance == pytest.approx(2)


def test_hinted_edges_are_where_the_disk_is_lost(make_task: MakeTask, see: See) -> None:
    task = make_task(goal_px=(100, 50), camera_shape=(800, 1000))
    goal = task.goal
    for sign, edge in ((-1, goal.edges[0]), (1, goal.edges[1])):
        for axis in (0, 1):
            for beyond, outcome in ((-1.0, RUNNING), (1.0, FAILURE)):
                residual = np.zeros(2)
                residual[axis] = edge[axis] + sign * beyond / 500
                x, y = (residual + task.geometry.goal) * 500
                state = task.initial(see(x, y))
                assert task.outcome(state) is outcome


def test_an_unseen_disk_is_observed_where_it_was_last(
    make_task: MakeTask, see: See, unseen: Measured
) -> None:
    task = make_task()
    start = task.initial(see(130.0, -260.0))
    lost = task.advance(start, FULL_X, unseen)
    still_lost = task.advance(lost, FULL_X, unseen)
    assert task.observe(still_lost).tolist() == [0.25, -0.5]
    assert task.summary(still_lost) == {
        "x_px": 130,
        "y_px": -260,
        "dx_px": 130,
        "dy_px": -260,
        "distance_px": pytest.approx(math.hypot(130, 260)),
        "visible": 0,
        "cut": 0,
        "saturated": 0,
        "steps": 2,
    }


def test_summary_is_unrounded_and_complete(make_task: MakeTask, see: See) -> None:
    task = make_task(preset="paper", goal_px=(10.0, 10.0))
    summary = task.summary(task.initial(see(13.0, 14.0, cut=True, saturated=True)))
    assert summary == {
        "x_px": 13,
        "y_px": 14,
        "dx_px": 3,
        "dy_px": 4,
        "distance_px": 5,
        "visible": 1,
        "cut": 1,
        "saturated": 1,
        "steps": 0,
        "radius_px": 30,
        "contrast": 1,
        "shift_x_rad": 0,
        "shift_y_rad": 0,
    }
    assert all(type(value) is float for value in summary.values())


def test_marks_are_in_pixels_of_the_frame(make_task: MakeTask, see: See) -> None:
    task = make_task(camera_shape=(600, 800), goal_px=(10, 20))
    marks = task.marks(task.initial(see(-100.0, 50.0)))
    assert marks == {"goal": (409.5, 319.5), "found": (299.5, 349.5)}
    assert isinstance(task, Drawable)
    assert isinstance(task, Scored)


def test_a_state_holds_no_arrays_and_no_pixels(make_task: MakeTask, see: See) -> None:
    task = make_task(preset="paper")
    state = task.advance(task.initial(see()), FULL_X, see())

    def leaves(value: object) -> Iterator[object]:
        if isinstance(value, tuple):
            for item in value:
                yield from leaves(item)
        else:
            yield value

    kinds = {type(leaf) for leaf in leaves(attrs.astuple(state))}
    assert kinds <= {float, int, bool, type(None)}
