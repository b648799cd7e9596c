"""Options of the CrossQ learner. Imports no learning library."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from attrs import field, frozen, validators

from stempilot_agents.learners.sac_config import ActorCriticConfig, check_layers


@frozen(kw_only=True)
class CrossqConfig(ActorCriticConfig):
    """Options of ``crossq``: sb3-contrib's CrossQ.

    Bhatt et al., "CrossQ: Batch Normalization in Deep Reinforcement Learning for Greater Sample
    Efficiency and Simplicity", 2024 (arXiv:1902.05605). There are no target critics.

    Attributes:
        preset: ``default`` or ``library``, sb3-contrib's own values.
        hidden_sizes: units of each hidden layer of the policy.
        critic_hidden_sizes: the same of both critics, which are meant to be wider.
        batch_size: transitions in each update, at least 2: their spread is what is normalised by.
        policy_delay: the policy and the entropy coefficient are updated at each so many updates of
            the critics.
        renorm_momentum: share of a batch's mean and variance that the running ones take over, which
            the policy handed out is normalised by, above 0 to 1.
        renorm_from: updates of a layer up to which it is normalised by each batch alone, and after
            which by the running mean and variance, too.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "default": MappingProxyType({}),
            "library": MappingProxyType(
                {
                    "hidden_sizes": (256, 256),
                    "critic_hidden_sizes": (1024, 1024),
                    "activation": "relu",
                    "learning_rate": 1e-3,
                    "gamma": 0.99,
                    "batch_size": 256,
                    "buffer_size": 1_000_000,
                    "learning_starts": 100,
                    "gradient_steps": 1,
                    "initial_entropy_coefficient": 1.0,
                    "reward_scale": 1.0,
                    "policy_tau": 1.0,
                }
            ),
        }
    )

    critic_hidden_sizes: tuple[int, ...] = field(default=(256, 256), validator=check_layers)
    batch_size: int = field(default=128, validator=validators.ge(2))
    policy_delay: int = field(default=3, validator=validators.ge(1))
    renorm_momentum: float = field(default=0.01, validator=[validators.gt(0), validators.le(1)])
    renorm_from: int = field(default=100_000, validator=validators.ge(0))
