"""Actions as their space has them, whichever width of numbers they come in."""

from typing import Any

import gymnasium
import numpy as np

from stempilot.errors import IncompatibleError


def as_action(action: Any, space: gymnasium.Space[Any]) -> Any:
    """Return an action as a sample of its space; floating numbers of any width become the space's.

    Raises:
        IncompatibleError: it is outside, of another shape, or of another kind of numbers.
    """
    kind = getattr(action, "dtype", None)
    try:
        if isinstance(space, gymnasium.spaces.Box) and (kind is None or kind.kind == "f"):
            with np.errstate(over="ignore"):
                action = np.asarray(action, dtype=np.float64).astype(space.dtype)
            kind = space.dtype
        inside = space.contains(action)
    except (TypeError, ValueError):
        inside = False
    if not inside:
        wrong = (
            f"; its dtype is {kind}, not {space.dtype}" if kind not in {None, space.dtype} else ""
        )
        raise IncompatibleError([f"action {action!r} lies outside {space}{wrong}"])
    return action
