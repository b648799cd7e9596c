"""Options of the sample-efficient soft actor-critic. Imports no learning library."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from attrs import evolve, field, frozen, validators

from stempilot_agents.learners.sac_config import SacConfig


@frozen(kw_only=True)
class RapidConfig(SacConfig):
    """Options of ``sac-rapid``: those of ``sac`` with other defaults, and its own.

    Attributes:
        preset: ``default``, the only one.
        relabel: whether updates learn from timesteps that the task's symmetry makes just as
            possible as the ones met. Without, or where the task declares no symmetry, learning
            takes about five times as many timesteps, and ``critics``, ``normalised``,
            ``learning_rate``, ``tau`` and ``policy_tau`` have other defaults.
        critics: how many critics there are, at least 2; two that are drawn judge an update.
        normalised: whether the hidden layers of the critics are normalised.
        relearn_gradient_steps: updates for each timestep of `relearn`, instead of
            ``gradient_steps``.
        relearn_entropy_coefficient: the learnt entropy coefficient is raised to at least this by
            `relearn`, so that a policy that was certain explores again.
        prior_p: the task's symmetry counts as broken where chance alone would seldom, in less than
            this share of cases, let displacements depend so much on the place.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"default": MappingProxyType({})}
    )

    learning_rate: float = field(default=3e-3, validator=validators.gt(0))
    tau: float = field(default=0.005, validator=[validators.gt(0), validators.le(1)])
    learning_starts: int = field(default=20, validator=validators.ge(0))
    gradient_steps: int = field(default=40, validator=validators.ge(0))
    relearn_learning_starts: int = field(default=8, validator=validators.ge(0))
    relabel: bool = True
    critics: int = field(default=2, validator=validators.ge(2))
    normalised: bool = False
    relearn_gradient_steps: int = field(default=80, validator=validators.ge(0))
    relearn_entropy_coefficient: float = field(default=0.02, validator=validators.ge(0))
    prior_p: float = field(default=0.01, validator=[validators.gt(0), validators.lt(1)])


WITHOUT_SYMMETRY: Mapping[str, Any] = MappingProxyType(
    {"critics": 5, "normalised": True, "learning_rate": 1e-3, "tau": 0.02, "policy_tau": 5e-4}
)
"""What learns best from the timesteps met alone."""


def suited(config: RapidConfig, *, symmetric: bool) -> RapidConfig:
    """Return the options as a task needs them; what differs from its default stays as it is."""
    default = RapidConfig()
    left = {
        name: value
        for name, value in WITHOUT_SYMMETRY.items()
        if getattr(config, name) == getattr(default, name)
    }
    return config if symmetric and config.relabel else evolve(config, **left)
