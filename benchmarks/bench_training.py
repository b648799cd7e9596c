"""What the framework costs beside learning.

Yardstick: bare Stable-Baselines3 SAC on a pixel-free copy of the task.

- ``framework share``: framework and task per timestep, without rendering, locating and frame guard,
  over one bare SAC timestep (at most 0.06).
- ``throughput share``: training on frames, evaluation excluded, over bare SAC (at least 0.75).
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC

import stempilot
from benchmarks.pixel_free import PixelFree
from stempilot.contract.backend import Opening
from stempilot.contract.values import Frame, Snapshot
from stempilot.instrument.frame_guard import FrameGuard
from stempilot.plugins.parts import part
from stempilot.record.record import FramePolicy
from stempilot.record.recorder import RunRecorder
from stempilot_backends.simulator.backend import Simulator
from stempilot_tasks.bf_disk_centering.state import Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

STEPS = 1_200
ROUNDS = 3


class Unrendered(Simulator):
    """The simulator without its renderer: one frame for ever."""

    _frame: Frame | None = None

    def acquire(self, source: str) -> Frame:
        if self._frame is None:
            self._frame = super().acquire(source)
        self._opened().advance(0.18)
        return self._frame


class Told(BfDiskCentering):
    """The task without its locator: told where the disk is."""

    backend: Simulator

    def measure(self, snapshot: Snapshot) -> Measured:
        column = self.backend._opened()
        truth = column._look((0.0, 0.0))
        x, y = truth["position_px"]
        inside = max(abs(x), abs(y)) < 520
        return Measured(
            position_px=(x, y) if inside else None,
            radius_px=30.2,
            visible=inside,
            cut=False,
            saturated=False,
            pixel_rad=0.565e-3,
            shift_rad=snapshot.knobs["diffraction_shift"],
        )


class Unguarded(FrameGuard):
    """The frame guard without its checks."""

    def check(self, source: str, frame: Frame) -> None:
        del source, frame


def framework_step_s(steps: int) -> float:
    """Return seconds per timestep of framework and task alone, recording included."""
    registry = stempilot.discover()
    task_part = part(registry, "task", "bf-disk-centering", {"preset": "paper"})
    backend_part = part(registry, "backend", "simulator", {})
    backend = Unrendered(backend_part.config, Opening(purpose="train"))
    task = Told(task_part.config)
    task.backend = backend
    with (
        tempfile.TemporaryDirectory() as folder,
        stempilot.open_session(backend, [task], name="simulator") as session,
    ):
        recorder = RunRecorder(Path(folder), task, FramePolicy())
        env = session.env(task, seed=0, recorder=recorder)
        env._frames = Unguarded({})
        rng = np.random.default_rng(0)
        env.reset()
        spent = 0.0
        for _ in range(steps):
            action = rng.uniform(-1, 1, 2).astype(np.float32)
            started = time.perf_counter()
            _, _, terminated, truncated, _ = env.step(action)
            spent += time.perf_counter() - started
            if terminated or truncated:
                env.reset()
        recorder.close()
    return spent / steps


def bare_step_s(steps: int) -> float:
    """Return seconds per timestep of bare SAC on the pixel-free copy."""
    policy = {"net_arch": [128, 128], "activation_fn": torch.nn.Tanh}
    model = SAC("MlpPolicy", PixelFree(), policy_kwargs=policy, seed=0, device="cpu")
    started = time.perf_counter()
    model.learn(steps)
    return (time.perf_counter() - started) / steps


def frames_step_s(steps: int) -> float:
    """Return seconds per timestep of training on frames through the framework."""
    with tempfile.TemporaryDirectory() as folder:
        plan = stempilot.plan_train(
            stempilot.discover(),
            task="bf-disk-centering",
            agent="sac",
            steps=steps,
            settings={
                "task": {"preset": "paper"},
                "agent": {"preset": "paper"},
                "run": {"evaluate": False},
            },
            extras=stempilot.Extras(out=Path(folder) / "run"),
        )
        return float(stempilot.execute(plan)["wall_s"]) / steps


def measure(rounds: int = ROUNDS, steps: int = STEPS) -> dict[str, Any]:
    """Return medians over alternating rounds, in seconds per timestep, and their ratios."""
    torch.set_num_threads(1)
    parts: dict[str, Callable[[int], float]] = {
        "bare_sac_step_s": bare_step_s,
        "framework_step_s": framework_step_s,
        "frames_step_s": frames_step_s,
    }
    for run in parts.values():
        run(150)
    seen: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, run in parts.items():
            seen[name].append(run(steps))
    figures = {name: median(values) for name, values in seen.items()}
    return {
        **figures,
        "framework_share": figures["framework_step_s"] / figures["bare_sac_step_s"],
        "throughput_share": figures["bare_sac_step_s"] / figures["frames_step_s"],
    }
