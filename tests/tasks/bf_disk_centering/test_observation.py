import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from stempilot.plugins.options import build
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.geometry import Geometry
from stempilot_tasks.bf_disk_centering.observation import observation_space, observer


def make(**values: Any) -> BfDiskCenteringConfig:
    return build(BfDiskCenteringConfig, values, section="task")


def test_unrounded_observation_is_the_residual() -> None:
    seen = observer(make())(np.array([0.25, -0.5]))
    assert seen.dtype == np.float32
    assert seen.tolist() == [0.25, -0.5]


def test_paper_observation_tells_step_size_residual_and_zeros() -> None:
    see = observer(make(preset="paper", step_size=40))
    assert see(np.array([3.0, 0.0])).tolist() == [40, 3, 0, 0, 1]
    assert see(np.array([0.0, -7.0])).tolist() == [40, 0, -7, 1, 0]
    assert see(np.array([0.0, 0.0])).dtype == np.float32


@pytest.mark.parametrize("observation", ["unrounded", "paper"])
def test_a_batch_equals_the_loop_over_it(observation: str) -> None:
    see = observer(make(observation=observation))
    batch = np.random.default_rng(0).integers(-2, 3, (4, 3, 2)).astype(float)
    seen = see(batch)
    for index in np.ndindex(4, 3):
        assert seen[index].tolist() == see(batch[index]).tolist()


@pytest.mark.parametrize("observation", ["unrounded", "paper"])
def test_an_observation_is_a_copy(observation: str) -> None:
    see, residual = observer(make(observation=observation)), np.array([1.0, 0.0])
    see(residual)[:] = 9
    assert residual.tolist() == [1, 0]


@given(
    st.sampled_from(["unrounded", "paper"]),
    st.sampled_from([1, 2, 4]),
    st.tuples(st.floats(-400, 400), st.floats(-250, 250)),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_every_position_inside_the_frame_is_in_the_space(
    observation: str, binning: int, goal: tuple[float, float], share: tuple[float, float]
) -> None:
    config = make(
        observation=observation,
        binning=binning,
        goal_px=goal,
        camera_shape=(600, 1000),
        step_size=7.7,
    )
    geometry, space = Geometry.of(config), observation_space(config)
    corners = itertools.product([-1, 1], repeat=2)
    for x, y in [share, *corners]:
        position = geometry.half_px * (x, y)
        assert space.contains(observer(config)(geometry.residual(position)))


@pytest.mark.parametrize("observation", ["unrounded", "paper"])
def test_the_space_is_no_larger_than_the_field(observation: str) -> None:
    config = make(observation=observation)
    geometry, space = Geometry.of(config), observation_space(config)
    outside = geometry.residual(geometry.half_px * 1.01)
    assert not space.contains(observer(config)(outside))
    assert not space.contains(observer(config)(-outside))


def test_each_space_has_a_random_state_of_its_own() -> None:
    assert observation_space(make()) is not observation_space(make())
