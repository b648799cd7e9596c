"""Stable-Baselines3's algorithms with their counters in the open, so that they can be continued."""

import copy
from typing import Any

import numpy.typing as npt
import torch
from attrs import evolve, field, frozen, validators
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import polyak_update

from stempilot_agents.learners.single_env import SingleEnv


@frozen(kw_only=True)
class Progress:
    """How far a learner is.

    Attributes:
        timesteps: timesteps in its life.
        updates: gradient steps in its life.
        episodes: episodes that it finished.
        updates_from: up to this many timesteps there are no updates, and actions are random.
        relearning: up to there only every second episode's actions are random.
        relearning_from: episodes that it had finished when relearning began.
        target_calls: timesteps as the target network's interval counts them (``dqn``).
        exploration_from: timesteps at which exploration began to fall (``dqn``).
        exploration_start: share of random actions that it fell from (``dqn``).
    """

    timesteps: int = field(default=0, validator=validators.ge(0))
    updates: int = field(default=0, validator=validators.ge(0))
    episodes: int = field(default=0, validator=validators.ge(0))
    updates_from: int = field(default=0, validator=validators.ge(0))
    relearning: bool = False
    relearning_from: int = field(default=0, validator=validators.ge(0))
    target_calls: int = field(default=0, validator=validators.ge(0))
    exploration_from: int = field(default=0, validator=validators.ge(0))
    exploration_start: float = field(default=0.0, validator=[validators.ge(0), validators.le(1)])


class Resumable(OffPolicyAlgorithm):
    """Adds to Stable-Baselines3 what resuming and relearning need of every algorithm.

    Attributes:
        relearning: before updates begin, every second episode is played as learnt before: random
            actions seldom reach the goal, and updates on them alone would unlearn its worth. The
            first one is random: actions that are all alike tell nothing of the other directions.
        relearning_from: episodes that were finished when it began.
    """

    relearning = False
    relearning_from = 0

    def begin_to_relearn(self) -> None:
        """Take the next episode for the first one of relearning."""
        self.relearning = True
        self.relearning_from = self._episode_num

    @property
    def buffer(self) -> ReplayBuffer:
        """The replay buffer, which exists from the start."""
        assert self.replay_buffer is not None  # noqa: S101 - for the type checker
        return self.replay_buffer

    @property
    def progress(self) -> Progress:
        """All counters."""
        return Progress(
            timesteps=self.num_timesteps,
            updates=self._n_updates,
            episodes=self._episode_num,
            updates_from=self.learning_starts,
            relearning=self.relearning,
            relearning_from=self.relearning_from,
        )

    def continue_from(self, progress: Progress) -> None:
        """Take over all counters."""
        self.num_timesteps = progress.timesteps
        self._n_updates = progress.updates
        self._episode_num = progress.episodes
        self.learning_starts = progress.updates_from
        self.relearning = progress.relearning
        self.relearning_from = progress.relearning_from

    @property
    def has_begun_to_update(self) -> bool:
        """Whether updates belong to the timesteps that follow; Stable-Baselines3's own rule."""
        return self.num_timesteps > max(0, self.learning_starts)

    def update_once(self) -> None:
        """Make one gradient update."""
        self.train(gradient_steps=1, batch_size=self.batch_size)

    def _sample_action(
        self,
        learning_starts: int,
        action_noise: ActionNoise | None = None,
        n_envs: int = 1,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return an action as it is meant and as it is remembered."""
        as_learnt = self.relearning and (self._episode_num - self.relearning_from) % 2 == 1
        return super()._sample_action(0 if as_learnt else learning_starts, action_noise, n_envs)

    def begin_episode(self) -> None:
        """Reset the environment if its last step ended an episode."""
        if isinstance(self.env, SingleEnv) and self.env.episode_over:
            self._last_obs = self.env.reset()


class ActorCritic(Resumable):
    """Keeps a running average of its actor: to be put before an algorithm that has one.

    Learning never looks at the average. It is a part of the policy so that it is saved with it.

    Attributes:
        actor: what learns to act.
        critic: what learns the worth of actions.
        log_ent_coef: the logarithm of a learnt entropy coefficient.
        ent_coef_optimizer: what it is learnt by.
        averaged_actor: the running average.
        policy_tau: share of the actor that it takes over at each update.
    """

    actor: Any
    critic: Any
    log_ent_coef: torch.Tensor | None
    ent_coef_optimizer: Any
    averaged_actor: Any
    policy_tau = 1.0

    def average_from_now_on(self, policy_tau: float) -> None:
        """Begin to average the actor's weights.

        Args:
            policy_tau: share of the actor that the average takes over at each update.
        """
        self.policy_tau = policy_tau
        self.averaged_actor = copy.deepcopy(self.actor).requires_grad_(requires_grad=False)
        self.policy.add_module("averaged_actor", self.averaged_actor)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update the networks, then let the average follow."""
        super().train(gradient_steps, batch_size)
        self.follow(gradient_steps)

    def follow(self, gradient_steps: int) -> None:
        """Let the average follow the actor by so many updates."""
        share = 1.0 - (1.0 - self.policy_tau) ** gradient_steps
        polyak_update(_numbers(self.actor), _numbers(self.averaged_actor), share)


class ResumableSac(ActorCritic, SAC):
    """Soft actor-critic that can be continued."""


class ResumableDqn(Resumable, DQN):
    """Deep Q-network that can be continued; exploration falls by timesteps, not by progress."""

    exploration_from = 0
    exploration_start = 1.0
    exploration_timesteps = 1

    def explore(self, start: float, *, final: float, timesteps: int) -> None:
        """Let the share of random actions fall from ``start`` to ``final`` from now on."""
        self.exploration_from = self.num_timesteps
        self.exploration_start = start
        self.exploration_final_eps = final
        self.exploration_timesteps = timesteps
        self.exploration_schedule = self._exploration
        self.exploration_rate = self._exploration()

    def _exploration(self, progress_remaining: float = 0.0) -> float:
        del progress_remaining  # it depends on how long the training is asked to be
        done = (self.num_timesteps - self.exploration_from) / self.exploration_timesteps
        return self.exploration_start + min(done, 1.0) * (
            self.exploration_final_eps - self.exploration_start
        )

    @property
    def progress(self) -> Progress:
        """All counters."""
        return evolve(
            super().progress,
            target_calls=self._n_calls,
            exploration_from=self.exploration_from,
            exploration_start=self.exploration_start,
        )

    def continue_from(self, progress: Progress) -> None:
        """Take over all counters."""
        super().continue_from(progress)
        self._n_calls = progress.target_calls
        self.exploration_from = progress.exploration_from
        self.exploration_start = progress.exploration_start
        self.exploration_rate = self._exploration()


def _numbers(module: torch.nn.Module) -> list[torch.Tensor]:
    """Return parameters, and what layers keep in addition: running means and variances."""
    kept = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    return [*module.parameters(), *kept]
