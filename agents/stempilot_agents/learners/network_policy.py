"""Fast forward pass of a trained network, in NumPy alone."""

from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from attrs import field, frozen

Float32 = npt.NDArray[np.float32]
Layer = tuple[Float32, Float32]
Activation = Literal["relu", "tanh"]


def _copies(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    return tuple(
        (np.array(weight, np.float32, order="C"), np.array(bias, np.float32))
        for weight, bias in layers
    )


@frozen(eq=False)
class Network:
    """Fully connected layers with an activation between them.

    Attributes:
        layers: (weight, bias) of each layer, weight (out, in) and bias (out,); copied.
        activation: what follows each layer but the last.
    """

    layers: tuple[Layer, ...] = field(converter=_copies)
    activation: Activation

    def forward(self, observation: npt.NDArray[Any]) -> Float32:
        """Return the last layer's output (out,) for one observation of any shape."""
        value = np.asarray(observation, dtype=np.float32).ravel()
        for weight, bias in self.layers[:-1]:
            value = weight @ value
            value += bias
            if self.activation == "relu":
                np.maximum(value, 0, out=value)
            else:
                np.tanh(value, out=value)
        weight, bias = self.layers[-1]
        return np.asarray(weight @ value + bias, dtype=np.float32)


class ContinuousPolicy:
    """The deterministic policy of an actor: a squashed mean, scaled to the action space."""

    def __init__(self, network: Network, action_space: gymnasium.spaces.Box) -> None:
        self._network = network
        self._shape = action_space.shape
        self._dtype = action_space.dtype
        self._low = action_space.low.ravel().copy()
        self._high = action_space.high.ravel().copy()
        self._half = 0.5 * (self._high - self._low)

    def reset(self, instrument_id: str) -> None:
        """Do nothing: this policy keeps no model of the instrument."""

    def act(self, observation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the mean action for the observation, inside the action space."""
        squashed = np.tanh(self._network.forward(observation))
        action = self._low + (squashed + 1) * self._half
        # Rounding may put a full action one bit outside.
        np.minimum(action, self._high, out=action)
        np.maximum(action, self._low, out=action)
        return np.asarray(action.reshape(self._shape), dtype=self._dtype)


class GreedyPolicy:
    """The deterministic policy of action values: the action that promises most."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def reset(self, instrument_id: str) -> None:
        """Do nothing: this policy keeps no model of the instrument."""

    def act(self, observation: npt.NDArray[Any]) -> np.int64:
        """Return the index of the action with the largest value."""
        return np.int64(np.argmax(self._network.forward(observation)))
