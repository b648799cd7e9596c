"""Centring among other disks, halos, structure, defects and a beam stop, scored against the truth.

Each start has an instrument of its own. A start at which the direct beam is not certain counts as
ambiguous here; evaluation and training draw another one. What is finished is kept in the folder,
start by start: the same command again goes on where it was stopped.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from attrs import asdict, field, frozen
from rich.console import Console

import stempilot
from benchmarks.tables.cells import STEPS, TASK_OPTIONS
from stempilot.contract.agent import Learner
from stempilot.contract.values import Outcome
from stempilot.errors import IncompatibleError, StartError
from stempilot.operation.episodes import run_oracle
from stempilot.operation.task_env import TaskEnv
from stempilot.operation.timestep import Timestep
from stempilot.plugins.options import build
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.reference import Reference
from stempilot_tasks.bf_disk_centering.state import CenteringState
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

PRESETS = ("halo", "polycrystal", "crystal", "zone-axis", "structured", "defects", "beam-stop")
VACUUM = "random"
SEED = 700_000
ORACLE = "oracle"

NO_START = "no start"
"""Beside the outcomes: no start in which the disk shows was found."""

FALSE = "false"
"""Success was said while the direct beam was farther from the goal than the tolerance."""

ANOTHER_RADII = 0.5
"""A disk that is followed so many radii from the direct one is another one."""

console = Console(highlight=False)


@frozen(kw_only=True)
class Start:
    """How an episode ended, or a training.

    Attributes:
        outcome: of the episode; for a training how many episodes succeeded.
        steps: timesteps.
        error_px: true distance from the goal at the end.
        rows: timesteps, starts included, in which a disk was followed.
        wrong: how many of them followed another disk than the direct one.
    """

    outcome: str
    steps: int
    error_px: float
    rows: int
    wrong: int


class Counting(BfDiskCentering):
    """The task, with a reference that is no folder, and with ambiguous starts if they count."""

    def __init__(self, agent: str, reference: Reference | None, *, ambiguous: bool) -> None:
        options = TASK_OPTIONS.get(agent, {})
        super().__init__(build(BfDiskCenteringConfig, options, section="task"))
        self.reference = reference
        self._ambiguous = ambiguous

    def is_start(self, state: CenteringState) -> bool:
        return super().is_start(state) or (self._ambiguous and state.known.ambiguous)


@frozen
class Watch:
    """Keeps what each timestep tells."""

    task: BfDiskCentering
    told: list[dict[str, float]] = field(factory=list)
    wrong: list[bool] = field(factory=list)

    def record(self, step: Timestep, snapshot: Any, /) -> None:
        del snapshot
        self.told.append(self.task.summary(step.state))
        disk = step.state.known.disk
        if disk is not None and step.truth is not None:
            away = np.subtract(disk.position_px, step.truth["position_px"])
            self.wrong.append(bool(np.hypot(*away) > ANOTHER_RADII * step.truth["radius_px"][0]))


def played(
    preset: str,
    seed: int,
    name: str,
    agent: Any,
    reference: Reference | None = None,
    *,
    train: int = 0,
) -> tuple[Start, Watch]:
    """Play an episode on an instrument that the seed stands for, or train there.

    Args:
        preset: of the simulator.
        seed: of the instrument and the start.
        name: of the agent, or the oracle's.
        agent: who plays; ``None`` for the oracle.
        reference: what the disk was without a specimen.
        train: timesteps to train for.
    """
    options = build(SimulatorConfig, {"preset": preset, "redraw": "run"}, section="backend")
    opening = stempilot.Opening(purpose="evaluate", seed=seed, instrument_seed=seed)
    task = Counting(name, reference, ambiguous=not train)
    watch = Watch(task)
    with stempilot.open_session(Simulator(options, opening), [task], name="simulator") as session:
        env = session.env(task, seed=seed, recorder=watch)
        try:
            if train:
                agent.learn(env, steps=train, report=lambda _: True)
            elif agent is None:
                run_oracle(env)
            else:
                stempilot.run_episode(env, agent.policy())
        except StartError:
            return Start(outcome=NO_START, steps=0, error_px=0.0, rows=0, wrong=0), watch
        return _start(env, watch), watch


def _start(env: TaskEnv, watch: Watch) -> Start:
    last = env.last
    assert last.truth is not None
    task: Any = env.task
    error_px = task.true_error(last.state, last.truth)["error_px"]
    outcome = "truncated" if last.truncated else last.outcome.value
    tolerance_px = task.geometry.tolerance() * task.geometry.unit_px
    if last.outcome is Outcome.SUCCESS and error_px > tolerance_px:
        outcome = FALSE
    return Start(
        outcome=outcome,
        steps=last.step,
        error_px=error_px,
        rows=len(watch.wrong),
        wrong=sum(watch.wrong),
    )


@frozen(kw_only=True)
class Row:
    """What starts are counted together.

    Attributes:
        preset: of the simulator.
        agent: its name, or the oracle's.
        reference: a run of ``adaptive`` on vacuum, on the same instrument, tells what the disk is.
        train: timesteps of a training on the specimen; 0 for an episode. A learner that plays an
            episode was trained on vacuum before, on the same instrument.
    """

    preset: str
    agent: str
    reference: bool
    train: int = 0

    @property
    def name(self) -> str:
        """What its file is called, without the ending."""
        return "-".join([self.preset, self.agent, *["reference"] * self.reference, *self._trained])

    @property
    def _trained(self) -> list[str]:
        return [f"train{self.train}"] if self.train else []


def made(name: str, seed: int) -> Any:
    """Return a fresh agent; ``None`` for the oracle."""
    task = Counting(name, None, ambiguous=False)
    return None if name == ORACLE else stempilot.discover().agent(name, task, seed=seed)


@cache
def learnt(name: str, seed: int) -> Any:
    """Return an agent after its training on vacuum, on the instrument that the seed stands for."""
    agent = made(name, seed)
    if isinstance(agent, Learner):
        played(VACUUM, seed, name, agent, train=STEPS[name])
    return agent


def start(row: Row, seed: int) -> Start:
    """Return how a start of a row ends."""
    reference = None
    if row.reference:
        _, watch = played(VACUUM, seed, "adaptive", made("adaptive", seed))
        reference = Reference.told(watch.told)
    agent = made(row.agent, seed) if row.train else learnt(row.agent, seed)
    return played(row.preset, seed, row.agent, agent, reference, train=row.train)[0]


def kept(file: Path) -> dict[int, dict[str, Any]]:
    """Return the starts that a file holds, by seed; a line that was cut off does not count."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            one = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[one.pop("seed")] = one
    return found


