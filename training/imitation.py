"""First part of the training of `universal`: what the truth would have asked for is imitated."""

from collections.abc import Callable

import numpy as np
import torch
from attrs import frozen
from torch import nn

from stempilot_agents.universal.memory import Floats
from training.actor import Actor
from training.practice import Practice

Report = Callable[[str], object]

_NOISY = 0.3
"""Share of the moves that are disturbed."""
_RESCALED = frozenset({0, 2, 7})
"""After which rounds the scale of the features is measured again."""


@frozen(kw_only=True)
class Imitation:
    """How much is imitated, and how.

    Attributes:
        rounds: how often experience is followed by updates.
        steps: steps of a round.
        updates: updates after them.
        rate: learning rate at the beginning; it falls to a tenth.
        led: rounds in which it is led by what is right, less and less.
        kept: steps that are learnt from, the latest.
    """

    rounds: int = 60
    steps: int = 8
    updates: int = 12
    rate: float = 2e-3
    led: int = 6
    kept: int = 120


def imitate(
    actor: Actor, practice: Practice, lessons: Imitation, rng: np.random.Generator, report: Report
) -> None:
    """Learn what the truth would have asked for, on the learner's own episodes.

    Args:
        actor: learns; its scale of the features is set too.
        practice: where to.
        lessons: how much.
        rng: where all randomness comes from.
        report: told how it goes.
    """
    optimiser = torch.optim.Adam(actor.parameters(), lessons.rate)
    told: list[Floats] = []
    right: list[Floats] = []
    loss = torch.zeros(())
    for number in range(lessons.rounds):
        for _ in range(lessons.steps):
            best, goes_on = practice.best(), ~practice.over
            told.append(practice.told[goes_on])
            right.append(best[goes_on])
            led = max(0.0, 1 - number / lessons.led)
            practice.step(_tried(actor, practice, best, led, rng), 0.0)
        told, right = told[-lessons.kept :], right[-lessons.kept :]
        if number in _RESCALED:
            _rescale(actor, np.concatenate(told))
        for group in optimiser.param_groups:
            group["lr"] = lessons.rate * max(0.1, 1 - number / lessons.rounds)
        for _ in range(lessons.updates):
            x, y = _sampled(told, right, rng)
            loss = nn.functional.smooth_l1_loss(actor(x)[0], y, beta=0.5)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
    report(f"imitated: {lessons.rounds} rounds, loss {loss.item():.4f}")


def _tried(
    actor: Actor, practice: Practice, best: Floats, led: float, rng: np.random.Generator
) -> Floats:
    """Return what to do: what is right as often as ``led`` says, else what was learnt; noise."""
    count = len(best)
    right = (rng.random(count) < led)[:, None]
    moves = np.where(right, best, actor.answers(practice.told))
    noisy = rng.random((count, 1)) < _NOISY
    noise = 0.1 * rng.standard_normal(moves.shape).astype(np.float32) * noisy
    return np.asarray(moves + noise, np.float32)


def _rescale(actor: Actor, told: Floats) -> None:
    actor.mean.copy_(torch.from_numpy(told.mean(0)))
    actor.scale.copy_(torch.from_numpy(told.std(0) + np.float32(0.05)))


def _sampled(
    told: list[Floats], right: list[Floats], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    xs, ys = [], []
    for _ in range(2):
        step = int(rng.integers(len(told)))
        rows = rng.integers(len(told[step]), size=1024)
        xs.append(torch.from_numpy(told[step][rows]))
        ys.append(torch.from_numpy(right[step][rows]))
    return torch.cat(xs), torch.cat(ys)
