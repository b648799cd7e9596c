"""Figures of agent `universal`, beside `adaptive` and its own network replaced by constants.

``mean``: what the network answers in practice, on the average; ``both-hands``: all of the move that
serves both hands and nothing else.

``python -m benchmarks.universal --out FOLDER`` evaluates on frames, a new instrument every episode.
What is finished is kept in the folder; the same command goes on where it was stopped.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from training.practice import Practice

import stempilot
from benchmarks.kept import keep, kept
from benchmarks.universal.conditions import groups
from benchmarks.universal.instruments import BACKEND, TASK, SimulatedInstruments
from stempilot_agents.learners.saving import write_arrays
from stempilot_agents.universal.features import HEDGED, WANTED
from stempilot_agents.universal.memory import Floats
from stempilot_agents.universal.network import ANSWERS, SHAPES, SHIPPED, UniversalNetwork

SEED, EPISODES = 7000, 2000
AGENTS = ["universal", "adaptive", "mean", "both-hands"]
CONSTANTS = {"mean", "both-hands"}
WIDE = {"step_size": 10_400.0}
"""A full action crosses the screen on the instrument that responds least."""


@frozen(kw_only=True)
class Case:
    """One condition: settings of simulator and task."""

    backend: Mapping[str, Any]
    task: Mapping[str, Any] = {}


CASES: Mapping[str, Case] = {
    "random": Case(backend={"preset": "random"}),
    "random, full field": Case(backend={"preset": "random", "start_range": 1.0}),
    "lagged": Case(backend={"preset": "lagged"}),
    "backlash": Case(backend={"preset": "backlash"}),
    "distorted": Case(backend={"preset": "distorted"}),
    "drifting": Case(backend={"preset": "drifting"}),
    "low-dose": Case(backend={"preset": "low-dose"}),
    "everything": Case(backend={"preset": "everything"}),
    "random, in bins": Case(backend={"preset": "random"}, task={"preset": "paper"}),
    "paper, one step crosses": Case(backend={"preset": "paper"}, task={"step_size": 2600.0}),
    "random, one step crosses": Case(backend={"preset": "random"}, task=WIDE),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is not measured yet; print and write a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.universal", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of figures")
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="default: the shipped ones")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--agents", nargs="+", choices=AGENTS, default=AGENTS)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    settings: dict[str, dict[str, Any]] = {name: {"memory": "fresh"} for name in AGENTS}
    settings["universal"]["weights"] = str(options.weights)
    for name in CONSTANTS & set(options.agents):
        file = options.out / f"{name}.safetensors"
        write_constant(constant(name, options.weights), file)
        settings[name]["weights"] = str(file)
    lines = [_line("condition", *_COLUMNS), _line(*["---"] * 7)]
    for case in options.cases:
        for agent in options.agents:
            found = measured(options, case, agent, settings[agent])
            lines.append(_row(f"{case} | {agent}", found))
            print(lines[-1], flush=True)
    (options.out / "universal.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def constant(name: str, weights: Path) -> Floats:
    """Return answers (`ANSWERS`,) that may stand for those of a network."""
    if name == "both-hands":
        both_hands = np.zeros(ANSWERS, np.float32)
        both_hands[2 + WANTED.index(HEDGED)] = 1
        return both_hands
    network = UniversalNetwork.read(weights)
    practice = Practice(SimulatedInstruments(groups(16, 0), 0))
    answers = []
    for _ in range(100):
        answers.append(network.answers(practice.told)[~practice.over])
        practice.step(network.forward(practice.told), 0.0)
    mean: Floats = np.concatenate(answers).mean(0)
    return mean


def write_constant(answers: Floats, file: Path) -> None:
    """Write a network that always answers the same."""
    arrays = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    arrays["scale"][:] = 1
    arrays["out.bias"][:] = answers
    write_arrays(file, arrays)


def measured(
    options: argparse.Namespace, case: str, agent: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the evaluation of an agent under a condition; measured once."""
    name = f"{case.replace(', ', '-').replace(' ', '-')}-{agent}"
    file = options.out / f"{name}.json"
    weights = hashlib.sha256(options.weights.read_bytes()).hexdigest()
    asked = {"episodes": options.episodes, "seed": options.seed, "weights": weights}
    found = kept(file, asked)
    if found is not None:
        return found
    condition = CASES[case]
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        plan = stempilot.plan_run(
            stempilot.discover(),
            task=TASK,
            backend=BACKEND,
            agent="adaptive" if agent == "adaptive" else "universal",
            episodes=options.episodes,
            settings={
                "task": dict(condition.task),
                "backend": {**condition.backend, "redraw": "episode"},
                "agent": dict(settings),
            },
            extras=stempilot.Extras(seed=options.seed, out=Path(folder) / "run"),
        )
        found = {"asked": asked, **stempilot.execute(plan)}
    if not found["interrupted"]:
        keep(file, found)
    return found


_COLUMNS = ("agent", "success", "steps", "oracle's steps", "ratio", "median frames")


def _row(label: str, found: Mapping[str, Any]) -> str:
    ratio = found.get("oracle_ratio")
    return _line(
        label,
        f"{100 * found['success_rate']:.2f} %",
        _number(found.get("paired_steps_mean"), 2),
        _number(found.get("oracle_steps_mean"), 2),
        _number(ratio, 3),
        _number(found.get("frames_median"), 0),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
