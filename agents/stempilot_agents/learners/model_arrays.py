"""All numbers of a learner as named arrays, and back: networks, optimisers, replay buffer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.buffers import ReplayBuffer

from stempilot import Transitions

Arrays = dict[str, npt.NDArray[Any]]
_MOMENTS = ("exp_avg", "exp_avg_sq")
# Last parts of the names of what is a mean square or a variance.
_SQUARES = ("exp_avg_sq", "ra_var")
_COLUMNS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def module_arrays(module: torch.nn.Module) -> Arrays:
    """Return copies of all parameters and buffers of a module."""
    return {f"policy.{name}": _array(tensor) for name, tensor in module.state_dict().items()}


def restore_module(module: torch.nn.Module, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Put back what `module_arrays` returned."""
    module.load_state_dict(
        {name: torch.from_numpy(arrays[f"policy.{name}"]) for name in module.state_dict()}
    )


def impossible(arrays: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Return the names of squares and variances that are negative."""
    return [
        name
        for name, array in arrays.items()
        if name.rpartition(".")[2] in _SQUARES and (array < 0).any()
    ]


def optimiser_arrays(name: str, optimiser: torch.optim.Optimizer) -> Arrays:
    """Return copies of Adam's step counts and moments; none before its first step."""
    arrays: Arrays = {}
    for index, state in optimiser.state_dict()["state"].items():
        for key in ("step", *_MOMENTS):
            arrays[f"{name}.{index}.{key}"] = _array(state[key])
    return arrays


def expected_optimiser_arrays(name: str, optimiser: torch.optim.Optimizer) -> Arrays:
    """Return arrays of the shapes that `optimiser_arrays` has after a step."""
    arrays: Arrays = {}
    for index, parameter in enumerate(_parameters(optimiser)):
        arrays[f"{name}.{index}.step"] = np.zeros((), dtype=np.float32)
        for key in _MOMENTS:
            arrays[f"{name}.{index}.{key}"] = np.zeros(tuple(parameter.shape), dtype=np.float32)
    return arrays


def restore_optimiser(
    name: str, optimiser: torch.optim.Optimizer, arrays: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Put back what `optimiser_arrays` returned; nothing there means before the first step."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for index, _ in enumerate(_parameters(optimiser)):
        if f"{name}.{index}.step" in arrays:
            state[index] = {
                key: torch.from_numpy(arrays[f"{name}.{index}.{key}"].copy())
                for key in ("step", *_MOMENTS)
            }
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def buffer_arrays(buffer: ReplayBuffer) -> Arrays:
    """Return the filled part of the replay buffer, (size, ...) each."""
    return {name: array[: buffer.size()] for name, array in _columns(buffer).items()}


def _columns(buffer: ReplayBuffer) -> Arrays:
    return {name: getattr(buffer, name)[:, 0] for name in _COLUMNS}


def expected_buffer_arrays(buffer: ReplayBuffer, size: int) -> Arrays:
    """Return arrays of the shapes that a buffer with ``size`` transitions has."""
    empty = {name: getattr(buffer, name) for name in _COLUMNS}
    return {name: np.zeros((size, *a.shape[2:]), dtype=a.dtype) for name, a in empty.items()}


def restore_buffer(
    buffer: ReplayBuffer, arrays: Mapping[str, npt.NDArray[Any]], *, position: int, full: bool
) -> None:
    """Put back what `buffer_arrays` returned."""
    for name in _COLUMNS:
        getattr(buffer, name)[: len(arrays[name]), 0] = arrays[name]
    buffer.pos = position
    buffer.full = full


def remember(buffer: ReplayBuffer, recorded: Transitions, *, reward_scale: float) -> None:
    """Put recorded transitions into a replay buffer, as if its owner had met them.

    Where there are more than it holds, the oldest are left out.
    """
    actions, space = np.asarray(recorded.actions), buffer.action_space
    if isinstance(space, Box):
        # As Stable-Baselines3 remembers them: -1 to 1.
        actions = 2.0 * (actions - space.low) / (space.high - space.low) - 1.0
    for row in range(max(0, len(recorded) - buffer.buffer_size), len(recorded)):
        terminated, truncated = recorded.terminated[row], recorded.truncated[row]
        buffer.add(
            recorded.observations[row],
            recorded.next_observations[row],
            actions[row],
            np.array(recorded.rewards[row] * reward_scale, dtype=np.float32),
            np.array(terminated or truncated),
            [{"TimeLimit.truncated": bool(truncated and not terminated)}],
        )


def recall(buffer: ReplayBuffer, most: int, *, reward_scale: float) -> Transitions:
    """Return the latest transitions of a replay buffer, oldest first, as their owner met them.

    Args:
        buffer: where they are.
        most: at most so many.
        reward_scale: what rewards were multiplied by.
    """
    rows = np.arange(buffer.pos - min(most, buffer.size()), buffer.pos) % buffer.buffer_size
    return transitions(buffer, rows, reward_scale=reward_scale)


def transitions(
    buffer: ReplayBuffer, rows: npt.NDArray[np.int64], *, reward_scale: float
) -> Transitions:
    """Return some rows of a replay buffer as their owner met them.

    Args:
        buffer: where they are.
        rows: (n,) which.
        reward_scale: what rewards were multiplied by.
    """
    columns = {name: array[rows] for name, array in _columns(buffer).items()}
    space = buffer.action_space
    actions = columns["actions"].reshape((len(rows), *(space.shape or ())))
    if isinstance(space, Box):
        actions = space.low + 0.5 * (actions + 1.0) * (space.high - space.low)
    truncated = columns["timeouts"].astype(bool)
    return Transitions(
        observations=columns["observations"],
        actions=actions,
        rewards=columns["rewards"] / reward_scale,
        next_observations=columns["next_observations"],
        terminated=columns["dones"].astype(bool) & ~truncated,
        truncated=truncated,
    )


def linear_layers(*modules: torch.nn.Module) -> list[tuple[Any, Any]]:
    """Return copies of (weight, bias) of all linear layers in the modules, in order."""
    return [
        (_array(layer.weight), _array(layer.bias))
        for module in modules
        for layer in module.modules()
        if isinstance(layer, torch.nn.Linear)
    ]


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    return np.array(tensor.detach().cpu().numpy())


def _parameters(optimiser: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
