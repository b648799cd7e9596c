"""Spaces that the learners work on, and spaces as plain values to store with a learner."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from stempilot import IncompatibleError

_IMAGE_AXES = 3


def describe(space: gymnasium.Space[Any]) -> dict[str, Any]:
    """Return a Box or Discrete space as plain JSON values."""
    if isinstance(space, Box):
        return {
            "kind": "Box",
            "shape": list(space.shape),
            "dtype": str(space.dtype),
            "low": _numbers(space.low),
            "high": _numbers(space.high),
        }
    if isinstance(space, Discrete):
        return {"kind": "Discrete", "n": int(space.n), "start": int(space.start)}
    return {"kind": type(space).__name__}


def _numbers(values: Any) -> list[float | str]:
    """Return plain numbers; JSON has no infinity, so that one is text."""
    return [float(v) if np.isfinite(v) else str(v) for v in np.ravel(values).astype(float)]


def observation_problems(agent: str, space: gymnasium.Space[Any]) -> list[str]:
    """Return why the agent cannot observe the space; nothing if it can."""
    if not isinstance(space, Box):
        return [f"{agent} needs a Box of numbers to observe, the task offers {space}"]
    if len(space.shape) >= _IMAGE_AXES:
        return [f"{agent} has no network for images, the task offers {space}; reduce them first"]
    return []


def continuous_problems(agent: str, space: gymnasium.Space[Any]) -> list[str]:
    """Return why the agent cannot act in the space with continuous actions."""
    if not isinstance(space, Box) or not np.issubdtype(space.dtype, np.floating):
        return [f"{agent} needs a Box of floats to act in, the task offers {space}"]
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        return [f"{agent} needs bounded actions, the task offers {space}"]
    if not (space.low < space.high).all():
        return [f"{agent} needs actions with a range in every component, the task offers {space}"]
    return []


def discrete_problems(agent: str, space: gymnasium.Space[Any]) -> list[str]:
    """Return why the agent cannot act in the space with numbered actions."""
    if not isinstance(space, Discrete) or space.start != 0:
        return [f"{agent} needs a Discrete action space that starts at 0, the task offers {space}"]
    return []


def refuse_other_spaces(
    saved: tuple[dict[str, Any], dict[str, Any]], offered: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """Compare (observation, action) spaces as `describe` returns them.

    Raises:
        IncompatibleError: one or both differ; all differences are listed.
    """
    problems = [
        f"the agent was made for the {name} space {was}, this task has {now}"
        for name, was, now in zip(("observation", "action"), saved, offered, strict=True)
        if was != now
    ]
    if problems:
        raise IncompatibleError(problems)
