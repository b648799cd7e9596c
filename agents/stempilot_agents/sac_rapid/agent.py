"""Soft actor-critic that learns from few timesteps: many updates, and the task's symmetry.

The prior it uses is the task's own: `stempilot.Symmetric.relabel` says which other timesteps
were just as possible as those that were met, and what reward they would have had. For centring
that is that displacements do not depend on the place. Whether they do is measured.
"""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import gymnasium
import torch
from attrs import evolve
from gymnasium.spaces import Box
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor

from stempilot import Brief, LearnReport, Report, Transitions
from stempilot_agents.learners.model_arrays import recall
from stempilot_agents.learners.network_policy import Layer
from stempilot_agents.learners.resumable import ActorCritic
from stempilot_agents.learners.sac import SacLearner
from stempilot_agents.sac_rapid.config import RapidConfig, suited
from stempilot_agents.sac_rapid.networks import RapidPolicy, Scaled, magnitudes
from stempilot_agents.sac_rapid.prior import MOST, dependence_on_place
from stempilot_agents.sac_rapid.update import RapidSac

__all__ = ["RapidConfig", "RapidLearner", "make_rapid"]

_log = logging.getLogger(__name__)


class RapidLearner(SacLearner):
    """Soft actor-critic with updates of its own on transitions that the task relabels."""

    kind = "sac-rapid"
    relearns_within = 42
    algorithm: ClassVar[type[ActorCritic]] = RapidSac
    networks: ClassVar[str | type[BasePolicy]] = RapidPolicy
    extractor: ClassVar[type[FlattenExtractor]] = Scaled

    def __init__(self, config: RapidConfig, brief: Brief) -> None:
        super().__init__(suited(config, symmetric=brief.relabel is not None), brief)
        self._brief = brief
        self._rapid.relabel = brief.relabel if config.relabel else None
        self._rapid.reward_scale = config.reward_scale

    def _network_arguments(self) -> Mapping[str, Any]:
        options = self._options
        return {"n_critics": options.critics, "normalised": options.normalised}

    @property
    def _options(self) -> RapidConfig:
        return cast("RapidConfig", self._config)

    @property
    def _rapid(self) -> RapidSac:
        return cast("RapidSac", self._model)

    @property
    def _updates(self) -> int:
        options = self._options
        return options.relearn_gradient_steps if self._rapid.relearning else options.gradient_steps

    def _optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"optimiser": self._rapid.optimiser}

    def learn(self, env: gymnasium.Env[Any, Any], *, steps: int, report: Report) -> LearnReport:
        """Learn for exactly ``steps`` timesteps, or until ``report`` returns False.

        The numbers it returns say whether the prior holds: ``prior_p``, ``prior_holds`` (1 or 0)
        and ``prior_share`` (see `rapid_prior.Dependence`), where enough was met to say.

        Raises:
            IncompatibleError: the environment has other spaces than the learner was made for.
        """
        if self._options.relabel and self._brief.relabel is None:
            _log.warning(
                "sac-rapid: the task declares no symmetry (stempilot.Symmetric), so it "
                "learns from the timesteps met alone and needs about five times as many of them"
            )
        learnt = super().learn(env, steps=steps, report=report)
        return evolve(learnt, numbers={**learnt.numbers, **self._judged_prior()})

    def _judged_prior(self) -> dict[str, float]:
        """Return whether displacements depend on the place, and warn if they do."""
        goal = self._brief.centre
        if goal is None or self._rapid.relabel is None:
            return {}
        met = recall(self._rapid.buffer, MOST, reward_scale=self._options.reward_scale)
        found = dependence_on_place(met, goal, cast("Box", self._model.action_space))
        if found is None:
            return {}
        holds = found.p >= self._options.prior_p
        if not holds:
            _log.warning(
                "sac-rapid: displacements depend on where they begin (p = %.2g): the place "
                "accounts for %.1f %% of a typical one. The symmetry that it learnt with does not "
                "hold there; if its policy fails, learn on with agent.relabel=false",
                found.p,
                100 * found.share,
            )
        return {"prior_p": found.p, "prior_share": found.share, "prior_holds": float(holds)}

    def _begin_again(self, recorded: Transitions | None) -> tuple[str, ...]:
        learnt, least = self._model.log_ent_coef, self._options.relearn_entropy_coefficient
        raised = learnt is not None and float(learnt.detach().exp()) < least
        if learnt is not None and raised:
            with torch.no_grad():
                learnt.fill_(least).log_()
        sentences = super()._begin_again(recorded)
        return (
            (*sentences, f"Raised the entropy coefficient to {least:g}.") if raised else sentences
        )

    def _layers(self) -> list[Layer]:
        (weight, bias), *rest = super()._layers()
        return [(weight / magnitudes(cast("Box", self._model.observation_space)), bias), *rest]


def make_rapid(config: RapidConfig, brief: Brief) -> RapidLearner:
    """Return a fresh learner.

    Raises:
        IncompatibleError: the task's spaces are not of the kind that it can use.
    """
    return RapidLearner(config, brief)
