"""Frames with more than one disk, with halos, structure, a beam stop and a flawed camera."""

import numpy as np
import pytest

from stempilot_tasks.imaging import find_disks, locate_disk

from .conftest import FULL, disk, exposed

ROWS, COLS = np.mgrid[: FULL[0], : FULL[1]].astype(float)
HERE = (630.3, 411.8)


def away(found, x, y):
    return float(np.hypot(found.x_px - x, found.y_px - y))


def nearest(found, x, y):
    return min(away(one, x, y) for one in found)


@pytest.mark.parametrize("other", [0.3, 1.0, 3.0])
def test_a_diffracted_disk_hides_no_direct_one(other, rng):
    lit = 800 * disk(*HERE, 25) + 800 * other * disk(HERE[0] + 90, HERE[1] - 40, 25)
    found = find_disks(exposed(lit, rng))
    assert len(found) == 2
    assert nearest(found, *HERE) < 0.2
    assert nearest(found, HERE[0] + 90, HERE[1] - 40) < 0.2
    contrasts = sorted((1.0, other))
    ratio = found[1].contrast / found[0].contrast
    assert ratio == pytest.approx(contrasts[0] / contrasts[1], rel=0.1)


@pytest.mark.parametrize("share", [0.9, 1.3])
@pytest.mark.parametrize("spacing", [0.8, 1.4, 2.0])
def test_overlapping_and_touching_disks_are_told_apart(spacing, share, rng):
    lit = 900 * (disk(*HERE, 30) + share * disk(HERE[0] + 30 * spacing, HERE[1] + 9, 30))
    found = find_disks(exposed(lit, rng))
    assert len(found) == 2
    assert nearest(found, *HERE) < 0.5
    assert nearest(found, HERE[0] + 30 * spacing, HERE[1] + 9) < 0.5


@pytest.mark.parametrize("total", [1.0, 3.0])
def test_a_halo_and_a_ring_do_not_hide_the_edge(total, rng):
    far = np.hypot(COLS - HERE[0], ROWS - HERE[1])
    halo = total * 20**2 / (2 * 40**2) * np.exp(-(far**2) / (2 * 40**2))
    ring = 0.3 * np.exp(-((far - 90) ** 2) / (2 * 12**2))
    found = find_disks(exposed(500 * (disk(*HERE, 20) + halo + ring), rng))
    assert len(found) == 1
    assert away(found[0], *HERE) < 0.2
    assert found[0].radius_px == pytest.approx(20, abs=0.7)


@pytest.mark.parametrize("counts", [6, 8, 37])
def test_few_counts_with_a_halo(counts, rng):
    far = np.hypot(COLS - HERE[0], ROWS - HERE[1])
    halo = 2.0 * 30**2 / (2 * 90**2) * np.exp(-(far**2) / (2 * 90**2))
    found = find_disks(exposed(counts * (disk(*HERE, 30) + halo), rng))
    assert found
    assert away(found[0], *HERE) < 1.0


@pytest.mark.parametrize("depth", [0.6, -0.7])
def test_structure_across_the_disk_moves_no_edge(depth, rng):
    lit = disk(*HERE, 40) * np.where(COLS - HERE[0] > 0, 1 + depth, 1.0)
    found = locate_disk(exposed(600 * lit, rng))
    assert away(found, *HERE) < 0.5


def test_fringes_do_not_hide_the_disk(rng):
    fringes = 1 + 0.6 * np.sign(np.sin((COLS - HERE[0]) / 6))
    assert away(locate_disk(exposed(600 * disk(*HERE, 40) * fringes, rng)), *HERE) < 0.7


def test_a_beam_stop_may_hide_nearly_half_of_the_edge(rng):
    lit = 800 * disk(*HERE, 30)
    lit[int(HERE[1] + 4) : int(HERE[1] + 34), int(HERE[0] - 26) :] = 0
    found = find_disks(exposed(lit, rng))
    assert len(found) == 1
    assert away(found[0], *HERE) < 0.5


