"""First readings of the disk and of its response, each on another random instrument."""

import numpy as np
import pytest
from benchmarks.readings import measure
from tests.tasks.instruments import STARTS, Told, read_one

from stempilot import discover


@pytest.mark.slow
def test_the_disk_is_read_within_its_uncertainty() -> None:
    task = discover().task("read-disk")
    told = [read_one(task, "random", number) for number in range(40, 40 + STARTS)]
    assert all(one.home and not one.writes for one in told)
    read = [one for one in told if one.episode.success]
    assert len(read) >= STARTS - 1
    clipped = [one for one in read if one.episode.products["saturation"].value]
    assert len(clipped) == 3, "these are among them"
    for one in read:
        expect_true(one)


def expect_true(told: Told) -> None:
    """Check a reading; the dose of a disk that clips cannot be told."""
    x, y = np.mean([truth["position_px"] for truth in told.truths], axis=0).tolist()
    true = {"centre_x": x, "centre_y": y, "radius": told.truths[0]["radius_px"][0]}
    products = told.episode.products
    if products["saturation"].value == 0:
        # What few frames tell of their own scatter may be much less than it is.
        room = 4 * products["dose"].uncertainty + 1e-3 * told.electrons
        assert products["dose"].value == pytest.approx(told.electrons, abs=room)
    misses = told.misses(true)
    assert max(misses.values()) <= 4, misses
    assert np.hypot(products["centre_x"].value - x, products["centre_y"].value - y) < 0.1


@pytest.mark.slow
def test_the_response_is_read_within_its_uncertainty() -> None:
    told = measure(STARTS, seed=22)
    assert all(one.home for one in told)
    assert max(one.frames for one in told) <= 16
    read = [one for one in told if one.succeeded]
    assert len(read) >= STARTS - 1
    misses = np.array([one.misses for one in read])
    assert misses.max() <= 4
    assert np.sqrt(np.mean(misses**2)) > 0.3, "and the uncertainty is not much too large"
