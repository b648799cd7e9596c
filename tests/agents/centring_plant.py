"""A plant to steer, at the level of measurements: positions in half fields, no pixels."""

import numpy as np
from attrs import frozen
from gymnasium.spaces import Box

from stempilot.contract.agent import Brief
from stempilot.contract.goals import Centre

HALF_PX, FULL_ACTION_PX, TOLERANCE_PX, EDGE_PX = 520.0, 40.78, 12.235, 499.6
LIMIT = 200


def goal(**changes):
    edge = (EDGE_PX / HALF_PX,) * 2
    values = {
        "residual": (0, 1),
        "unit": "half fields",
        "tolerance": TOLERANCE_PX / HALF_PX,
        "edges": (tuple(-e for e in edge), edge),
        "full_action": FULL_ACTION_PX / HALF_PX,
    }
    return Centre(**{**values, **changes})


def brief(task_goal=None, size=2, seed=0):
    box = Box(-1, 1, (size,), np.float32)
    seen = Box(-3, 3, (size,), np.float32)
    task_goal = goal() if task_goal is None else task_goal
    return Brief(observation_space=seen, action_space=box, goal=task_goal, seed=seed)


@frozen
class Plant:
    """An instrument: displacement in px of an action, and its noises."""

    response: np.ndarray
    action_noise: float = 0.001
    vibration_px: float = 0.005

    def play(self, policy, rng, *, reach=EDGE_PX, name="plant", change=None):
        """Return (success, steps) of an episode; ``change`` is the response from step 4 on."""
        position = rng.uniform(-reach, reach, 2)
        policy.reset(name)
        response = self.response
        for step in range(LIMIT + 1):
            seen = position + self.vibration_px * rng.standard_normal(2)
            if np.hypot(*seen) <= TOLERANCE_PX:
                return True, step
            if np.abs(seen).max() > EDGE_PX or step == LIMIT:
                return False, step
            if change is not None and step == 3:
                response = change
            action = policy.act((seen / HALF_PX).astype(np.float32)).astype(float)
            assert np.abs(action).max() <= 1
            slip = self.action_noise * np.abs(action).max() * rng.standard_normal(2)
            position = position + response @ (action + slip)
        raise AssertionError


def turned(degrees, scale=1.0, *, mirrored=False):
    """Return a response in px per full action."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = scale * FULL_ACTION_PX * np.array([[c, -s], [s, c]])
    return matrix @ np.diag([1, -1]) if mirrored else matrix


def any_response(rng):
    """Return a response as the `random` instruments have them."""
    ratio = np.exp(rng.uniform(np.log(0.9), np.log(1.1)))
    shear = np.tan(np.deg2rad(rng.uniform(-5, 5)))
    scale = np.exp(rng.uniform(np.log(0.25), np.log(4)))
    turn = turned(rng.uniform(0, 360), scale, mirrored=bool(rng.random() < 0.5))
    return turn @ np.array([[1, shear], [0, 1]]) @ np.diag([np.sqrt(ratio), 1 / np.sqrt(ratio)])


class Oracle:
    """Knows the response; the yardstick of all others."""

    def __init__(self, response):
        self._inverse = np.linalg.inv(response)

    def reset(self, instrument_id):
        del instrument_id

    def act(self, observation):
        return np.clip(-self._inverse @ (observation * HALF_PX), -1, 1)
