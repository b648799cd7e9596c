"""Frames on which an earlier task took a wrong disk for the direct beam, or saw none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.tasks.bf_disk_centering.conftest import MakeTask
from tests.tasks.imaging.conftest import FULL, disk, exposed

from stempilot.contract.names import DIFFRACTION_SHIFT, FLUCAM
from stempilot.contract.values import Frame, Outcome, Snapshot
from stempilot_tasks.bf_disk_centering.state import CenteringState
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

ROWS, COLS = np.mgrid[: FULL[0], : FULL[1]].astype(float)
HERE = (630.3, 411.8)
HERE_PX = (HERE[0] - 519.5, HERE[1] - 519.5)
CENTRE = (519.5, 519.5)
CLIPPED = 65535
Pixels = npt.NDArray[Any]


def start(
    task: BfDiskCentering, lit: Pixels, *, flaw: Callable[[Pixels], None] | None = None
) -> Any:
    """Return the state that a first frame of an image in electrons leads to."""
    pixels = exposed(lit, np.random.default_rng(20221122))
    if flaw is not None:
        flaw(pixels)
    frame = Frame(pixels=pixels, exposure_s=0.17, taken_at_s=0.0)
    snapshot = Snapshot(
        frames={FLUCAM: frame}, knobs={DIFFRACTION_SHIFT: (0.0, 0.0)}, states={}, simulated=False
    )
    return task.initial(task.measure(snapshot))


def require_seen(state: CenteringState, within_px: float = 0.5) -> None:
    assert state.measured.visible
    assert np.hypot(*np.subtract(state.position_px, HERE_PX)) < within_px


@pytest.mark.parametrize("brightness", [1.0, 1.3, 3.0])
def test_a_diffracted_disk_at_the_goal_is_no_success(
    make_task: MakeTask, brightness: float
) -> None:
    direct = disk(CENTRE[0] + 110, CENTRE[1] - 57, 25)  # 124 px off
    lit = 800 * (direct + brightness * disk(*CENTRE, 25))
    task = make_task(confirm="never", watch_frames=0)
    assert task.outcome(start(task, lit)) is Outcome.AMBIGUOUS
    picked = start(make_task(disk_px=(110.0, -57.0), confirm="never"), lit)
    assert picked.position_px == pytest.approx((110, -57), abs=0.1)


def halo(radius: float, total: float, ring: float) -> Pixels:
    """Return a Gaussian halo of four radii, and a ring at three, that may outshine the disk."""
    far = np.hypot(COLS - HERE[0], ROWS - HERE[1]) / radius
    glow: Pixels = total / 32 * np.exp(-(far**2) / 32) + ring * np.exp(-((far - 3) ** 2) / 0.18)
    return glow


@pytest.mark.parametrize("counts", [37.0, 500.0])
@pytest.mark.parametrize(("radius", "total"), [(20, 10.0), (45, 3.0)])
def test_a_ring_brighter_than_the_disk_hides_no_edge_also_at_few_counts(
    make_task: MakeTask, radius: int, total: float, counts: float
) -> None:
    lit = counts * (disk(*HERE, radius) + halo(radius, total, 1.5))
    require_seen(start(make_task(), lit))


@pytest.mark.parametrize("half", [0.7, 1.3, 0.3])
def test_half_of_the_disk_at_another_brightness_moves_no_centre(
    make_task: MakeTask, half: float
) -> None:
    lit = 600 * disk(*HERE, 40) * np.where(HERE[0] < COLS, half, 1.0)
    require_seen(start(make_task(), lit))


def test_a_beam_stop_is_told_by_how_little_of_the_edge_shows(make_task: MakeTask) -> None:
    lit = 900 * disk(*HERE, 35)
    lit[(np.abs(ROWS - HERE[1]) < 17) & (HERE[0] + 2 > COLS)] = 0
    require_seen(start(make_task(), lit))


@pytest.mark.parametrize("line", [470, 405, (slice(None), 700), (slice(None), 620)])
@pytest.mark.parametrize("counts", [40.0, 3000.0])
def test_a_clipped_line_near_or_across_the_disk(
    make_task: MakeTask, line: Any, counts: float
) -> None:
    def clip(pixels: Pixels) -> None:
        pixels[line] = CLIPPED

    require_seen(start(make_task(), counts * disk(*HERE, 30), flaw=clip))


@pytest.mark.parametrize("radius", [3.5, 6.0])
def test_a_clipped_spot_at_the_goal_is_not_the_disk(make_task: MakeTask, radius: float) -> None:
    def clip(pixels: Pixels) -> None:
        pixels[np.hypot(COLS - CENTRE[0], ROWS - CENTRE[1]) < radius] = CLIPPED

    task = make_task(confirm="never")
    state = start(task, 900 * disk(*HERE, 30), flaw=clip)
    require_seen(state)
    assert task.outcome(state) is Outcome.RUNNING


@pytest.mark.parametrize("counts", [40.0, 3000.0])
def test_modules_with_gaps_and_another_gain(make_task: MakeTask, counts: float) -> None:
    def modules(pixels: Pixels) -> None:
        pixels[:, 625:] = (0.8 * pixels[:, 625:]).astype(pixels.dtype)
        pixels[:, 623:627] = pixels[411:413] = 0

    require_seen(start(make_task(), counts * disk(*HERE, 30), flaw=modules))
