"""CrossQ on sb3-contrib: soft actor-critic with batch renormalisation and no target critics."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from stempilot import Brief
from stempilot_agents.learners.actor_critic import ActorCriticLearner
from stempilot_agents.learners.contrib import BatchRenorm, CrossQ
from stempilot_agents.learners.crossq_config import CrossqConfig
from stempilot_agents.learners.model_arrays import linear_layers
from stempilot_agents.learners.network_policy import Layer
from stempilot_agents.learners.resumable import ActorCritic

__all__ = ["CrossqConfig", "CrossqLearner", "make_crossq"]

# The library's own, which it would forget where another option of Adam is given.
_BETAS = (0.5, 0.999)


class ResumableCrossQ(ActorCritic, CrossQ):
    """CrossQ that can be continued."""


class CrossqLearner(ActorCriticLearner[CrossqConfig]):
    """Soft actor-critic whose layers renormalise what they are given."""

    kind = "crossq"
    bound_to_numbers = (
        *ActorCriticLearner.bound_to_numbers,
        "critic_hidden_sizes",
        "policy_delay",
    )
    algorithm: ClassVar[type[ActorCritic]] = ResumableCrossQ

    def _arguments(self) -> Mapping[str, Any]:
        return {"policy_delay": self._config.policy_delay}

    def _network_arguments(self) -> Mapping[str, Any]:
        config = self._config
        return {
            "net_arch": {"pi": list(config.hidden_sizes), "qf": list(config.critic_hidden_sizes)},
            "optimizer_kwargs": {"fused": True, "betas": _BETAS},
            "batch_norm_momentum": config.renorm_momentum,
            "renorm_warmup_steps": config.renorm_from,
        }

    def _optimisers_after(self, updates: int) -> Mapping[str, torch.optim.Optimizer]:
        acted = updates >= self._config.policy_delay
        found = super()._optimisers_after(updates)
        return {name: one for name, one in found.items() if acted or name == "critic_optimiser"}

    def _layers(self) -> list[Layer]:
        """Return the layers with what the renormalisation before each does as a part of them."""
        actor = self._model.averaged_actor
        before = [part for part in actor.latent_pi if isinstance(part, BatchRenorm)]
        return [
            _with_renorm(layer, part)
            for layer, part in zip(linear_layers(actor.latent_pi, actor.mu), before, strict=True)
        ]


def _with_renorm(layer: Layer, before: BatchRenorm) -> Layer:
    """Return a layer that does what a renormalisation and the layer after it do."""
    kept = before.state_dict()
    mean, variance, scale, shift = (
        kept[name].numpy().astype(float) for name in ("ra_mean", "ra_var", "scale", "bias")
    )
    weight, bias = layer
    gain = scale / np.sqrt(variance + before.eps)
    return (
        (weight * gain).astype(np.float32),
        (bias + weight @ (shift - gain * mean)).astype(np.float32),
    )


def make_crossq(config: CrossqConfig, brief: Brief) -> CrossqLearner:
    """Return a fresh learner.

    Raises:
        IncompatibleError: the task's spaces are not of the kind that it can use.
    """
    return CrossqLearner(config, brief)
