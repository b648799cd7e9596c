"""Truncated quantile critics on sb3-contrib."""

from collections.abc import Mapping
from typing import Any, ClassVar

from stempilot import Brief
from stempilot_agents.learners.actor_critic import ActorCriticLearner
from stempilot_agents.learners.contrib import TQC
from stempilot_agents.learners.resumable import ActorCritic
from stempilot_agents.learners.tqc_config import TqcConfig

__all__ = ["TqcConfig", "TqcLearner", "make_tqc"]


class ResumableTqc(ActorCritic, TQC):
    """Truncated quantile critics that can be continued."""


class TqcLearner(ActorCriticLearner[TqcConfig]):
    """Soft actor-critic whose critics learn a distribution; its upper end is left out."""

    kind = "tqc"
    bound_to_numbers = (*ActorCriticLearner.bound_to_numbers, "critics", "quantiles")
    algorithm: ClassVar[type[ActorCritic]] = ResumableTqc

    def _arguments(self) -> Mapping[str, Any]:
        config = self._config
        return {"tau": config.tau, "top_quantiles_to_drop_per_net": config.dropped_quantiles}

    def _network_arguments(self) -> Mapping[str, Any]:
        return {"n_critics": self._config.critics, "n_quantiles": self._config.quantiles}


def make_tqc(config: TqcConfig, brief: Brief) -> TqcLearner:
    """Return a fresh learner.

    Raises:
        IncompatibleError: the task's spaces are not of the kind that it can use.
    """
    return TqcLearner(config, brief)
