"""Whether what ``read-response`` tells is true, on frames of instruments that are drawn at random.

A response counts as right when each of its four entries lies within three of its standard
uncertainties of the true one: the mean, over the frames, of how the disk would move from where it
stands. The truth scores, and nothing else.

    python -m benchmarks.readings --instruments 500 --seed 1
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import numpy as np
from attrs import frozen

from stempilot.contract.backend import Opening
from stempilot.contract.names import DIFFRACTION_SHIFT
from stempilot.contract.values import Outcome, Snapshot
from stempilot.operation.session import open_session
from stempilot.operation.timestep import Timestep
from stempilot.plugins.options import build
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig
from stempilot_tasks.readings.config import ReadResponseConfig
from stempilot_tasks.readings.response import ReadResponse

WITHIN = 3.0


@frozen(kw_only=True)
class Scored:
    """How one reading ended.

    Attributes:
        succeeded: it told a response.
        frames: how many it took.
        home: the knob stood where it had stood before the framework put anything back.
        misses: distance of each entry from the true one, in standard uncertainties.
        error: distance of all four from the true ones, over the length of these.
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
    """Keeps the true response of each frame."""

    def __init__(self) -> None:
        self.responses: list[tuple[float, ...]] = []

    def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
        """Take one timestep."""
        del snapshot
        if step.truth is not None:
            self.responses.append(step.truth["jacobian_px_per_rad"])


def read_one(preset: str, seed: int, number: int) -> Scored:
    """Read the response of an instrument that seed and number draw."""
    drawn = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    config = build(SimulatorConfig, {"preset": preset}, section="backend")
    backend = Simulator(config, Opening(seed=drawn, instrument_seed=drawn))
    task, truth = ReadResponse(ReadResponseConfig()), _Truth()
    with open_session(backend, [task], name="simulator") as session:
        env = session.env(task, plain=True, recorder=truth)
        env.reset()
        last, baseline = env.last, session.baseline[DIFFRACTION_SHIFT]
        home = session.guard.read(DIFFRACTION_SHIFT) == baseline
    products = task.products(last.state)
    frames = len(truth.responses)
    if last.outcome is not Outcome.SUCCESS:
        return Scored(succeeded=False, frames=frames, home=home)
    told = [products[f"response_{name}"] for name in ("xx", "xy", "yx", "yy")]
    true = np.mean(truth.responses, axis=0)
    away = np.array([one.value for one in told]) - true
    misses = np.abs(away) / [one.uncertainty for one in told]
    return Scored(
        succeeded=True,
        frames=frames,
        home=home,
        misses=tuple(misses.tolist()),
        error=float(np.linalg.norm(away) / np.linalg.norm(true)),
    )


def measure(instruments: int, *, seed: int, preset: str = "random", jobs: int = 1) -> list[Scored]:
    """Read the response of so many instruments."""
    asked = repeat(preset), repeat(seed), range(instruments)
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
        "right, all four entries": sum(one.right for one in found) / len(found),
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
    parser.add_argument("--preset", default="random")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    found = measure(asked.instruments, seed=asked.seed, preset=asked.preset, jobs=asked.jobs)
    for name, value in figures(found).items():
        print(f"{name:42} {value:.4g}")


if __name__ == "__main__":
    main()
