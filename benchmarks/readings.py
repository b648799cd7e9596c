"""Whether what readings tell is true, on frames of instruments that are drawn at random.

``read-response`` is right when each of its four entries lies within three of its standard
uncertainties of the true one: the mean, over the frames, of how the disk would move from where it
stands. ``read-disk`` is right when radius and centre do. The truth scores, and nothing else.

    python -m benchmarks.readings --instruments 500 --seed 1
    python -m benchmarks.readings --task read-disk --instruments 500 --seed 1
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import Any

import numpy as np
from attrs import frozen

from stempilot.contract.backend import Opening
from stempilot.contract.task import Task
from stempilot.contract.values import KnobValue, Outcome, Snapshot
from stempilot.operation.session import open_session
from stempilot.operation.timestep import Timestep
from stempilot.plugins.options import build
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig
from stempilot_tasks.readings.config import ReadDiskConfig, ReadResponseConfig
from stempilot_tasks.readings.disk import ReadDisk
from stempilot_tasks.readings.response import ReadResponse

WITHIN = 3.0
TASKS: Mapping[str, Callable[[], Task[Any, Any]]] = {
    "read-response": lambda: ReadResponse(ReadResponseConfig()),
    "read-disk": lambda: ReadDisk(ReadDiskConfig()),
}


@frozen(kw_only=True)
class Scored:
    """How one reading ended.

    Attributes:
        succeeded: it told a response.
        frames: how many it took.
        home: the knobs stood where they had stood before the framework put anything back.
        misses: distance of each entry from the true one, in standard uncertainties.
        error: distance of all of them from the true ones, over the length of these.
    """

    succeeded: bool
    frames: int
    home: bool
    misses: tuple[float, ...] = ()
    error: float = np.nan

    @property
    def right(self) -> bool:
        """Whether it told the truth, as it claims to."""
        return self.succeeded and max(self.misses) <= WITHIN


class _Truth:
    """Keeps the truth of each frame."""

    def __init__(self) -> None:
        self.frames: list[Mapping[str, KnobValue]] = []

    def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
        """Take one timestep."""
        del snapshot
        if step.truth is not None:
            self.frames.append(step.truth)


def read_one(task_name: str, preset: str, seed: int, number: int) -> Scored:
    """Read an instrument that seed and number draw."""
    drawn = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    config = build(SimulatorConfig, {"preset": preset}, section="backend")
    backend = Simulator(config, Opening(seed=drawn, instrument_seed=drawn))
    task, truth = TASKS[task_name](), _Truth()
    with open_session(backend, [task], name="simulator") as session:
        env = session.env(task, plain=True, recorder=truth)
        env.reset()
        last = env.last
        home = all(session.guard.read(knob) == at for knob, at in session.baseline.items())
    frames = len(truth.frames)
    if last.outcome is not Outcome.SUCCESS:
        return Scored(succeeded=False, frames=frames, home=home)
    expected, products = true_values(task_name, truth.frames), task.products(last.state)
    told = [products[name] for name in expected]
    true = np.array(list(expected.values()))
    away = np.array([one.value for one in told]) - true
    misses = np.abs(away) / [one.uncertainty for one in told]
    return Scored(
        succeeded=True,
        frames=frames,
        home=home,
        misses=tuple(misses.tolist()),
        error=float(np.linalg.norm(away) / np.linalg.norm(true)),
    )


def true_values(task_name: str, frames: Sequence[Mapping[str, KnobValue]]) -> dict[str, float]:
    """Return the true values, over the frames, of products by their names."""
    if task_name == "read-disk":
        x, y = np.mean([frame["position_px"] for frame in frames], axis=0).tolist()
        return {"radius": frames[0]["radius_px"][0], "centre_x": x, "centre_y": y}
    true = np.mean([frame["jacobian_px_per_rad"] for frame in frames], axis=0).tolist()
    return {
        f"response_{name}": one for name, one in zip(("xx", "xy", "yx", "yy"), true, strict=True)
    }


def measure(
    instruments: int,
    *,
    seed: int,
    task: str = "read-response",
    preset: str = "random",
    jobs: int = 1,
) -> list[Scored]:
    """Read so many instruments."""
    asked = repeat(task), repeat(preset), repeat(seed), range(instruments)
    if jobs == 1:
        return list(map(read_one, *asked))
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(read_one, *asked, chunksize=4))


def figures(found: Sequence[Scored]) -> dict[str, float]:
    """Return what is said of the readings."""
    told = [one for one in found if one.succeeded]
    misses = np.array([one.misses for one in told])
    errors = [one.error for one in told]
    return {
        "instruments": len(found),
        "succeeded": len(told) / len(found),
        "right, all entries": sum(one.right for one in found) / len(found),
        "entries right": float(np.mean(misses <= WITHIN)),
        "largest miss, in standard uncertainties": float(misses.max()),
        "RMS miss, in standard uncertainties": float(np.sqrt(np.mean(misses**2))),
        "relative error, median": float(np.median(errors)),
        "relative error, 95 % within": float(np.quantile(errors, 0.95)),
        "frames, most": max(one.frames for one in found),
        "home": sum(one.home for one in found) / len(found),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.readings", description=__doc__)
    parser.add_argument("--instruments", type=int, default=500)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--task", choices=TASKS, default="read-response")
    parser.add_argument("--preset", default="random")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    found = measure(
        asked.instruments, seed=asked.seed, task=asked.task, preset=asked.preset, jobs=asked.jobs
    )
    for name, value in figures(found).items():
        print(f"{name:42} {value:.4g}")


if __name__ == "__main__":
    main()
