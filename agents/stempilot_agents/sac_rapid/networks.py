"""The networks of ``sac-rapid``: observations of order 1 and its critics as one stack."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.preprocessing import get_action_dim, get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.sac.policies import SACPolicy
from torch.nn.functional import layer_norm


def magnitudes(space: Box) -> npt.NDArray[np.float32]:
    """Return the largest magnitude of each observation entry, flat; 1 where there is no bound.

    Divided by it, a residual is in half fields, whatever its unit, and a constant entry or a yes
    or no is at most 1. Zero stays zero: it is what a residual is driven to.
    """
    largest = np.maximum(np.abs(space.low), np.abs(space.high)).ravel().astype(np.float32)
    bounded = np.isfinite(largest) & (largest > 0)
    return np.where(bounded, largest, np.float32(1.0))


class Scaled(FlattenExtractor):
    """Observations, flat and divided by their magnitudes."""

    magnitudes: torch.Tensor

    def __init__(self, observation_space: Box) -> None:
        super().__init__(observation_space)
        divisors = torch.from_numpy(magnitudes(observation_space))
        # It follows from the space, so it need not be saved.
        self.register_buffer("magnitudes", divisors, persistent=False)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return (n, entries) of order 1."""
        flat: torch.Tensor = super().forward(observations)
        return flat / self.magnitudes


class Critics(torch.nn.Module):
    """Several critics whose layers are one stack each, so that all take one multiplication.

    Args:
        inputs: observation entries and action components.
        hidden_sizes: units of each hidden layer.
        activation: what follows each hidden layer.
        count: how many critics.
        normalised: whether each hidden layer is normalised before its activation (Ba et al., "Layer
            Normalization", 2016, arXiv:1607.06450; no gain, no offset).
    """

    # Set by Stable-Baselines3's policy.
    optimizer: torch.optim.Optimizer

    def __init__(
        self,
        inputs: int,
        hidden_sizes: Sequence[int],
        activation: type[torch.nn.Module],
        *,
        count: int,
        normalised: bool,
    ) -> None:
        super().__init__()
        sizes = (inputs, *hidden_sizes, 1)
        self.activation = activation()
        self.count = count
        self.normalised = normalised
        self.layers = torch.nn.ParameterList()
        for before, after in pairwise(sizes):
            # As torch initialises linear layers.
            bound = before**-0.5
            for shape in ((count, before, after), (count, 1, after)):
                self.layers.append(torch.empty(shape).uniform_(-bound, bound))

    def forward(
        self, features: torch.Tensor, actions: torch.Tensor, *, learning: bool = True
    ) -> torch.Tensor:
        """Return (count, n), what each critic thinks of the actions.

        Args:
            features: (n, entries) scaled observations.
            actions: (n, components) from -1 to 1.
            learning: whether gradients reach the critics' own weights, and not only the actions.
        """
        layers = list(self.layers) if learning else [layer.detach() for layer in self.layers]
        value = torch.cat([features, actions], dim=1).expand(self.count, -1, -1)
        for index in range(0, len(layers) - 2, 2):
            value = torch.baddbmm(layers[index + 1], value, layers[index])
            if self.normalised:
                value = layer_norm(value, value.shape[-1:])
            value = self.activation(value)
        return torch.baddbmm(layers[-1], value, layers[-2]).squeeze(2)

    def set_training_mode(self, mode: bool) -> None:
        """Do nothing: training and evaluation are the same here."""


class RapidPolicy(SACPolicy):
    """Stable-Baselines3's actor on scaled observations, with critics of ours.

    Args:
        arguments: those of Stable-Baselines3's policy.
        normalised: see `Critics`.
        options: those of Stable-Baselines3's policy.
    """

    def __init__(self, *arguments: Any, normalised: bool = False, **options: Any) -> None:
        self._normalised = normalised
        super().__init__(*arguments, **options)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> Any:
        """Return fresh critics; they take observations that were scaled before."""
        del features_extractor
        inputs = get_flattened_obs_dim(self.observation_space) + get_action_dim(self.action_space)
        arch = cast("list[int]", self.critic_kwargs["net_arch"])
        count = cast("int", self.critic_kwargs["n_critics"])
        return Critics(inputs, arch, self.activation_fn, count=count, normalised=self._normalised)
