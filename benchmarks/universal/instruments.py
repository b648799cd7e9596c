"""Simulated instruments to practise on: several conditions side by side.

What a simulator's options make common to a batch (lag, backlash, distortion, drift) differs from
group to group.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen
from training.practice import Seen

import stempilot
from stempilot.contract.backend import Opening
from stempilot.contract.task import Arrays
from stempilot.operation.task_vec_env import TaskVecEnv
from stempilot.plugins.parts import part
from stempilot_agents.universal.memory import Field, Floats, Vectors, complexes
from stempilot_tasks.bf_disk_centering.batch import BfDiskCenteringBatch
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.geometry import BoolArray, Geometry
from stempilot_tasks.bf_disk_centering.oracle import exact_change
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

TASK, BACKEND = "bf-disk-centering", "simulator"
MAX_STEPS = 200


@frozen(kw_only=True)
class Group:
    """Instruments under one condition.

    Attributes:
        name: to show to people.
        count: how many.
        backend: settings of the simulator.
        task: settings of the task.
        margin_px: episodes start within so much of the edges alone; anywhere if ``None``.
    """

    name: str
    count: int
    backend: Mapping[str, Any]
    task: Mapping[str, Any]
    margin_px: float | None = None


class _AtTheEdge(BfDiskCentering):
    """The task, which starts within ``margin_px`` of the edges alone."""

    def __init__(self, config: BfDiskCenteringConfig, margin_px: float) -> None:
        super().__init__(config)
        self._margin_px = margin_px

    def batched(self) -> BfDiskCenteringBatch:
        """Return it on arrays."""
        return _BatchAtTheEdge(self.config, self._margin_px)


class _BatchAtTheEdge(BfDiskCenteringBatch):
    def __init__(self, config: BfDiskCenteringConfig, margin_px: float) -> None:
        super().__init__(config)
        self._inner_px = Geometry.of(config).edge_px - margin_px

    def is_start(self, state: Arrays) -> BoolArray:
        beyond = np.abs(state["position_px"]) > self._inner_px
        either: BoolArray = beyond[..., 0] | beyond[..., 1]
        return either & super().is_start(state)


class _Vector:
    """One group: a vector environment and what its simulator knows."""

    def __init__(self, group: Group, registry: stempilot.Registry, seed: int) -> None:
        chosen = part(registry, "task", TASK, group.task)
        task = BfDiskCentering(chosen.config)
        if group.margin_px is not None:
            task = _AtTheEdge(chosen.config, group.margin_px)
        simulator = part(registry, "backend", BACKEND, {"redraw": "episode", **group.backend})
        with simulator.load(Opening(purpose="train")) as backend:
            self._batch = backend.batch(group.count, {})
            limits = backend.offers().knobs
        self.env = TaskVecEnv(task, self._batch, seed=seed, limits=limits, max_timesteps=MAX_STEPS)
        self._aim_px = Geometry.of(chosen.config).aim_px()
        self._step_rad = chosen.config.step_rad
        self._bend = 5 * simulator.config.distortion_gain
        self.goal = task.goal
        self.field = Field.of(self.goal, group.count)
        self.ended = np.zeros(group.count, np.bool_)

    def look(self) -> tuple[Vectors, Floats]:
        """Return what is needed, in full actions, and what only a judge is told."""
        truth = self._batch.truth()
        needed = complexes(exact_change(self._aim_px, truth) / self._step_rad)
        nominal = truth["jacobian_px_per_rad"] * truth["pixel_rad"]
        full = self._step_rad
        told = np.column_stack(
            [
                0.5 * np.log((nominal**2).sum(1) + 1e-6),
                3 * truth["lag"],
                truth["backlash_rad"] * 100,
                np.clip(truth["pending_rad"] / full, -1, 1),
                np.full(len(needed), self._bend),
                *nominal.T / np.sqrt((nominal**2).sum(1)),
            ]
        )
        return needed, told.astype(np.float32)


class SimulatedInstruments:
    """Groups of simulated instruments, one after the other (`Instruments`).

    Args:
        groups: which.
        seed: where all of their randomness comes from.
    """

    def __init__(self, groups: Sequence[Group], seed: int) -> None:
        registry = stempilot.discover()
        self._vectors = [
            _Vector(group, registry, seed * 1000 + number) for number, group in enumerate(groups)
        ]
        self._ends = np.cumsum([group.count for group in groups])[:-1]
        self.field = Field.joined([vector.field for vector in self._vectors])
        self._looked: tuple[Vectors, Floats] | None = None

    def reset(self) -> Seen:
        """Begin an episode on each instrument."""
        seen = [vector.env.reset()[0] for vector in self._vectors]
        none = np.zeros(len(self.field.full), np.bool_)
        for vector in self._vectors:
            vector.ended[:] = False
        self._look()
        return Seen(residual=self._residual(seen), begun=~none, success=none, failure=none)

    def step(self, taken: npt.NDArray[np.float32]) -> Seen:
        """Carry out actions, (n, 2)."""
        observations, begun, success, failure = [], [], [], []
        for vector, some in zip(self._vectors, np.split(taken, self._ends), strict=True):
            seen, _, terminated, truncated, info = vector.env.step(some)
            won = info["is_success"]
            begun.append(vector.ended)
            vector.ended = terminated | truncated
            observations.append(seen)
            success.append(won)
            failure.append(vector.ended & ~won)
        self._look()
        return Seen(
            residual=self._residual(observations),
            begun=np.concatenate(begun),
            success=np.concatenate(success),
            failure=np.concatenate(failure),
        )

    def needed(self) -> Vectors:
        """Return the changes of the command that would centre now, (n,) in full actions."""
        return self._looks()[0]

    def told(self) -> Floats:
        """Return gain, lag, backlash, what is pending, and the response's direction, (n, m)."""
        return self._looks()[1]

    def _look(self) -> None:
        needed, told = zip(*(vector.look() for vector in self._vectors), strict=True)
        self._looked = (np.concatenate(needed), np.concatenate(told))

    def _looks(self) -> tuple[Vectors, Floats]:
        assert self._looked is not None
        return self._looked

    def _residual(self, observations: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        parts = zip(self._vectors, observations, strict=True)
        return np.concatenate([seen[:, list(v.goal.residual)] for v, seen in parts])
