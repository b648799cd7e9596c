"""Second part of the training of `universal`: PPO lowers the regret."""

import numpy as np
import torch
from attrs import frozen
from torch import nn

from stempilot_agents.universal.features import SIZE
from training.actor import Actor
from training.imitation import Report
from training.practice import Practice

_EVERY = 25
"""Iterations between reports."""
_WITHIN = (-30.0, 10.0)
"""Limits of an advantage, in standard deviations of those that are not of losses."""


@frozen(kw_only=True)
class Improvement:
    """How much is improved, and how.

    Attributes:
        iterations: how often experience is followed by updates.
        horizon: steps of an iteration.
        parts: minibatches that an iteration is cut into.
        rate: learning rate of the policy at the beginning; it falls to a thirtieth.
        critic_rate: learning rate of the critic, likewise.
        discount: of a step's regret on the one before.
        trace: share of what later steps say that counts for a step (GAE's lambda).
        lost: what losing the feature costs at the beginning and at the end, in steps.
        entropy: weight of the spread at the beginning; it falls to zero.
        warm_up: iterations in which the critic alone learns.
        clip: largest change of an action's odds that an update is rewarded for.
        farthest: divergence from the policy that acted from which an iteration is at its end.
        steepest: largest norm of a gradient.
    """

    iterations: int = 1000
    horizon: int = 16
    parts: int = 8
    rate: float = 5e-4
    critic_rate: float = 1e-3
    discount: float = 0.95
    trace: float = 0.9
    lost: tuple[float, float] = (50.0, 50.0)
    entropy: float = 0.001
    warm_up: int = 8
    clip: float = 0.2
    farthest: float = 0.06
    steepest: float = 0.5


class Regret:
    """PPO on the regret, with a critic that is told the truth.

    Args:
        actor: learns.
        practice: where.
        lessons: how much.
        rng: where all randomness comes from.
    """

    def __init__(
        self, actor: Actor, practice: Practice, lessons: Improvement, rng: np.random.Generator
    ) -> None:
        self._actor, self._practice, self._lessons, self._rng = actor, practice, lessons, rng
        wide = SIZE + practice.privileged().shape[1]
        self._critic = nn.Sequential(
            nn.Linear(wide, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 1)
        )
        self._optimiser = torch.optim.Adam(actor.parameters(), lessons.rate)
        self._judge = torch.optim.Adam(self._critic.parameters(), lessons.critic_rate)
        self._steps = self._won = self._ended = 0

    def learn(self, report: Report) -> None:
        """Learn for all iterations."""
        lessons = self._lessons
        for number in range(lessons.iterations):
            done = number / lessons.iterations
            for optimiser, rate in (
                (self._optimiser, lessons.rate),
                (self._judge, lessons.critic_rate),
            ):
                for group in optimiser.param_groups:
                    group["lr"] = rate * max(1 / 30, 1 - done)
            batch = self._collect(done)
            self._update(batch, done, judge_only=number < lessons.warm_up)
            if (number + 1) % _EVERY == 0:
                share, self._won, self._ended = self._won / max(self._ended, 1), 0, 0
                spread = float(batch["spread"].exp().mean())
                regret = float((batch["regret"] * batch["live"]).mean())
                report(
                    f"iteration {number + 1}: {self._steps / 1e6:.2f} million steps, success "
                    f"{share:.4f}, regret {regret:.4f} a step, spread {spread:.3f}"
                )

    def _collect(self, done: float) -> dict[str, torch.Tensor]:
        """Return what a few steps of all instruments brought, each (steps, n, ...)."""
        lessons, practice = self._lessons, self._practice
        cost = lessons.lost[0] * (lessons.lost[1] / lessons.lost[0]) ** done
        rows: dict[str, list[torch.Tensor]] = {name: [] for name in _KEPT}
        for _ in range(lessons.horizon):
            told = torch.from_numpy(practice.told)
            with torch.no_grad():
                mean, spread = self._actor(told)
            noise = torch.from_numpy(self._rng.standard_normal(mean.shape, np.float32))
            move = mean + spread.exp() * noise
            privileged = torch.from_numpy(practice.privileged())
            judged = practice.step(move.numpy(), cost)
            values = (
                told,
                privileged,
                move,
                mean,
                spread,
                *map(torch.from_numpy, (judged.regret, judged.ended, judged.live)),
            )
            for name, value in zip(_KEPT, values, strict=True):
                rows[name].append(value)
            self._steps += int(judged.live.sum())
            self._won += int(judged.success.sum())
            self._ended += int(judged.ended.sum())
        rows["told"].append(torch.from_numpy(practice.told))
        rows["privileged"].append(torch.from_numpy(practice.privileged()))
        return {name: torch.stack(values) for name, values in rows.items()}

    def _value(self, told: torch.Tensor, privileged: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self._critic(torch.cat([self._actor.normal(told), privileged], -1))[
            ..., 0
        ]
        return value

    def _advantages(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return advantages and returns, (steps, n) each."""
        lessons = self._lessons
        with torch.no_grad():
            value = self._value(batch["told"], batch["privileged"])
        goes_on = 1 - batch["ended"].float()
        found = torch.zeros_like(batch["regret"])
        last = torch.zeros(found.shape[1])
        for step in reversed(range(len(found))):
            ahead = lessons.discount * goes_on[step]
            surprise = ahead * value[step + 1] - batch["regret"][step] - value[step]
            last = surprise + ahead * lessons.trace * last
            found[step] = last
        return found, found + value[:-1]

    def _update(self, batch: dict[str, torch.Tensor], done: float, *, judge_only: bool) -> None:
        advantages, returns = self._advantages(batch)
        live = batch["live"]
        flat = {name: batch[name][: len(live)][live] for name in _KEPT}
        advantage, target = advantages[live], returns[live]
        # Losses are rare and large; they must not set the scale of everything else.
        scale = advantage.clamp(-5, 5).std() + 1e-6
        advantage = ((advantage - advantage.mean()) / scale).clamp(*_WITHIN)
        before = _log_density(flat["move"], flat["mean"], flat["spread"])
        order = torch.from_numpy(self._rng.permutation(len(target)))
        near = not judge_only
        for rows in order.chunk(self._lessons.parts):
            told, privileged = flat["told"][rows], flat["privileged"][rows]
            # Otherwise a seed now and then runs away from all that it had learnt.
            near = near and self._improve(
                flat["move"][rows], told, before[rows], advantage[rows], done
            )
            miss = nn.functional.smooth_l1_loss(
                self._value(told, privileged), target[rows], beta=5.0
            )
            self._judge.zero_grad()
            torch.autograd.backward(miss)
            self._judge.step()

    def _improve(
        self,
        move: torch.Tensor,
        told: torch.Tensor,
        before: torch.Tensor,
        advantage: torch.Tensor,
        done: float,
    ) -> bool:
        """Make an update, if the policy is still near the one that acted; return whether it is."""
        clip = self._lessons.clip
        mean, spread = self._actor(told)
        change = _log_density(move, mean, spread) - before
        ratio = change.exp()
        if float((ratio - 1 - change).detach().mean()) > self._lessons.farthest:
            return False
        gained = torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()
        loss = -gained - self._lessons.entropy * (1 - done) * spread.mean()
        self._optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._actor.parameters(), self._lessons.steepest)
        self._optimiser.step()
        return True


_KEPT = ("told", "privileged", "move", "mean", "spread", "regret", "ended", "live")


def _log_density(move: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    value: torch.Tensor = (-0.5 * ((move - mean) / spread.exp()) ** 2 - spread).sum(-1)
    return value
