"""One update of a soft actor-critic, written for small networks on one CPU thread.

The losses are those of Haarnoja et al., "Soft Actor-Critic Algorithms and Applications", 2018
(arXiv:1812.05905), with a learnt entropy coefficient. Where there are more than two critics, two
that are drawn judge (Chen et al., "Randomized Ensembled Double Q-Learning", 2021,
arXiv:2101.05982; here the actor too is judged by two and not by the mean of all).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import torch
from attrs import frozen
from stable_baselines3.common.utils import polyak_update
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN, Actor
from torch.nn.functional import softplus

from stempilot import Transitions
from stempilot_agents.learners.model_arrays import transitions
from stempilot_agents.learners.resumable import ResumableSac
from stempilot_agents.sac_rapid.networks import Critics

_PAIR: Final = 2

Relabel = Callable[[Transitions, np.random.Generator], Transitions]


@frozen(kw_only=True, eq=False)
class Batch:
    """The batch of one update; n rows, rewards scaled, observations of order 1.

    Attributes:
        before: (n, entries).
        actions: (n, components) from -1 to 1.
        rewards: (n,).
        after: (n, entries).
        going_on: (n,) 0 where the task ended the episode, 1 elsewhere.
    """

    before: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    after: torch.Tensor
    going_on: torch.Tensor


def sampled(actor: Actor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return drawn actions (n, components) from -1 to 1 and the logarithm of their density (n,)."""
    latent = actor.latent_pi(features)
    # Without state-dependent exploration it is a layer.
    log_std = actor.log_std(latent).clamp(LOG_STD_MIN, LOG_STD_MAX)  # type: ignore[operator]
    mean = actor.mu(latent)
    noise = torch.randn_like(mean)
    raw = torch.addcmul(mean, log_std.exp(), noise)
    # log(1 - tanh(x)^2) = 2 (log 2 - x - softplus(-2 x)), which loses no digits at the ends.
    squashed = 2.0 * (math.log(2.0) - raw - softplus(-2.0 * raw))
    normal = -0.5 * (noise * noise + math.log(2.0 * math.pi)) - log_std
    return torch.tanh(raw), (normal - squashed).sum(dim=1)


def smaller_of_two(values: torch.Tensor) -> torch.Tensor:
    """Return from (critics, n) values the smaller ones of two critics that are drawn, (n,)."""
    if len(values) > _PAIR:
        values = values[torch.randperm(len(values))[:_PAIR]]
    return values.amin(dim=0)


class RapidSac(ResumableSac):
    """Soft actor-critic whose updates are ours; collecting is Stable-Baselines3's.

    Attributes:
        relabel: the task's symmetry, where there is one to learn from.
        reward_scale: what remembered rewards were multiplied by.
    """

    # `RapidPolicy` makes these instead of Stable-Baselines3's.
    critic: Critics  # type: ignore[assignment]
    critic_target: Critics  # type: ignore[assignment]
    relabel: Relabel | None = None
    reward_scale = 1.0

    def _setup_model(self) -> None:
        super()._setup_model()
        learnt = [] if self.log_ent_coef is None else [self.log_ent_coef]
        self.optimiser = torch.optim.Adam(
            [*self.actor.parameters(), *self.critic.parameters(), *learnt],
            lr=self.lr_schedule(1),
            fused=True,
        )

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Make updates on batches that are drawn, and relabelled, in one go."""
        numbers: Mapping[str, torch.Tensor] = {}
        for batch in self._batches(gradient_steps, batch_size):
            numbers = self._update(batch)
        self._n_updates += gradient_steps
        for name, value in numbers.items():
            self.logger.record(f"train/{name}", value.item())
        self.follow(gradient_steps)

    def _batches(self, count: int, size: int) -> Iterator[Batch]:
        rng = self.action_space.np_random
        rows = rng.integers(self.buffer.size(), size=count * size)
        batch = transitions(self.buffer, rows, reward_scale=self.reward_scale)
        if self.relabel is not None:
            batch = self.relabel(batch, rng)
        scaled = self.actor.features_extractor
        columns = (
            scaled(torch.from_numpy(batch.observations)),
            torch.from_numpy(self.policy.scale_action(batch.actions).reshape(len(rows), -1)),
            torch.from_numpy((batch.rewards * self.reward_scale).astype(np.float32)),
            scaled(torch.from_numpy(batch.next_observations)),
            torch.from_numpy((~batch.terminated).astype(np.float32)),
        )
        names = ("before", "actions", "rewards", "after", "going_on")
        for parts in zip(*(column.split(size) for column in columns), strict=True):
            yield Batch(**dict(zip(names, parts, strict=True)))

    def _update(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        """Make one step for critics, actor and entropy coefficient together.

        The actor is judged by the critics as they were before the step: one backward pass and one
        optimiser instead of three of each.
        """
        actions, log_density = sampled(self.actor, batch.before)
        coefficient, entropy_loss = self._entropy(log_density)
        with torch.no_grad():
            next_actions, next_density = sampled(self.actor, batch.after)
            worst = smaller_of_two(self.critic_target(batch.after, next_actions))
            future = self.gamma * batch.going_on * (worst - coefficient * next_density)
            target = batch.rewards + future
        error = self.critic(batch.before, batch.actions) - target
        critic_loss = 0.5 * (error * error).mean(dim=1).sum()
        value = smaller_of_two(self.critic(batch.before, actions, learning=False))
        actor_loss = (coefficient * log_density - value).mean()
        self.optimiser.zero_grad()
        (critic_loss + actor_loss + entropy_loss).backward()
        self.optimiser.step()
        polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
        return {"ent_coef": coefficient, "actor_loss": actor_loss, "critic_loss": critic_loss}

    def _entropy(self, log_density: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | float]:
        """Return the coefficient as it is and the loss by which it is learnt."""
        if self.log_ent_coef is None:
            return self.ent_coef_tensor, 0.0
        surplus = (log_density.detach() + float(self.target_entropy)).mean()
        return self.log_ent_coef.detach().exp(), -(self.log_ent_coef * surplus).sum()
