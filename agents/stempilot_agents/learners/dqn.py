"""Deep Q-network on Stable-Baselines3, for tasks with discrete actions."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import torch

from stempilot import Brief, IncompatibleError, Policy, Transitions
from stempilot_agents.learners.base import ACTIVATIONS, OffPolicyLearner
from stempilot_agents.learners.dqn_config import DqnConfig
from stempilot_agents.learners.model_arrays import linear_layers
from stempilot_agents.learners.network_policy import GreedyPolicy, Network
from stempilot_agents.learners.resumable import ResumableDqn
from stempilot_agents.learners.spaces import discrete_problems, observation_problems

__all__ = ["DqnConfig", "DqnLearner", "make_dqn"]


class DqnLearner(OffPolicyLearner[DqnConfig, ResumableDqn]):
    """Deep Q-network: numbered actions, exploration by random ones that become rarer."""

    kind = "dqn"

    def _build(self, blueprint: gymnasium.Env[Any, Any]) -> ResumableDqn:
        config = self._config
        model = ResumableDqn(
            "MlpPolicy",
            blueprint,
            learning_rate=config.learning_rate,
            buffer_size=config.buffer_size,
            learning_starts=config.learning_starts,
            batch_size=config.batch_size,
            tau=config.tau,
            gamma=config.gamma,
            train_freq=1,
            gradient_steps=config.gradient_steps,
            target_update_interval=config.target_update_interval,
            policy_kwargs={
                "net_arch": list(config.hidden_sizes),
                "activation_fn": ACTIVATIONS[config.activation],
            },
            device="cpu",
        )
        self._explore(model, config.exploration_initial)
        return model

    def _explore(self, model: ResumableDqn, start: float) -> None:
        model.explore(
            start,
            final=self._config.exploration_final,
            timesteps=self._config.exploration_timesteps,
        )

    def _optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"optimiser": self._model.policy.optimizer}

    def policy(self) -> Policy:
        """Return the deterministic policy as it is now, in NumPy."""
        layers = linear_layers(self._model.q_net.q_net)
        return self._watched(GreedyPolicy(Network(layers, self._config.activation)))

    def _begin_again(self, recorded: Transitions | None) -> tuple[str, ...]:
        """Explore again for a while, too."""
        start = self._config.relearn_exploration
        self._explore(self._model, start)
        return (
            *super()._begin_again(recorded),
            f"Exploration starts again with {start:.0%} random actions.",
        )


def make_dqn(config: DqnConfig, brief: Brief) -> DqnLearner:
    """Return a fresh deep Q-network learner.

    Raises:
        IncompatibleError: the task's spaces are not of the kind that it can use.
    """
    problems = [
        *observation_problems("dqn", brief.observation_space),
        *discrete_problems("dqn", brief.action_space),
    ]
    if problems:
        raise IncompatibleError(problems)
    return DqnLearner(config, brief)
