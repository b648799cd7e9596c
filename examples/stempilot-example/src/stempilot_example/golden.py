"""The agent ``golden-section``: a line search for tasks whose goal is to `Raise` a value."""

from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators
from gymnasium.spaces import Box

from stempilot import Agent, Brief, IncompatibleError, Policy, Raise

_GOLDEN = (5**0.5 - 1) / 2
_ARRIVED = 1e-6
"""Full actions; float32 actions are not exact."""


@frozen(kw_only=True)
class GoldenConfig:
    """Options of the line search. Lengths are in full actions.

    Attributes:
        first_step: how far the first probe goes.
        precision: length of the interval at which the maximum counts as found.
    """

    first_step: float = field(default=0.5, validator=[validators.gt(0), validators.le(1)])
    precision: float = field(default=0.3, validator=validators.gt(0))


class Golden(Agent):
    """Brackets the maximum, then narrows the bracket by golden sections.

    Args:
        config: the options.
        brief: the spaces that it is made for.

    Raises:
        IncompatibleError: there is more than one action, or nothing to raise.
    """

    def __init__(self, config: GoldenConfig, brief: Brief) -> None:
        actions, goal = brief.action_space, brief.goal
        problems = []
        if not (isinstance(actions, Box) and actions.shape == (1,)):
            problems.append(f"golden-section acts with one number, not in {actions}")
        if not isinstance(goal, Raise):
            problems.append(f"golden-section raises a value; the task's goal is {goal}")
        if problems or not isinstance(goal, Raise):
            raise IncompatibleError(problems)
        self._config, self._entry = config, goal.entry

    def policy(self) -> Policy:
        """Return a search that has not begun."""
        return _Searching(self._config, self._entry)


class _Searching:
    def __init__(self, config: GoldenConfig, entry: int) -> None:
        self._config, self._entry = config, entry
        self.reset("")

    def reset(self, instrument_id: str) -> None:
        """Begin again: where the maximum lies is another matter in each episode."""
        del instrument_id
        self._search: Generator[float, float, None] | None = None
        self._here = self._target = 0.0
        self._step = self._config.first_step

    def act(self, observation: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the way to the next place to try, or the next full action of it."""
        value = float(observation[self._entry])
        if abs(self._target - self._here) <= _ARRIVED:
            self._target = self._next_place(value)
        action = np.float32(np.clip(self._target - self._here, -1.0, 1.0))
        self._here += float(action)
        return np.array([action], dtype=np.float32)

    def _next_place(self, value: float) -> float:
        if self._search is not None:
            try:
                return self._search.send(value)
            except StopIteration:
                # Noise led the search astray; look again, nearer by.
                self._step = self._config.precision / 2
        self._search = search(self._here, value, self._step, self._config.precision)
        return next(self._search)


def search(
    start: float, value: float, step: float, precision: float
) -> Generator[float, float, None]:
    """Yield places to try, and be sent the value found at each; ends after going to the best.

    Args:
        start: where the search begins.
        value: the value there.
        step: how far the first probe goes.
        precision: length of the bracket to stop at.
    """
    left, middle, middle_value = start, start + step, (yield start + step)
    if middle_value < value:
        left, middle, middle_value = middle, left, value
    right = middle + (middle - left) / _GOLDEN
    while (right_value := (yield right)) > middle_value:
        left, middle, middle_value = middle, right, right_value
        right = middle + (middle - left) / _GOLDEN
    while abs(right - left) > precision:
        in_left = abs(middle - left) > abs(right - middle)
        far = left if in_left else right
        probe = middle + (1 - _GOLDEN) * (far - middle)
        probe_value = yield probe
        if probe_value > middle_value:
            left, right = (left, middle) if in_left else (middle, right)
            middle, middle_value = probe, probe_value
        elif in_left:
            left = probe
        else:
            right = probe
    yield middle
