"""The flaws of a camera keep to their ranges and fill them."""

import numpy as np
import pytest
from attrs import evolve

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.frame.flaws import (
    BLOCKS,
    CLUSTER_PX,
    GAIN_STEP,
    GAP_PX,
    LINES,
    MODULES,
    PIXELS,
    Flaws,
    beam_stop,
    flaws,
)

SIDE = 300
PLAIN = ColumnParameters(defects=True, frame_side_px=SIDE)
MANY = 200


@pytest.fixture(scope="module")
def found() -> list[Flaws]:
    return [flaws(evolve(PLAIN, specimen_seed=seed)) for seed in range(MANY)]


def image(places: np.ndarray) -> np.ndarray:
    """Return the (row, col) pixels that are at flat indices."""
    seen = np.zeros(SIDE * SIDE, np.bool_)
    seen[places] = True
    return seen.reshape(SIDE, SIDE)


def runs(lines: np.ndarray) -> list[int]:
    """Return how wide each run of full lines is."""
    edges = np.flatnonzero(np.diff([0, *lines.astype(int), 0]))
    return [int(width) for width in np.diff(edges)[::2]]


def test_the_ranges_are_those_that_are_to_be_coped_with() -> None:
    assert (PIXELS, LINES, CLUSTER_PX) == ((0, 20), (0, 2), 12)
    assert (GAP_PX, GAIN_STEP) == ((1, 4), 0.2)


def test_modules_are_apart_by_dead_gaps(found: list[Flaws]) -> None:
    counts, widths = set(), set()
    for one in found:
        dead = image(one.dead)
        for axis in (0, 1):
            gaps = runs(dead.mean(axis=axis) > 0.99)
            counts.add(len(gaps))
            widths |= set(gaps)
    assert set(range(MODULES[1])) <= counts <= set(range(MODULES[1] + LINES[1]))
    assert set(range(GAP_PX[0], GAP_PX[1] + 1)) <= widths
    # A dark line may lie beside a gap.
    assert max(widths) <= GAP_PX[1] + LINES[1]


def test_clipped_are_a_cluster_some_lines_and_some_pixels(found: list[Flaws]) -> None:
    lines, singles, clusters = [], [], []
    for one in found:
        clipped, dead = image(one.clipped), image(one.dead)
        assert not (clipped & dead).any()
        full = [(clipped | dead).mean(axis=axis) > 0.99 for axis in (0, 1)]
        gaps = [dead.mean(axis=axis) > 0.99 for axis in (0, 1)]
        lines.append(sum(int((each & ~gap).sum()) for each, gap in zip(full, gaps, strict=True)))
        left = clipped & ~full[0][np.newaxis, :] & ~full[1][:, np.newaxis]
        sums = np.pad(left.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
        tall = sums[CLUSTER_PX:] - sums[:-CLUSTER_PX]
        clusters.append(int((tall[:, CLUSTER_PX:] - tall[:, :-CLUSTER_PX]).max()))
        singles.append(int(left.sum()) - clusters[-1])
    assert set(lines) == set(range(LINES[0], LINES[1] + 1))
    assert 0 <= min(singles) <= max(singles) <= PIXELS[1]
    assert max(singles) > PIXELS[1] // 2
    assert 100 < max(clusters) <= CLUSTER_PX**2 + 2
    assert min(clusters) <= 6


def test_dead_pixels_are_as_many_as_clipped_ones(found: list[Flaws]) -> None:
    counts = []
    for one in found:
        dead = image(one.dead)
        gaps = [dead.mean(axis=axis) > 0.99 for axis in (0, 1)]
        counts.append(int((dead & ~gaps[0][np.newaxis, :] & ~gaps[1][:, np.newaxis]).sum()))
    assert min(counts) == 0
    assert PIXELS[1] // 2 < max(counts) <= PIXELS[1]


def test_gains_differ_in_steps(found: list[Flaws]) -> None:
    blocks = [1 + np.count_nonzero(np.diff(one.gains)) for one in found]
    assert set(blocks) == set(range(BLOCKS[0], BLOCKS[1] + 1))
    spread = [np.ptp(one.gains) for one in found]
    assert 0.9 * GAIN_STEP < max(spread) <= GAIN_STEP
    assert all(len(one.gains) == SIDE for one in found)


def test_a_spoilt_frame_reads_so() -> None:
    one = flaws(evolve(PLAIN, specimen_seed=3))
    frame = np.full((SIDE, SIDE), 1100, np.uint16)
    one.spoil(frame, 100.0)
    dead, clipped = image(one.dead), image(one.clipped)
    assert (frame[dead] == 0).all()
    assert (frame[clipped] == 65_535).all()
    expected = np.broadcast_to((1000 * one.gains + 100).round(), frame.shape)
    assert np.array_equal(frame[~dead & ~clipped], expected[~dead & ~clipped])


def test_an_amplified_pixel_stays_within_its_type() -> None:
    one = Flaws(gains=np.full(4, 1.1), dead=np.empty(0, int), clipped=np.empty(0, int))
    frame = np.array([[0, 60, 65_000, 65_535]] * 4, np.uint16)
    one.spoil(frame, 100.0)
    assert frame[0].tolist() == [0, 56, 65_535, 65_535]


def test_the_beam_stop_ends_within_a_radius_of_the_middle_and_points_anywhere() -> None:
    stops = np.array(
        [beam_stop(evolve(PLAIN, beam_stop_radii=0.7, specimen_seed=seed)) for seed in range(MANY)]
    )
    radius, middle = PLAIN.radius_px, (SIDE - 1) / 2
    away = np.hypot(*(stops[:, :2] - middle).T) / radius
    assert 0.9 < away.max() <= 1.0
    assert stops[:, 4] == pytest.approx(np.full(MANY, 0.35 * radius))
    assert np.hypot(stops[:, 2], stops[:, 3]) == pytest.approx(np.ones(MANY))
    angles = np.sort(np.arctan2(stops[:, 3], stops[:, 2]))
    assert np.diff(angles).max() < 0.3


def test_the_beam_stop_does_not_grow_with_the_camera_length() -> None:
    near, far = (
        beam_stop(evolve(PLAIN, beam_stop_radii=1.0, camera_length_index=index)) for index in (6, 9)
    )
    assert np.array_equal(near, far)
