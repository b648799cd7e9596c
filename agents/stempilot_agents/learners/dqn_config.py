"""Options of the deep Q-network learner. Imports no learning library."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from attrs import Attribute, field, frozen, validators

from stempilot_agents.learners.sac_config import check_layers, check_meanwhile


@frozen(kw_only=True)
class DqnConfig:
    """Options of ``dqn``: Stable-Baselines3's deep Q-network, for tasks with discrete actions.

    Attributes:
        preset: ``default``; which values the options below start from.
        hidden_sizes: units of each hidden layer.
        activation: what follows each hidden layer, ``relu`` or ``tanh``.
        learning_rate: step size of Adam.
        gamma: discount per timestep, 0 to 1.
        tau: share of the network that the target network takes over, 0 to 1.
        target_update_interval: timesteps between two such updates.
        batch_size: transitions in each update.
        buffer_size: transitions that are remembered; the oldest are forgotten first.
        learning_starts: timesteps of uniformly random actions before the first update.
        gradient_steps: updates for each timestep; 0 never learns.
        meanwhile: whether a timestep's updates are made while the instrument carries out its
            action, on transitions up to the one before, so that they take no time of the
            instrument's; ``auto`` does so on instruments that keep one waiting and not on
            simulators. Otherwise they are made after the timestep, with its transition.
        exploration_initial: share of random actions when learning begins, 0 to 1.
        exploration_final: share of random actions in the end, 0 to 1.
        exploration_timesteps: timesteps over which the share falls from one to the other, in a
            straight line, whatever the length of the training.
        reward_scale: what rewards are multiplied by before they are learnt from.
        relearn_learning_starts: timesteps before the first update after `relearn`, in which every
            second episode is played at random and the others as learnt before. Recorded
            transitions that relearning begins with count.
        warm_up_updates: updates on recorded transitions before the first action, when relearning
            begins with some.
        relearn_exploration: share of random actions right after `relearn`; it falls to
            ``exploration_final`` at the usual pace.
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
    tau: float = field(default=0.005, validator=[validators.gt(0), validators.le(1)])
    target_update_interval: int = field(default=1, validator=validators.ge(1))
    batch_size: int = field(default=128, validator=validators.ge(1))
    buffer_size: int = field(default=100_000, validator=validators.ge(1))
    learning_starts: int = field(default=100, validator=validators.ge(0))
    gradient_steps: int = field(default=2, validator=validators.ge(0))
    meanwhile: bool | Literal["auto"] = field(default="auto", validator=check_meanwhile)
    exploration_initial: float = field(default=1.0, validator=[validators.ge(0), validators.le(1)])
    exploration_final: float = field(default=0.05, validator=[validators.ge(0), validators.le(1)])
    exploration_timesteps: int = field(default=1000, validator=validators.ge(1))
    reward_scale: float = field(default=0.01, validator=validators.gt(0))
    relearn_learning_starts: int = field(default=100, validator=validators.ge(0))
    warm_up_updates: int = field(default=1000, validator=validators.ge(0))
    relearn_exploration: float = field(default=0.2, validator=[validators.ge(0), validators.le(1)])

    @preset.validator
    def _check_preset(self, _: "Attribute[str]", value: str) -> None:
        if value not in self.presets:
            msg = f"preset = {value!r} is unknown; known: {', '.join(self.presets)}"
            raise ValueError(msg)