def measure(out: Path, row: Row, seeds: Sequence[int], pool: Any) -> list[Start]:
    """Return the starts of a row, those of the folder and new ones; these are kept there."""
    file = out / f"{row.name}.jsonl"
    before = kept(file)
    todo = [seed for seed in seeds if seed not in before]
    out.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        found = pool.map(partial(start, row), todo) if pool else map(partial(start, row), todo)
        for seed, one in zip(todo, found, strict=True):
            before[seed] = asdict(one)
            lines.write(json.dumps({"seed": seed, **asdict(one)}) + "\n")
            lines.flush()
    return [Start(**before[seed]) for seed in seeds]


def figures(row: Row, starts: Sequence[Start]) -> dict[str, Any]:
    """Return the numbers of a row."""
    outcomes = [one.outcome for one in starts]
    steps = [one.steps for one in starts if one.outcome == Outcome.SUCCESS.value]
    return {
        "preset": row.preset,
        "agent": row.agent,
        "reference": row.reference,
        "starts": len(starts),
        **{name: outcomes.count(name) for name in sorted(set(outcomes))},
        "steps": round(float(np.mean(steps)), 2) if steps else None,
        "wrong rows": f"{sum(one.wrong for one in starts)} of {sum(one.rows for one in starts)}",
    }


def all_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows that are asked for."""
    for preset in options.presets:
        for agent in options.agents:
            yield Row(preset=preset, agent=agent, reference=options.reference, train=options.train)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a line for each row as it is done."""
    options = parse(arguments)
    seeds = range(options.seed, options.seed + options.starts)
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        for row in all_rows(options):
            try:
                starts = measure(options.out, row, seeds, pool if options.workers > 1 else None)
            except IncompatibleError as error:
                console.print(f"{row.preset} {row.agent}: {error}")
                continue
            show(figures(row, starts))
    return 0


def show(numbers: Mapping[str, Any]) -> None:
    """Print the numbers of a row."""
    console.print(", ".join(f"{name} {value}" for name, value in numbers.items()))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.specimens", description=__doc__)
    parser.add_argument("presets", nargs="*", default=PRESETS, metavar="preset")
    parser.add_argument("--starts", type=int, default=100, help="for each row")
    parser.add_argument("--seed", type=int, default=SEED, help="of the first start")
    parser.add_argument("--agents", nargs="+", default=["adaptive"], help="or the oracle")
    parser.add_argument("--reference", action="store_true", help="a run on vacuum comes first")
    parser.add_argument("--train", type=int, default=0, help="timesteps of a training instead")
    parser.add_argument("--workers", type=int, default=1, help="processes at once")
    parser.add_argument("--out", type=Path, default=Path("specimens"), help="folder of results")
    options = parser.parse_args(arguments)
    if unknown := set(options.presets) - {*PRESETS, VACUUM}:
        parser.error(f"no preset is called {', '.join(sorted(unknown))}; have {', '.join(PRESETS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
