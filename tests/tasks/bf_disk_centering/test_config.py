import math
from typing import Any

import pytest

from stempilot.errors import ConfigError
from stempilot.plugins.options import build, defaults, plain
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig


def make(**values: Any) -> BfDiskCenteringConfig:
    return build(BfDiskCenteringConfig, values, section="task")


def test_a_full_action_is_the_published_one() -> None:
    assert make().step_rad == pytest.approx(23.043e-3, rel=1e-4)
    assert make(step_size=50).step_rad == pytest.approx(11.5215e-3, rel=1e-4)
    assert make(binning=1, pixel_mrad=0.3).step_rad == make().step_rad


def test_255_bins_cover_the_published_camera() -> None:
    assert 255 * make(binning=4).bin_px == pytest.approx(1040)
    assert make(binning=1).bin_px == pytest.approx(52 / 51)


def test_half_field_is_x_then_y() -> None:
    assert make(camera_shape=(600, 800)).half_px == (400, 300)


def test_paper_preset_is_the_published_set_up() -> None:
    paper = make(preset="paper")
    assert [goal / paper.bin_px for goal in paper.goal_px] == pytest.approx([4, 8])
    assert (paper.observation, paper.actions, paper.reward) == (
        "paper",
        "continuous",
        "informative",
    )
    assert (paper.step_limit, paper.step_size, paper.binning) == (200, 100, 4)
    assert paper.edge_threshold_px / paper.bin_px == pytest.approx(5)


def test_default_preset_has_the_goal_in_the_centre_and_no_step_limit() -> None:
    config = make()
    assert config == BfDiskCenteringConfig()
    assert (config.goal_px, config.step_limit, config.observation) == ((0, 0), None, "unrounded")


def test_user_values_lie_over_the_preset() -> None:
    config = make(preset="paper", step_limit=None, goal_px=[1, 2], tolerance_mrad=2.0)
    assert (config.step_limit, config.goal_px, config.tolerance_mrad) == (None, (1, 2), 2)


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_plain_values_build_an_equal_configuration(preset: str) -> None:
    config = make(preset=preset, camera_shape=(520, 600))
    assert make(**plain(config)) == config


def test_every_option_has_a_default() -> None:
    assert set(defaults(BfDiskCenteringConfig)) >= {"preset", "goal_px", "reward"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "papr"}, "paper"),
        ({"camera_shape": [1040]}, "1 entries"),
        ({"camera_shape": [1040, 63]}, "at least 64 px"),
        ({"goal_px": [600, 0]}, r"x = 600 lies beyond \+-499.6"),
        ({"goal_px": [0, -499.7]}, r"y = -499.7 lies beyond"),
        ({"goal_px": [math.nan, 0]}, "not finite"),
        ({"tolerance_px": -1}, "tolerance_px = -1.0 .* at least 0"),
        ({"tolerance_mrad": -1}, "tolerance_mrad = -1.0 .* at least 0"),
        ({"tolerance_px": 1, "tolerance_mrad": 1}, "both set"),
        (
            {"tolerance_px": 131},
            "tolerance_px = 131 is 131 px, more than 130 px, a quarter of half",
        ),
        (
            {"tolerance_mrad": 80},
            "tolerance_mrad = 80 at pixel_mrad = 0.565 is 141.6 px, more than",
        ),
        (
            {"camera_shape": [1040, 96]},
            "tolerance of 3 published bins is 12.24 px, more than 12 px",
        ),
        ({"tolerance_px": 0}, "never be met by an unrounded"),
        ({"tolerance_mrad": 0}, "never be met by an unrounded"),
        ({"pixel_mrad": 0}, "pixel_mrad = 0.0 .* above 0"),
        ({"binning": 3}, "1, 2, 4"),
        ({"observation": "rounded"}, "unrounded"),
        ({"actions": "discreet"}, "discrete"),
        ({"step_size": 0}, "step_size = 0.0 .* above 0"),
        ({"edge_threshold_px": -1}, "edge_threshold_px = -1.0 .* at least 0"),
        ({"edge_threshold_px": 520}, "leaves nothing"),
        ({"step_limit": 0}, "step_limit = 0 .* at least 1"),
        ({"start_range": 0}, "start_range = 0.0 .* above 0 and at most 1"),
        ({"start_range": 1.1}, "at most 1"),
        ({"scramble_steps": 0}, "scramble_steps = 0.0 .* above 0"),
        ({"reward": "informativ"}, "informative"),
        ({"tolerance": 3}, "tolerance_px"),
    ],
)
def test_impossible_values_are_refused_with_the_reason(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"step_size": math.inf},
        {"step_size": math.nan},
        {"goal_px": (math.nan, 0.0)},
        {"observation": "both"},
        {"actions": "both"},
        {"reward": "both"},
        {"binning": 8},
        {"preset": "both"},
    ],
)
def test_a_configuration_made_directly_is_checked_too(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        BfDiskCenteringConfig(**values)


def test_a_tolerance_of_zero_is_allowed_where_positions_are_rounded() -> None:
    assert make(preset="paper", tolerance_px=0).tolerance_px == 0
