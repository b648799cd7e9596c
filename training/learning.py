"""Training of `universal` from nothing: the best actions are imitated, then PPO takes over."""

from typing import Any

import numpy as np
import torch
from attrs import field, frozen

from training.actor import Actor
from training.imitation import Imitation, Report, imitate
from training.practice import Practice
from training.regret import Improvement, Regret


@frozen(kw_only=True)
class Lessons:
    """How much is learnt, and how.

    Attributes:
        imitation: the first part.
        improvement: the second part.
    """

    imitation: Imitation = field(factory=Imitation)
    improvement: Improvement = field(factory=Improvement)


def train(practice: Practice, lessons: Lessons, seed: int, report: Report) -> dict[str, Any]:
    """Return the arrays of a network that was trained from nothing.

    The same practice, lessons and seed give the same arrays on the same machine.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    actor = Actor()
    imitate(actor, practice, lessons.imitation, rng, report)
    Regret(actor, practice, lessons.improvement, rng).learn(report)
    return actor.arrays()
