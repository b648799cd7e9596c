"""Practice of `universal`: many instruments side by side whose truth is known to the teacher.

What the policy is told here is what it is told where it is used: `universal_features` of its own
moves. The truth serves to show what would have been right and to judge what was done.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot_agents.universal.agent import actions
from stempilot_agents.universal.features import HEDGED, features
from stempilot_agents.universal.memory import Field, Flags, Floats, Memory, Vectors, complexes

GRACE = 0.7
"""Share of the tolerance that the count of steps to go aims at."""

_SURE = 3.0
"""Logarithm of the odds of the hands from which the truth is shown."""

_LONGEST = 20.0
"""Most steps that a single step can lose."""


@frozen(kw_only=True, eq=False)
class Seen:
    """What one step of n instruments shows; each has n rows.

    Attributes:
        residual: (n, 2) in the observation's unit.
        begun: an episode began in this step, which ignored its action.
        success: an episode ended well.
        failure: an episode ended otherwise.
    """

    residual: npt.NDArray[Any]
    begun: Flags
    success: Flags
    failure: Flags


class Instruments(Protocol):
    """n instruments to practise on.

    Episodes that ended begin again in the step after, which ignores its action.
    """

    @property
    def field(self) -> Field:
        """Where the episodes take place."""

    def reset(self) -> Seen:
        """Begin an episode on each instrument."""

    def step(self, taken: npt.NDArray[np.float32]) -> Seen:
        """Carry out actions, (n, 2)."""

    def needed(self) -> Vectors:
        """Return the changes of the command that would centre now, (n,) in full actions.

        They are not limited to what one action can do.
        """

    def told(self) -> Floats:
        """Return what only a judge may know of the instruments, (n, m) of order one."""


@frozen(kw_only=True, eq=False)
class Judged:
    """What one step was worth; each is (n,).

    Attributes:
        regret: steps taken, and what they added to those that the best possible actions need.
        live: whether the step counts; it does not where an episode began.
        ended: whether an episode ended.
        success: whether it ended well.
    """

    regret: Floats
    live: Flags
    ended: Flags
    success: Flags


class Practice:
    """Instruments and the memory of what was done on them.

    Args:
        instruments: where to practise.

    Attributes:
        told: (n, SIZE) what the policy is told now.
        unit: (n,) what its answers are measured in.
        left: (n,) how many steps the best possible actions would still need.
        needed: (n,) the exact changes of the command, in full actions.
        over: (n,) whether an episode has just ended, so that nothing is to be done.
    """

    told: Floats
    unit: Floats
    left: Floats
    needed: Vectors
    over: Flags

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self.memory = Memory(instruments.field)
        self._take(instruments.reset())

    def _take(self, seen: Seen) -> None:
        memory = self.memory
        memory.begin(seen.begun)
        memory.observe(complexes(seen.residual / memory.field.unit[:, None]))
        self.told, self.unit = features(memory)
        self.over = seen.success | seen.failure
        self.needed = self._instruments.needed()
        self.left = steps_to_go(self.needed, memory.before, memory.field.tolerance)

    def step(self, answers: Floats, lost: float) -> Judged:
        """Carry out the network's answers, (n, 2); ``lost`` is what losing costs, in steps."""
        memory, before = self.memory, self.left
        taken = actions(answers, self.unit, memory.field)
        memory.act(taken)
        seen = self._instruments.step(np.stack([taken.real, taken.imag], 1))
        self._take(seen)
        after = np.where(seen.success, 0.0, np.where(seen.failure, lost + before, self.left))
        regret = np.maximum(after - before, -_LONGEST) + 1
        return Judged(
            regret=np.asarray(regret, np.float32),
            live=~seen.begun,
            ended=self.over,
            success=seen.success,
        )

    def privileged(self) -> Floats:
        """Return what only a judge is told, (n, m)."""
        share = self.needed * self.memory.field.full / self.unit
        columns = [
            np.log(self.left),
            np.clip(share.real, -3, 3),
            np.clip(share.imag, -3, 3),
            self.memory.count / 5,
        ]
        return np.concatenate(
            [np.stack(columns, 1), self._instruments.told()], axis=1, dtype=np.float32
        )

    def best(self) -> Floats:
        """Return the answers, (n, 2), that the truth asks for, as far as anybody could know it.

        At first those are careful probes, then what serves both hands.
        """
        memory = self.memory
        best = np.clip(self.needed.real, -1, 1) + 1j * np.clip(self.needed.imag, -1, 1)
        answers = best * (memory.field.full / self.unit)
        right = np.stack([answers.real, answers.imag], 1).astype(np.float32)
        unsure = np.abs(memory.score[..., 0].max(1) - memory.score[..., 1].max(1)) < _SURE
        return np.where(unsure[:, None], self.told[:, HEDGED], right)


def steps_to_go(needed: Vectors, residual: Vectors, tolerance: Floats) -> Floats:
    """Return a smooth count of the steps that the best actions need, (n,), at least 1.

    Args:
        needed: (n,) exact changes of the command, in full actions.
        residual: (n,) in half fields.
        tolerance: (n,) likewise.
    """
    steps = np.maximum(np.abs(needed.real), np.abs(needed.imag))
    far = np.maximum(np.abs(residual), np.float32(1e-6))
    share = np.maximum(far - GRACE * tolerance, 0) / far
    return np.asarray(np.maximum(1, steps * share + 0.5), np.float32)
