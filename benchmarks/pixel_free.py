"""The same task without pixels and without the framework: what bare Stable-Baselines3 trains on."""

from typing import Any

import gymnasium
import numpy as np

STEP_BINS, EDGE_BINS, TOLERANCE_BINS, SIZE_BINS, LIMIT = 10.0, 122.0, 3.0, 128.0, 200
GOAL = np.array([4.0, 8.0])
ANGLE = np.deg2rad(30.0)
RESPONSE = STEP_BINS * np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])


class PixelFree(gymnasium.Env[np.ndarray, np.ndarray]):
    """The published set-up, as numbers: position in bins, rounded for the observation."""

    def __init__(self) -> None:
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-300, 300, (5,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.steps = 0
        self.position = self.np_random.uniform(-EDGE_BINS, EDGE_BINS, 2)
        self.residual = np.round(self.position) - GOAL
        return self.observe(), {}

    def observe(self) -> np.ndarray:
        x, y = self.residual
        return np.array([100.0, x, y, x == 0, y == 0], np.float32)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        noise = 0.001 * STEP_BINS * np.abs(action).max() * self.np_random.standard_normal(2)
        self.position = self.position + RESPONSE @ action + noise
        before = float(np.hypot(*self.residual))
        self.residual = np.round(self.position) - GOAL
        after = float(np.hypot(*self.residual))
        self.steps += 1
        if after <= TOLERANCE_BINS:
            return self.observe(), 100.0, True, False, {}
        if np.abs(self.position).max() > EDGE_BINS or self.steps >= LIMIT:
            return self.observe(), -100.0, True, False, {}
        reward = (1.0 if after <= before else -1.0) - after / SIZE_BINS
        return self.observe(), reward, False, False, {}
