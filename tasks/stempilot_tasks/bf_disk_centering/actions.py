"""What an agent may ask for: moves in shares of a full action, for any leading batch shape."""

from typing import Any, Final

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from stempilot_tasks.bf_disk_centering.config import ActionKind
from stempilot_tasks.bf_disk_centering.geometry import FloatArray

_DIRECTIONS: Final = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))

DISCRETE_MOVES: Final = np.concatenate([np.array(_DIRECTIONS), np.array(_DIRECTIONS) / 4])
"""(8, 2): +x, -x, +y, -y as full actions, then as quarters of one.

The paper's discrete actions are not published. The quarters are ours: full actions alone make a
grid of 40.8 px that need not come within 12.2 px of the goal, with quarters it does.
"""
DISCRETE_MOVES.flags.writeable = False


def action_space(kind: ActionKind) -> Space[Any]:
    """Return a new space of the actions: it carries a random state of its own."""
    if kind == "discrete":
        return Discrete(len(DISCRETE_MOVES))
    return Box(-1.0, 1.0, (2,), dtype=np.float32)


def moves(kind: ActionKind, actions: Any) -> FloatArray:
    """Return what actions ask for, (..., 2) in full actions of the knob's x and y.

    Args:
        kind: which action space.
        actions: (..., 2) numbers, or (...) numbers of moves where discrete.
    """
    if kind == "discrete":
        chosen: FloatArray = DISCRETE_MOVES[actions]
        return chosen
    return np.asarray(actions, dtype=np.float64)
