"""Options of the learner with truncated quantile critics. Imports no learning library."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from attrs import Attribute, field, frozen, validators

from stempilot_agents.learners.sac_config import LIBRARY, SacConfig


@frozen(kw_only=True)
class TqcConfig(SacConfig):
    """Options of ``tqc``: sb3-contrib's truncated quantile critics.

    Kuznetsov et al., "Controlling Overestimation Bias with Truncated Mixture of Continuous
    Distributional Quantile Critics", 2020 (arXiv:2005.04269).

    Attributes:
        preset: ``default``, that of ``sac``, or ``library``, sb3-contrib's own values.
        critics: number of critics.
        quantiles: quantiles of the return that each critic learns.
        dropped_quantiles: of these, how many of the highest are left out of what is aimed at, per
            critic. More of them make the critics more cautious.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "default": MappingProxyType({}),
            "library": MappingProxyType(
                {
                    **LIBRARY,
                    "hidden_sizes": (256, 256),
                    "activation": "relu",
                    "policy_tau": 1.0,
                }
            ),
        }
    )

    critics: int = field(default=2, validator=validators.ge(1))
    quantiles: int = field(default=25, validator=validators.ge(1))
    dropped_quantiles: int = field(default=2, validator=validators.ge(0))

    @dropped_quantiles.validator
    def _check_dropped(self, _: "Attribute[int]", value: int) -> None:
        if value >= self.quantiles:
            msg = f"dropped_quantiles = {value} must leave some of quantiles = {self.quantiles}"
            raise ValueError(msg)
