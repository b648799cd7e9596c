import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from stempilot_tasks.bf_disk_centering.actions import DISCRETE_MOVES, action_space, moves


def test_continuous_actions_are_shares_of_a_full_one() -> None:
    space = action_space("continuous")
    assert space == Box(-1, 1, (2,), np.float32)
    assert moves("continuous", np.array([0.5, -1], dtype=np.float32)).tolist() == [0.5, -1]
    assert moves("continuous", np.zeros((3, 2), dtype=np.float32)).dtype == np.float64


def test_discrete_actions_are_four_directions_in_full_and_in_quarters() -> None:
    assert action_space("discrete") == Discrete(8)
    all_moves = moves("discrete", np.arange(8))
    assert all_moves.tolist() == [
        [1, 0],
        [-1, 0],
        [0, 1],
        [0, -1],
        [0.25, 0],
        [-0.25, 0],
        [0, 0.25],
        [0, -0.25],
    ]
    assert moves("discrete", np.int64(5)).tolist() == [-0.25, 0]
    assert moves("discrete", 2).tolist() == [0, 1]


def test_a_batch_of_discrete_actions_equals_the_loop_over_it() -> None:
    batch = np.random.default_rng(1).integers(0, 8, (3, 5))
    for index in np.ndindex(3, 5):
        assert moves("discrete", batch)[index].tolist() == moves("discrete", batch[index]).tolist()


def test_quarter_steps_land_within_the_tolerance_from_anywhere() -> None:
    # The farthest point from a grid of quarter steps lies in the middle of a cell.
    quarter_px = DISCRETE_MOVES[4, 0] * 40.784
    assert quarter_px / np.sqrt(2) < 12.235 < DISCRETE_MOVES[0, 0] * 40.784 / np.sqrt(2)


def test_the_table_of_moves_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        DISCRETE_MOVES[0] = 2
    assert action_space("continuous") is not action_space("continuous")
