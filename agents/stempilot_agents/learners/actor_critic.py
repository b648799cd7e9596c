"""Shared by soft actor-critic and its relatives as learners."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import gymnasium
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor

from stempilot import Brief, IncompatibleError, Policy, RunDirError
from stempilot_agents.learners.base import ACTIVATIONS, AgentDocument, OffPolicyLearner
from stempilot_agents.learners.model_arrays import linear_layers
from stempilot_agents.learners.network_policy import ContinuousPolicy, Layer, Network
from stempilot_agents.learners.resumable import ActorCritic
from stempilot_agents.learners.sac_config import ActorCriticConfig
from stempilot_agents.learners.spaces import continuous_problems, observation_problems

C = TypeVar("C", bound=ActorCriticConfig)


class ActorCriticLearner(OffPolicyLearner[C, ActorCritic]):
    """Continuous actions, exploration by a learnt entropy.

    Attributes:
        algorithm: what learns.
        networks: its networks, a class or the library's name of one.
        extractor: what observations go through first.
    """

    algorithm: ClassVar[type[ActorCritic]]
    networks: ClassVar[str | type[BasePolicy]] = "MlpPolicy"
    extractor: ClassVar[type[FlattenExtractor]] = FlattenExtractor

    def __init__(self, config: C, brief: Brief) -> None:
        """Make the networks from the brief's seed.

        Raises:
            IncompatibleError: the task's spaces are not of the kind that it can use.
        """
        problems = [
            *observation_problems(self.kind, brief.observation_space),
            *continuous_problems(self.kind, brief.action_space),
        ]
        if problems:
            raise IncompatibleError(problems)
        super().__init__(config, brief)

    def _build(self, blueprint: gymnasium.Env[Any, Any]) -> ActorCritic:
        config = self._config
        coefficient: str | float = config.entropy_coefficient
        if coefficient == "auto":
            coefficient = f"auto_{config.initial_entropy_coefficient!r}"
        options: dict[str, Any] = {
            "learning_rate": config.learning_rate,
            "buffer_size": config.buffer_size,
            "learning_starts": config.learning_starts,
            "batch_size": config.batch_size,
            "gamma": config.gamma,
            "gradient_steps": config.gradient_steps,
            "ent_coef": coefficient,
            "target_entropy": "auto" if config.target_entropy is None else config.target_entropy,
            "policy_kwargs": {
                "net_arch": list(config.hidden_sizes),
                "activation_fn": ACTIVATIONS[config.activation],
                "features_extractor_class": self.extractor,
                # The same Adam in fewer calls: an update takes about a sixth less time.
                "optimizer_kwargs": {"fused": True},
                **self._network_arguments(),
            },
            "device": "cpu",
        }
        model = self.algorithm(self.networks, blueprint, **options, **self._arguments())
        model.average_from_now_on(config.policy_tau)
        return model

    def _arguments(self) -> Mapping[str, Any]:
        """Return the options of the algorithm that the others do not have."""
        return {}

    def _network_arguments(self) -> Mapping[str, Any]:
        """Return the same of its networks."""
        return {}

    def _check(self, file: Path, document: AgentDocument) -> None:
        super()._check(file, document)
        saved, asked = document.config.get("entropy_coefficient"), self._config.entropy_coefficient
        if (saved == "auto") != (asked == "auto"):
            msg = (
                f"{file}: config.entropy_coefficient = {saved!r}, asked for {asked!r}; one that is "
                "learnt and one that is fixed cannot take each other's place"
            )
            raise RunDirError(msg)

    def _optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        model = self._model
        optimisers = {
            "actor_optimiser": model.actor.optimizer,
            "critic_optimiser": model.critic.optimizer,
        }
        if model.ent_coef_optimizer is not None:
            optimisers["entropy_optimiser"] = model.ent_coef_optimizer
        return optimisers

    def _loose_tensors(self) -> Mapping[str, torch.Tensor]:
        learnt = self._model.log_ent_coef
        return {} if learnt is None else {"log_entropy_coefficient": learnt}

    def policy(self) -> Policy:
        """Return the deterministic policy of the running average as it is now, in NumPy."""
        network = Network(self._layers(), self._config.activation)
        return self._watched(ContinuousPolicy(network, cast("Box", self._model.action_space)))

    def _layers(self) -> list[Layer]:
        """Return the layers from an observation to the squashed mean of the running average."""
        actor = self._model.averaged_actor
        return linear_layers(actor.latent_pi, actor.mu)
