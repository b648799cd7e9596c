"""The verdict and the reward of a timestep (Eq. 1): array code for any leading batch shape.

Distances, tolerance and size are in one unit. Only operators are used that mean the same for plain
numbers and for arrays, so that one timestep costs no more than plain arithmetic.
"""

from typing import Any, Final

from stempilot_tasks.bf_disk_centering.config import RewardKind

CENTRED: Final = 100.0
FAILED: Final = -100.0
"""Disk lost, steps exhausted, or the plan refused by the envelope."""

_EPSILON: Final = 1e-9
"""Relative: three bins, converted to pixels and back, are to be three bins."""

Numbers = Any
"""A float or an array of (...) floats; results are what the arguments are."""
Flags = Any
"""A bool or an array of (...) bools; results are what the arguments are."""


def verdict(
    distance: Numbers,
    tolerance: Numbers,
    lost: Flags,
    *,
    steps: Numbers = 0,
    step_limit: int | None = None,
) -> tuple[Flags, Flags]:
    """Return which timesteps succeed and which fail; the others go on.

    A lost disk fails wherever it was last seen. Centred in the last allowed step is centred; a
    distance equal to the tolerance is centred (the published code's reading; under the text's
    strict inequality a tolerance of 0 could never be met).

    Args:
        distance: (...) from the goal after the timestep.
        tolerance: largest distance that counts as centred.
        lost: (...) whether the disk is out of sight or too near to the edge.
        steps: (...) timesteps into the episode.
        step_limit: timesteps after which the task has failed.
    """
    shown = lost ^ True
    centred = shown & (distance <= tolerance * (1 + _EPSILON))
    if step_limit is None:
        return centred, lost
    return centred, lost | ((steps >= step_limit) & (centred ^ True))


def reward(
    kind: RewardKind,
    before: Numbers,
    after: Numbers,
    *,
    success: Flags,
    failure: Flags,
    size: float,
) -> Numbers:
    """Return the rewards, (...). Terminal ones replace the stepwise one.

    Args:
        kind: shape of the stepwise reward.
        before: (...) distance before the timestep.
        after: (...) distance after it.
        success: (...) the task succeeded.
        failure: (...) the task failed or its plan was refused.
        size: distance that costs 1 in the informative reward.
    """
    running = 1.0 - (success | failure)
    return CENTRED * success + FAILED * failure + running * stepwise(kind, before, after, size)


def stepwise(kind: RewardKind, before: Numbers, after: Numbers, size: float) -> Numbers:
    """Return the rewards of timesteps that end nothing, (...)."""
    if kind == "sparse":
        return 0.0 * after
    direction = 1.0 - 2.0 * (after > before)
    return direction - after / size if kind == "informative" else direction
