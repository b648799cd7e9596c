"""The direct beam among the disks of a crystal, told by standing still."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from numpy.random import Generator
from tests.tasks.bf_disk_centering.conftest import MakeTask

from stempilot.contract.values import Outcome
from stempilot_tasks.bf_disk_centering.config import LEAST_WATCHED
from stempilot_tasks.bf_disk_centering.state import Disk, Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering
from stempilot_tasks.bf_disk_centering.watching import steady

HALF = (520.0, 520.0)
RADIUS = 25.0
PLACES = np.array([(0, 0), (90, 0), (0, 80), (90, 80), (-90, 0)], float)
BRIGHT = np.array([1000, 2500, 700, 400, 300], float)

Frames = list[tuple[Disk, ...]]


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(20261129)


def frame(changes: Sequence[float], moved: Sequence[float] = (0, 0), **rest: Any) -> Any:
    """Return the disks of a frame, brightest first, each changed by a factor."""
    disks = [
        Disk(position_px=(float(x), float(y)), radius_px=RADIUS, contrast=float(contrast), **rest)
        for (x, y), contrast in zip(PLACES + moved, BRIGHT * changes, strict=True)
    ]
    return tuple(sorted(disks, key=lambda disk: -disk.contrast))


def frames(rng: Generator, flickers: Sequence[bool], count: int = LEAST_WATCHED) -> Frames:
    """Return frames of a pattern that shakes, in which some disks change by up to 20 %."""
    at_most = np.where(flickers, np.log(1.2) / 2, 0.004)
    return [
        frame(np.exp(at_most * rng.uniform(-1, 1, len(PLACES))), rng.normal(0, 3, 2))
        for _ in range(count)
    ]


@pytest.mark.parametrize("direct", [0, 1, 2, 4])
def test_the_one_disk_that_does_not_change_is_the_direct_beam_however_bright(
    rng: Generator, direct: int
) -> None:
    seen = frames(rng, [index != direct for index in range(len(PLACES))])
    told = steady(seen, HALF, last=True)
    if BRIGHT[direct] < 0.2 * BRIGHT.max():
        # So faint a disk is not the direct one; all that may be change.
        assert told is None
        return
    assert told in seen[-1]
    assert told.contrast == pytest.approx(BRIGHT[direct], rel=0.01)


def test_few_frames_tell_nothing(rng: Generator) -> None:
    assert steady(frames(rng, [False, *[True] * 4], LEAST_WATCHED - 1), HALF, last=True) is None


@pytest.mark.parametrize("flickers", [[True] * 5, [False] * 5, [False, False, True, True, True]])
def test_where_all_change_or_more_than_one_does_not_nothing_is_told(
    rng: Generator, flickers: list[bool]
) -> None:
    for _ in range(200):
        assert steady(frames(rng, flickers, 16), HALF, last=True) is None


def test_disks_that_brighten_at_the_cost_of_each_other_tell_nothing(rng: Generator) -> None:
    # Two beams exchange their intensity and a third one stands: the direct one may be of the two.
    seen = []
    for part in rng.uniform(-0.15, 0.15, 16):
        changes = [1 + part * BRIGHT[1] / BRIGHT[0], 1 - part, 1, 1, 1]
        seen.append(tuple(one for one in frame(changes) if one.contrast > 650))
    assert steady(seen, HALF, last=True) is None


def test_a_disk_that_is_clipped_is_not_steady(rng: Generator) -> None:
    seen = frames(rng, [False, *[True] * 4])
    clipped = [tuple(evolve(d, clipped=950 < d.contrast < 1050) for d in each) for each in seen]
    assert steady(seen, HALF, last=True) is not None
    assert steady(clipped, HALF, last=True) is None


def test_a_disk_that_is_missing_now_and_then_is_waited_for(rng: Generator) -> None:
    seen = frames(rng, [False, *[True] * 4], LEAST_WATCHED + 2)
    holed = [*seen[:3], seen[3][1:], (), *seen[5:]]
    told = steady(holed, HALF, last=False)
    assert told == steady(seen, HALF, last=False) is not None
    assert steady(holed[:-1], HALF, last=False) is None


def test_a_disk_that_is_mostly_missing_stays_unknown(rng: Generator) -> None:
    seen = frames(rng, [False, *[True] * 4], 24)
    holed = [seen[0], *([one for one in each if one.contrast < 2000] for each in seen[1:])]
    assert steady(holed, HALF, last=False) is None
    told = steady(holed, HALF, last=True)
    assert told is not None
    assert told.contrast == pytest.approx(BRIGHT[0], rel=0.01)


def measured(disks: tuple[Disk, ...]) -> Measured:
    return Measured(
        position_px=disks[0].position_px,
        radius_px=RADIUS,
        visible=True,
        cut=False,
        saturated=False,
        pixel_rad=None,
        shift_rad=(0.0, 0.0),
        disks=disks,
    )


def watched(task: BfDiskCentering, seen: Frames) -> tuple[Any, int]:
    """Return the state after the task's own looks, and how many there were."""
    state, looks = task.initial(measured(seen[0])), 0
    while task.own_moves(state, {}) == ():
        assert task.outcome(state) is Outcome.RUNNING
        assert task.is_start(state)
        # Nobody is told of a place that is not known.
        assert "candidate 5" in task.marks(state)
        assert not {"x_px", "distance_px"} & set(task.summary(state))
        looks += 1
        state = task.advance(state, None, measured(seen[looks]))
    return state, looks


def test_an_episode_stands_still_until_the_direct_beam_is_told(
    rng: Generator, make_task: MakeTask
) -> None:
    state, looks = watched(make_task(), frames(rng, [True, True, False, True, True], 16))
    assert looks == LEAST_WATCHED - 1
    assert state.known.disk.contrast == pytest.approx(BRIGHT[2], rel=0.01)
    assert state.position_px == pytest.approx(PLACES[2], abs=12)
    assert state.target_rad == (0.0, 0.0)


def test_an_episode_ends_where_standing_still_does_not_tell(
    rng: Generator, make_task: MakeTask
) -> None:
    task = make_task(watch_frames=14)
    state, looks = watched(task, frames(rng, [True] * 5, 16))
    assert looks == 13
    assert task.outcome(state) is Outcome.AMBIGUOUS
    assert "candidate 5" in task.marks(state)
    assert "lower the exposure" not in task.explain(state)


def test_where_clipped_disks_hide_the_direct_beam_a_shorter_exposure_is_named(
    make_task: MakeTask,
) -> None:
    task = make_task(watch_frames=0)
    assert "lower the exposure" in task.explain(
        task.initial(measured(frame([1] * 5, clipped=True)))
    )


def test_no_episode_stands_still_without_need(rng: Generator, make_task: MakeTask) -> None:
    seen = frames(rng, [False, *[True] * 4])
    assert make_task(watch_frames=0).initial(measured(seen[0])).known.ambiguous
    picked = make_task(disk_px=(0.0, 0.0))
    assert picked.own_moves(picked.initial(measured(frame([1] * 5))), {}) is None


@pytest.mark.parametrize("count", [-1, 1, LEAST_WATCHED - 1, 65])
def test_too_few_frames_are_refused(make_task: MakeTask, count: int) -> None:
    with pytest.raises(Exception, match=f"watch_frames = {count} must be 0, or 12 to 64"):
        make_task(watch_frames=count)