def test_grains_side_by_side_on_a_ring_make_no_disk_of_the_rings_size(rng):
    angles = np.linspace(0, 2 * np.pi, 26, endpoint=False)
    lit = 1000 * disk(*HERE, 24)
    for angle in angles:
        lit += 80 * disk(HERE[0] + 86 * np.cos(angle), HERE[1] + 86 * np.sin(angle), 24)
    found = find_disks(exposed(lit, rng))
    assert found[0].radius_px == pytest.approx(24, abs=0.5)
    assert away(found[0], *HERE) < 0.3


@pytest.mark.parametrize("radius", [9, 35])
def test_a_beam_stop_leaves_the_rest_of_the_edge(radius, rng):
    lit = disk(*HERE, radius)
    lit[(np.abs(ROWS - HERE[1]) < 0.5 * radius) & (HERE[0] + 2 > COLS)] = 0
    found = locate_disk(exposed(900 * lit, rng))
    assert away(found, *HERE) < 0.5
    assert found.coverage < 0.9


def flawed(frame, flaw):
    if flaw == "clipped column":
        frame[:, 700] = 65535
    elif flaw == "dark row":
        frame[405] = 0
    elif flaw == "clipped cluster":
        frame[200:208, 300:308] = 65535
    elif flaw == "large clipped cluster":
        frame[200:212, 300:312] = 65535
    elif flaw == "clipped spot at the goal":
        frame[(COLS - 520) ** 2 + (ROWS - 520) ** 2 < 9] = 65535
    elif flaw == "gaps":
        frame[:, 519:523], frame[411:413] = 0, 0
    else:
        frame[:, 610:] = np.minimum(frame[:, 610:] * 0.8, 65535).astype(frame.dtype)
    return frame


@pytest.mark.parametrize(
    "flaw",
    [
        "clipped column",
        "dark row",
        "clipped cluster",
        "large clipped cluster",
        "clipped spot at the goal",
        "gaps",
        "gain step",
    ],
)
@pytest.mark.parametrize("level", [150, 3000])
def test_a_flawed_camera_shows_the_disk_all_the_same(flaw, level, rng):
    frame = flawed(exposed(level * disk(*HERE, 30), rng), flaw)
    assert away(locate_disk(frame), *HERE) < 0.5


def test_masked_pixels_say_nothing(rng):
    frame = exposed(900 * disk(*HERE, 30), rng)
    frame[300:360, 200:260] = 5000
    mask = np.zeros(FULL, np.bool_)
    mask[295:365, 195:265] = True
    found = find_disks(frame, mask=mask)
    assert len(found) == 1
    assert away(found[0], *HERE) < 0.2


def test_a_known_radius_picks_the_disks_of_that_radius(rng):
    frame = exposed(900 * disk(*HERE, 22) + 900 * disk(200, 300, 48), rng)
    for radius, place in ((22, HERE), (48, (200, 300))):
        found = find_disks(frame, radius_px=radius)
        assert len(found) == 1
        assert away(found[0], *place) < 0.2


def test_a_place_that_is_known_is_looked_at_behind_its_neighbours(rng):
    x, y = HERE
    lit = 900 * disk(x, y, 14)
    for angle in np.deg2rad((0, 72, 144, 216, 288)):
        lit += 1500 * disk(x + 11.8 * np.cos(angle), y + 11.8 * np.sin(angle), 14)
    pixels = exposed(lit, rng)
    assert nearest(find_disks(pixels, radius_px=14.0), *HERE) > 3
    assert nearest(find_disks(pixels, radius_px=14.0, near_px=HERE), *HERE) < 0.5


def test_grains_of_a_ring_make_no_disk_of_their_own(rng):
    lit = disk(*HERE, 20)
    for angle in np.linspace(0, 2 * np.pi, 150, endpoint=False):
        place = HERE[0] + 110 * np.cos(angle), HERE[1] + 110 * np.sin(angle)
        lit = lit + 0.05 * disk(*place, 20, fine=3)
    found = find_disks(exposed(2000 * lit, rng))
    assert away(found[0], *HERE) < 0.2
    assert found[0].radius_px == pytest.approx(20, abs=0.7)
