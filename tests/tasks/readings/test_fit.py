"""The fit tells response, lag and play of a knob that has them."""

from typing import Any

import numpy as np
import pytest

from stempilot_tasks.readings.fit import fit
from stempilot_tasks.readings.star import ARMS

RESPONSE = np.array([[35.0, -20.0], [22.0, 33.0]])


def star(reach: float) -> Any:
    stands: list[tuple[float, float]] = [(0.0, 0.0)]
    for number, (x, y) in enumerate(ARMS):
        tip = (0.3 * reach * x, 0.3 * reach * y) if number == 0 else (reach * x, reach * y)
        stands += [tip, tip, (0.0, 0.0)] if number == 2 else [tip, (0.0, 0.0)]
    return np.array(stands)


def seen(commands: Any, rng: Any, lag: float, play: tuple[float, float], error: float) -> Any:
    """Return where the disk of a knob with play, lag and errors stands, by their definitions."""
    played, settled, left, before = np.zeros(2), np.zeros(2), np.zeros(2), commands[0]
    places = []
    for command in commands:
        left = left + error * np.abs(command - before).max() * rng.normal(size=2)
        played = np.minimum(np.maximum(played, command - play), command + play)
        settled = settled + (1 - lag) * (played - settled)
        places.append(RESPONSE @ (settled + left) + rng.normal(scale=0.1, size=2))
        before = command
    return np.array(places)


@pytest.mark.parametrize(
    ("lag", "play", "error"),
    [(0.0, (0.0, 0.0), 0.01), (0.33, (0.0, 0.0), 0.01), (0.12, (0.06, 0.02), 0.005)],
)
def test_what_it_tells_is_true_within_its_uncertainty(
    lag: float, play: tuple[float, float], error: float
) -> None:
    rng, commands = np.random.default_rng(3), star(2.0)
    found = fit(commands, seen(commands, rng, lag, play, error), gain=160.0)
    unsure = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    assert (np.abs(found.response - RESPONSE) <= 3 * unsure).all()
    assert unsure.max() < 0.06 * np.linalg.norm(RESPONSE)
    assert found.lag[0] == pytest.approx(lag, abs=3 * found.lag[1] + 0.01)
    for axis in range(2):
        assert found.play[0, axis] == pytest.approx(play[axis], abs=3 * found.play[1, axis] + 0.01)


def test_play_that_is_not_told_apart_widens_the_uncertainty() -> None:
    rng, commands = np.random.default_rng(3), star(2.0)
    with_play = fit(commands, seen(commands, rng, 0.0, (0.06, 0.06), 0.03), gain=160.0)
    assert with_play.play[1].max() > 0.01
    tip = commands[:2]
    one_arm = fit(tip, seen(tip, rng, 0.0, (0.0, 0.0), 0.0), gain=160.0, coarse=True)
    across = np.array([1.0, -1.0]) @ one_arm.covariance[0] @ np.array([1.0, -1.0])
    assert np.sqrt(across) > 100, "one arm says nothing of what lies across it"
