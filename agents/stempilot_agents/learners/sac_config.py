"""Options of the soft actor-critic learner. Imports no learning library."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from attrs import Attribute, field, frozen, validators


def check_layers(_: object, attribute: "Attribute[tuple[int, ...]]", value: object) -> None:
    """Refuse hidden layers that are not a non-empty tuple of positive whole numbers."""
    if not isinstance(value, tuple) or not value:
        msg = f"{attribute.name} = {value!r} must name at least one layer, for example [128, 128]"
        raise ValueError(msg)
    if any(not isinstance(size, int) or isinstance(size, bool) or size < 1 for size in value):
        msg = f"{attribute.name} = {list(value)} must hold whole numbers of at least 1"
        raise ValueError(msg)


def check_meanwhile(_: object, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse anything but true, false and ``auto``."""
    if not isinstance(value, bool) and value != "auto":
        msg = f"{attribute.name} = {value!r} must be auto, true or false"
        raise ValueError(msg)


def _check_entropy(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value == "auto" or (isinstance(value, float | int) and value >= 0):
        return
    msg = f"{attribute.name} = {value!r} must be auto or a number of at least 0"
    raise ValueError(msg)


@frozen(kw_only=True)
class ActorCriticConfig:
    """Options that ``sac`` and its relatives share.

    Attributes:
        preset: which values the other options start from.
        hidden_sizes: units of each hidden layer, the same for policy and critics.
        activation: what follows each hidden layer, ``relu`` or ``tanh``.
        learning_rate: step size of Adam, for policy, critics and entropy coefficient.
        gamma: discount per timestep, 0 to 1.
        batch_size: transitions in each update.
        buffer_size: transitions that are remembered; the oldest are forgotten first.
        learning_starts: timesteps of uniformly random actions before the first update.
        gradient_steps: updates for each timestep; 0 never learns.
        meanwhile: whether a timestep's updates are made while the instrument carries out its
            action, on transitions up to the one before, so that they take no time of the
            instrument's; ``auto`` does so on instruments that keep one waiting and not on
            simulators. Otherwise they are made after the timestep, with its transition.
        entropy_coefficient: weight of the policy's entropy beside the reward; ``auto`` learns it.
        initial_entropy_coefficient: where ``auto`` starts; not used with a fixed coefficient.
        target_entropy: entropy that ``auto`` aims at, in nats; ``None`` for minus the number of
            action components.
        reward_scale: what rewards are multiplied by before they are learnt from.
        policy_tau: share of the learning policy that the policy handed out takes over at each
            update, above 0 to 1. Single updates can break a policy for the next hundred timesteps;
            the running average does not follow them. It takes no part in learning; 1 hands out
            the latest policy.
        relearn_learning_starts: timesteps before the first update after `relearn`, in which every
            second episode is played at random and the others as learnt before: updates on fewer
            transitions, or on random ones alone, undo a policy that still works. Recorded
            transitions that relearning begins with count.
        warm_up_updates: updates on recorded transitions before the first action, when relearning
            begins with some.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"default": MappingProxyType({})}
    )

    preset: str = field(default="default")
    hidden_sizes: tuple[int, ...] = field(default=(128, 128), validator=check_layers)
    activation: Literal["relu", "tanh"] = field(
        default="relu", validator=validators.in_(("relu", "tanh"))
    )
    learning_rate: float = field(default=1e-3, validator=validators.gt(0))
    gamma: float = field(default=0.9, validator=[validators.ge(0), validators.lt(1)])
    batch_size: int = field(default=128, validator=validators.ge(1))
    buffer_size: int = field(default=100_000, validator=validators.ge(1))
    learning_starts: int = field(default=100, validator=validators.ge(0))
    gradient_steps: int = field(default=4, validator=validators.ge(0))
    meanwhile: bool | Literal["auto"] = field(default="auto", validator=check_meanwhile)
    entropy_coefficient: float | Literal["auto"] = field(default="auto", validator=_check_entropy)
    initial_entropy_coefficient: float = field(default=0.02, validator=validators.gt(0))
    target_entropy: float | None = field(default=None)
    reward_scale: float = field(default=0.01, validator=validators.gt(0))
    policy_tau: float = field(default=0.005, validator=[validators.gt(0), validators.le(1)])
    relearn_learning_starts: int = field(default=200, validator=validators.ge(0))
    warm_up_updates: int = field(default=1000, validator=validators.ge(0))

    @preset.validator
    def _check_preset(self, _: "Attribute[str]", value: str) -> None:
        if value not in self.presets:
            msg = f"preset = {value!r} is unknown; known: {', '.join(self.presets)}"
            raise ValueError(msg)


LIBRARY: Mapping[str, Any] = MappingProxyType(
    {
        "learning_rate": 3e-4,
        "gamma": 0.99,
        "tau": 0.005,
        "batch_size": 256,
        "buffer_size": 1_000_000,
        "learning_starts": 100,
        "gradient_steps": 1,
        "initial_entropy_coefficient": 1.0,
        "reward_scale": 1.0,
    }
)
"""Stable-Baselines3's own values for soft actor-critic and its relatives."""


@frozen(kw_only=True)
class SacConfig(ActorCriticConfig):
    """Options of ``sac``: Stable-Baselines3's soft actor-critic.

    The preset ``default`` is tuned for observations of order 1 and the centring reward; the
    preset ``paper`` is the published choice: Stable-Baselines3's own values with two tanh layers
    of 128. ``recommended`` is a reference to compare with: the published choice but for the values
    that let its policies rest beside the goal.

    Attributes:
        preset: ``default``, ``paper`` or ``recommended``; which values the other options start
            from.
        tau: share of the critics that the target critics take over at each update, 0 to 1.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "default": MappingProxyType({}),
            "paper": MappingProxyType(
                {
                    **LIBRARY,
                    "hidden_sizes": (128, 128),
                    "activation": "tanh",
                    "entropy_coefficient": "auto",
                }
            ),
            "recommended": MappingProxyType(
                {
                    **LIBRARY,
                    "hidden_sizes": (64, 64),
                    "activation": "relu",
                    "entropy_coefficient": "auto",
                    "learning_rate": 1e-3,
                    "gamma": 0.9,
                    "gradient_steps": 4,
                    "reward_scale": 0.01,
                    "initial_entropy_coefficient": 0.02,
                }
            ),
        }
    )

    tau: float = field(default=0.02, validator=[validators.gt(0), validators.le(1)])
