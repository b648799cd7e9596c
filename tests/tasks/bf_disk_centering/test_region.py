"""The part of the frame in which the disk is looked for."""

from typing import Any

import numpy as np
import pytest
from tests.tasks.bf_disk_centering.conftest import Draw, MakeTask, See

from stempilot.contract.values import Frame, Outcome
from stempilot.errors import ConfigError
from stempilot_tasks.bf_disk_centering.measure import measure_disk
from stempilot_tasks.bf_disk_centering.region import Region
from stempilot_tasks.bf_disk_centering.state import Measured

HALF = (520.0, 520.0)


def measure(pixels: Any, region: Any, mask: Any = None) -> Measured:
    frame = Frame(pixels=pixels, exposure_s=0.17, taken_at_s=0.0)
    area = Region.of(region, (pixels.shape[1] / 2, pixels.shape[0] / 2))
    return measure_disk(frame, (0.0, 0.0), pixels.shape, region=area, mask=mask)


@pytest.mark.parametrize("region", [(-300, -100, 100, 400), (-200, 100, 180), (-150.3, 99.8, 90.7)])
def test_a_disk_is_found_where_it_stands_in_the_frame(draw: Draw, region: Any) -> None:
    pixels = draw(-151.3, 77.7)
    whole, part = measure(pixels, None), measure(pixels, region)
    assert part.position_px == pytest.approx((-151.3, 77.7), abs=0.05)
    assert part.position_px == pytest.approx(whole.position_px, abs=0.05)


def test_a_frame_that_is_not_square_and_odd_has_the_same_centre(draw: Draw) -> None:
    pixels = draw(40.25, -60.5, shape=(401, 600), radius_px=20)
    found = measure(pixels, (-100, -200, 250, 150)).position_px
    assert found == pytest.approx((40.25, -60.5), abs=0.05)


@pytest.mark.parametrize("region", [(-400, -400, 100, 400), (-100, 0, 300)])
def test_what_lies_outside_is_not_seen(draw: Draw, region: Any) -> None:
    label = draw(300, 0, radius_px=25, level=20000.0)
    assert measure(label, None).visible
    assert not measure(label, region).visible
    both = np.maximum(label, draw(-50, 30))
    assert measure(both, region).position_px == pytest.approx((-50, 30), abs=0.1)


def test_light_in_the_corner_beside_a_round_screen_is_no_disk(draw: Draw) -> None:
    both = np.maximum(draw(330, 330, radius_px=25, level=20000.0), draw(-50, 30))
    found = measure(both, (0, 0, 400))
    assert measure(both, None).position_px == pytest.approx((330, 330), abs=0.1)
    assert [disk.position_px for disk in found.disks] == [pytest.approx((-50, 30), abs=0.1)]


def test_a_mask_goes_with_the_region(draw: Draw) -> None:
    pixels, mask = draw(-50, 30), np.zeros((1040, 1040), bool)
    pixels[500:520, 440:450] = 65535
    mask[500:520, 440:450] = True
    found = measure(pixels, (-300, -300, 300, 300), mask).position_px
    assert found == pytest.approx((-50, 30), abs=0.2)


def test_beyond_the_region_the_disk_is_lost(make_task: MakeTask, see: See) -> None:
    task = make_task(region=(-300, -300, 300, 300), edge_threshold_px=20)
    for x_px, outcome in ((279.0, Outcome.RUNNING), (281.0, Outcome.FAILURE)):
        assert task.outcome(task.initial(see(x_px, 0))) is outcome
    screen = make_task(region=(0, 0, 300), edge_threshold_px=20)
    assert screen.outcome(screen.initial(see(190, 190))) is Outcome.RUNNING
    assert screen.outcome(screen.initial(see(200, 200))) is Outcome.FAILURE


def test_what_is_not_seen_is_said_with_the_region(make_task: MakeTask, unseen: Measured) -> None:
    task = make_task(region=(-300, -300, 300, 300))
    told = task.explain(task.initial(unseen))
    assert told == "disk not visible in region = [-300, -300, 300, 300]"


def test_a_round_screen_may_reach_beyond_the_frame() -> None:
    region = Region.of((0, 0, 600), HALF)
    assert (region.left, region.right, region.half_px) == (-520, 520, 520)
    assert region.slices((1040, 1040)) == (slice(0, 1040), slice(0, 1040))
    assert region.holds(np.array([[400.0, 400.0], [430.0, 430.0]])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"region": [1, 2]}, r"region = \[1.0, 2.0\] must be \[left, top, right, bottom\]"),
        ({"region": [0, 0, 900, 900]}, r"beyond the frame, which ends at \+-520 px in x"),
        ({"region": [100, 0, -100, 300]}, r"is -200 x 300 px of the frame; .* left before right"),
        ({"region": [0, 0, 63, 300]}, "is 63 x 300 px of the frame; give at least 64 px"),
        ({"region": [0, 0, 31]}, "is 62 x 62 px of the frame"),
        ({"region": [900, 0, 300]}, "px of the frame"),
        ({"region": [0, 0, float("nan")]}, "not finite"),
        (
            {"region": [0, 0, 500, 500]},
            r"goal_px = \[0.0, 0.0\] lies outside of region = \[0.0, 0.0, 500.0, 500.0\]",
        ),
        ({"region": [0, 0, 300], "goal_px": [200, 200]}, "outside of region .* a larger region"),
        ({"region": [-40, -40, 40, 40]}, "tolerance of 3 published bins is 12.24 px, more than 10"),
    ],
)
def test_an_impossible_region_is_refused(
    make_task: MakeTask, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task(**values)
