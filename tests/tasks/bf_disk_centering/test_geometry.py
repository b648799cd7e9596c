from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from stempilot.plugins.options import build
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.geometry import Geometry, distance

BIN = 1040 / 255
points = st.tuples(st.floats(-520, 520), st.floats(-520, 520))
clouds = arrays(np.float64, (3, 4, 2), elements=st.floats(-700, 700))


def of(**values: Any) -> Geometry:
    return Geometry.of(build(BfDiskCenteringConfig, values, section="task"))


def test_unrounded_residual_is_in_half_fields() -> None:
    residual = of(goal_px=(10, -20)).residual(np.array([270.0, 240.0]))
    assert residual == pytest.approx([0.5, 0.5])


def test_paper_residual_counts_bins_from_the_goals_bin() -> None:
    geometry = of(preset="paper")
    assert geometry.residual(np.array([10.4 * BIN, -3.6 * BIN])) == pytest.approx([6, -12])
    assert geometry.residual(geometry.aim_px()) == pytest.approx([0, 0])


def test_bins_follow_the_binning() -> None:
    fine = of(preset="paper", binning=1, goal_px=(0, 0))
    assert fine.residual(np.array([BIN, 2 * BIN])) == pytest.approx([4, 8])


def test_aim_is_the_goal_or_its_bins_centre() -> None:
    assert of(goal_px=(5, 5)).aim_px() == pytest.approx([5, 5])
    assert of(observation="paper", goal_px=(5, 5)).aim_px() == pytest.approx([BIN, BIN])


def test_unit_is_one_number_on_a_camera_that_is_not_square() -> None:
    geometry = of(camera_shape=(600, 800))
    assert geometry.residual(np.array([400.0, 300.0])) == pytest.approx([1, 0.75])


def test_edges_are_those_of_each_axis() -> None:
    geometry = of(camera_shape=(600, 800), edge_threshold_px=10)
    inside = np.array([[390.0, 290.0], [-390.0, -290.0]])
    beyond = np.array([[390.1, 0.0], [-390.1, 0.0], [0.0, 290.1], [0.0, -290.1]])
    assert not geometry.is_beyond_edge(inside).any()
    assert geometry.is_beyond_edge(beyond).all()


def test_default_edge_is_five_bins_from_the_published_fields() -> None:
    offsets = np.array([[122.4 * BIN, 0.0], [122.6 * BIN, 0.0]])
    assert of().is_beyond_edge(offsets).tolist() == [False, True]


def test_tolerance_is_three_published_bins_unless_given() -> None:
    assert of().tolerance() * 520 == pytest.approx(12.2353, rel=1e-4)
    assert of(preset="paper").tolerance() == pytest.approx(3)
    assert of(preset="paper", binning=1).tolerance() == pytest.approx(12)
    assert of(tolerance_px=5.2).tolerance() == pytest.approx(0.01)
    assert of(preset="paper", tolerance_px=0).tolerance() == 0


def test_tolerance_in_mrad_takes_the_frames_calibration_first() -> None:
    geometry = of(tolerance_mrad=1.0, pixel_mrad=0.25)
    assert geometry.tolerance() * 520 == pytest.approx(4)
    assert geometry.tolerance(0.5e-3) * 520 == pytest.approx(2)


def test_tolerance_in_px_does_not_depend_on_the_calibration() -> None:
    assert of(tolerance_px=2, pixel_mrad=0.1).tolerance(0.5e-3) * 520 == pytest.approx(2)
    assert of().tolerance(0.5e-3) == of(pixel_mrad=0.1).tolerance()


@given(points, points)
def test_unrounded_distance_is_the_distance_in_pixels(
    point: tuple[float, float], goal: tuple[float, float]
) -> None:
    goal = (goal[0] * 0.9, goal[1] * 0.9)
    residual = of(goal_px=goal).residual(np.array(point))
    expected = np.hypot(point[0] - goal[0], point[1] - goal[1])
    assert distance(residual) * 520 == pytest.approx(expected)


@given(points, st.sampled_from([1, 2, 4]))
def test_rounding_is_never_off_by_more_than_half_a_bin(
    point: tuple[float, float], binning: int
) -> None:
    geometry = of(observation="paper", binning=binning)
    residual = geometry.residual(np.array(point))
    assert (residual == np.round(residual)).all()
    off_px = np.abs(residual * geometry.unit_px - np.array(point))
    assert off_px.max() <= geometry.unit_px / 2 * (1 + 1e-9)


@given(clouds)
def test_clipped_positions_are_inside_and_those_inside_unchanged(cloud: Any) -> None:
    clipped = of().clipped(cloud)
    assert (np.abs(clipped) <= 520).all()
    inside = np.abs(cloud) <= 520
    assert (clipped[inside] == cloud[inside]).all()


@pytest.mark.parametrize("preset", ["default", "paper"])
@given(cloud=clouds)
def test_a_batch_equals_the_loop_over_it(preset: str, cloud: Any) -> None:
    geometry = of(preset=preset)
    residual = geometry.residual(cloud)
    length, beyond = distance(residual), geometry.is_beyond_edge(cloud)
    assert residual.shape == (3, 4, 2)
    assert length.shape == beyond.shape == (3, 4)
    for index in np.ndindex(3, 4):
        one = geometry.residual(cloud[index])
        assert residual[index].tolist() == one.tolist()
        assert length[index] == distance(one)
        assert beyond[index] == geometry.is_beyond_edge(cloud[index])


def test_among_other_disks_the_true_place_is_to_be_inside_the_tolerance() -> None:
    assert of().certain(None, disks=1) == of().tolerance()
    assert of().certain(None, disks=2) * 520 == pytest.approx(12.2353 - 0.1, rel=1e-4)
    assert of(tolerance_mrad=2).certain(0.5e-3, disks=3) * 520 == pytest.approx(3.9)
    # A small tolerance can be met all the same, and whole bins are as they are.
    assert of(tolerance_px=0.1).certain(None, disks=2) * 520 == pytest.approx(0.05)
    assert of(preset="paper", tolerance_px=0).certain(None, disks=2) == 0
