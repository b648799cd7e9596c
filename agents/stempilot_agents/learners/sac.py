"""Soft actor-critic on Stable-Baselines3."""

from collections.abc import Mapping
from typing import Any, ClassVar

from stempilot import Brief
from stempilot_agents.learners.actor_critic import ActorCriticLearner
from stempilot_agents.learners.resumable import ActorCritic, ResumableSac
from stempilot_agents.learners.sac_config import SacConfig

__all__ = ["SacConfig", "SacLearner", "make_sac"]


class SacLearner(ActorCriticLearner[SacConfig]):
    """Soft actor-critic: continuous actions, exploration by a learnt entropy."""

    kind = "sac"
    algorithm: ClassVar[type[ActorCritic]] = ResumableSac

    def _arguments(self) -> Mapping[str, Any]:
        return {"tau": self._config.tau}


def make_sac(config: SacConfig, brief: Brief) -> SacLearner:
    """Return a fresh soft actor-critic learner.

    Raises:
        IncompatibleError: the task's spaces are not of the kind that it can use.
    """
    return SacLearner(config, brief)
