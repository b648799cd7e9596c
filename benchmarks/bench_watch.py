"""How soon a changed response is noticed, and how often one that is not there.

``python -m benchmarks.bench_watch`` prints, for each condition, false alarms in timesteps on an
unchanged instrument, and for each change how many timesteps later it is said: median, worst, and
how many of the instruments never. A stand-in for a trained agent acts: it steps as far as it may
against the residual by the response that it found in training. No pixels are drawn: frames are
blank, and the task is told where the disk is, with vibration and rounding.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from stempilot import open_session
from stempilot.contract.agent import Transitions
from stempilot.contract.backend import Opening
from stempilot.contract.values import Frame, Snapshot
from stempilot.instrument.frame_guard import FrameGuard
from stempilot.operation.task_env import TaskEnv
from stempilot.plugins import options as config
from stempilot_agents.response.fit import fit_response
from stempilot_agents.response.watch import Watch
from stempilot_backends.column import ColumnParameters
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.state import Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

CONDITIONS = (
    "paper",
    "random",
    "lagged",
    "backlash",
    "distorted",
    "drifting",
    "low-dose",
    "everything",
)
CHANGES: Mapping[str, Callable[[ColumnParameters], dict[str, Any]]] = {
    "+60 deg": lambda p: {"rotation_deg": (p.rotation_deg + 60) % 360},
    "+90 deg": lambda p: {"rotation_deg": (p.rotation_deg + 90) % 360},
    "mirrored": lambda p: {"mirrored": not p.mirrored},
    "x 0.75": lambda p: {"scale": 0.75 * p.scale},
    "camera length x 0.81": lambda _: {"camera_length_index": 5},
    "camera length x 1.22": lambda _: {"camera_length_index": 7},
    "camera length x 1.53": lambda _: {"camera_length_index": 8},
}
TRAINED = 200
NEVER = 200
BLANK = np.zeros((1040, 1040), np.uint16)


class Unseen(Simulator):
    """The simulator without its renderer."""

    def acquire(self, source: str) -> Frame:
        del source
        column = self._opened()
        if self._config.changes and self._exposures:
            self._apply_changes(column, self._first_timestep + self._exposures)
        self._exposures += 1
        column.advance(column.parameters.cycle_s)
        shaken = column.parameters.vibration_px * column._mechanics.standard_normal(2)
        column._truth = column._look((float(shaken[0]), float(shaken[1])))
        pixel_rad = column.parameters.pixel_rad_in_use
        return Frame(pixels=BLANK, exposure_s=0.17, taken_at_s=0.0, pixel_rad=pixel_rad)


class Told(BfDiskCentering):
    """The task, told where the disk is."""

    backend: Simulator

    def measure(self, snapshot: Snapshot) -> Measured:
        truth = self.backend.truth()
        x, y = truth["position_px"]
        inside = max(abs(x), abs(y)) < 520
        return Measured(
            position_px=(x, y) if inside else None,
            radius_px=truth["radius_px"][0],
            visible=inside,
            cut=False,
            saturated=False,
            pixel_rad=truth["pixel_rad"][0],
            shift_rad=snapshot.knobs["diffraction_shift"],
        )


class Unguarded(FrameGuard):
    """The frame guard without its checks."""

    def check(self, source: str, frame: Frame) -> None:
        del source, frame


class Stand:
    """One instrument, and the stand-in for an agent that was trained on it.

    Args:
        condition: preset of the simulator.
        preset: preset of the task.
        seed: which instrument.
    """

    def __init__(self, condition: str, preset: str, seed: int) -> None:
        self.options = {"preset": condition, "redraw": "run"}
        self.task = Told(config.build(BfDiskCenteringConfig, {"preset": preset}, section="task"))
        self.entries = list(self.task.goal.residual)
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.inverse = np.zeros((2, 2))
        self.watch = self._trained()

    def _opened(self, seed: int, changes: tuple[Any, ...] = ()) -> Any:
        options = config.build(
            SimulatorConfig, {**self.options, "changes": changes}, section="backend"
        )
        opening = Opening(purpose="train", seed=seed, instrument_seed=self.seed)
        self.task.backend = Unseen(options, opening)
        return open_session(self.task.backend, [self.task], name="simulator")

    def _env(self, session: Any, seed: int) -> TaskEnv:
        env: TaskEnv = session.env(self.task, seed=seed)
        env._frames = Unguarded({})
        return env

    def _trained(self) -> Watch:
        with self._opened(self.seed) as session:
            env = self._env(session, self.seed)
            self.parameters = self.task.backend._drawn
            first = self._seen(env, TRAINED // 4, 1.0)
            moved = (first.next_observations - first.observations)[:, self.entries]
            stayed = ~first.terminated
            fitted = np.linalg.lstsq(first.actions[stayed], moved[stayed], rcond=None)[0]
            self.inverse = np.linalg.pinv(fitted.T)
            seen = self._seen(env, TRAINED, 0.3)
        response = fit_response(seen, self.task.goal, self.task.action_space)  # type: ignore[arg-type]
        assert response is not None
        return Watch(response)

    def _seen(self, env: TaskEnv, count: int, exploring: float) -> Transitions:
        rows = list(self._play(env, count, exploring))
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        before, actions, rewards, after, terminated, truncated = columns
        return Transitions(
            observations=before,
            actions=actions,
            rewards=rewards,
            next_observations=after,
            terminated=terminated,
            truncated=truncated,
        )

    def _play(self, env: TaskEnv, count: int, exploring: float = 0.0) -> Iterator[Any]:
        observation, _ = env.reset()
        for _ in range(count):
            wanted = -self.inverse @ observation[self.entries]
            wanted = wanted + exploring * self.rng.standard_normal(2)
            action = np.clip(wanted, -1, 1).astype(np.float32)
            after, reward, terminated, truncated, _ = env.step(action)
            yield observation, action, reward, after, terminated, truncated
            observation = env.reset()[0] if terminated or truncated else after

    def found(self, count: int, changes: tuple[Any, ...] = ()) -> list[int]:
        """Return the timesteps of a run at which something is said."""
        said = []
        with self._opened(self.seed + 1, changes) as session:
            env = self._env(session, self.seed + 1)
            self.watch.begin()
            for number, row in enumerate(self._play(env, count), start=1):
                before, action, _, after, terminated, truncated = row
                if self.watch.take(before, action, after):
                    said.append(number)
                if terminated or truncated:
                    self.watch.begin()
        return said


def false_alarms(condition: str, preset: str, seeds: range, timesteps: int) -> tuple[int, int]:
    """Return how often something was said of unchanged instruments, and in how many timesteps."""
    counts = [len(Stand(condition, preset, seed).found(timesteps)) for seed in seeds]
    return sum(counts), timesteps * len(seeds)


def delays(condition: str, preset: str, change: str, seeds: range) -> list[int]:
    """Return how many timesteps after a change it is said, `NEVER` where it is not; sorted.

    The timestep whose frame is the first to show the change is number 1.
    """
    taken = []
    for seed in seeds:
        stand, at = Stand(condition, preset, seed), 20 + seed % 17
        values = CHANGES[change](stand.parameters)
        said = stand.found(at + NEVER, ({**values, "at_timestep": at},))
        later = [timestep - at + 1 for timestep in said if timestep >= at]
        taken.append(min([*later, NEVER]))
    return sorted(taken)


def main(first_seed: int = 7000, instruments: int = 20, timesteps: int = 1000) -> None:
    """Print the figures."""
    console, seeds = Console(), range(first_seed, first_seed + instruments)
    for preset in ("paper", "default"):
        table = Table("condition", "false alarms", *CHANGES, title=f"task.preset = {preset}")
        for condition in CONDITIONS:
            said, of = false_alarms(condition, preset, seeds, timesteps)
            cells = [
                f"{np.median(late):.0f}, {late[-1]}, {late.count(NEVER)}"
                for late in (delays(condition, preset, change, seeds) for change in CHANGES)
            ]
            table.add_row(condition, f"{said} in {of}", *cells)
        console.print(table)


if __name__ == "__main__":
    main()
