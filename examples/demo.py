"""Train an agent on camera frames of the simulator, then centre the disk from unseen starts.

This is what ``make demo`` runs. The command line can do all of it too; the demo shows the commands.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import stempilot
from stempilot.cli.render import progress
from stempilot.record.recorder import FramePolicy
from stempilot.report import write_report

TASK = "bf-disk-centering"
AGENT = "sac-rapid"
TRAINING_SEED, UNSEEN_SEED = 1, 20_221
"""Training never sees the starts of the second seed."""

PAPER = {
    "name": "paper (Xu, Kumar, LeBeau 2022)",
    "success_rate": None,
    "steps_mean": 21.4,
    "steps_std": 10.4,
    "timesteps": "3,000-4,000",
}
"""The published agent, in the authors' own simulator."""

console = Console(highlight=False)


def main() -> int:
    """Run the demonstration; return 0 when the trained agent centred the disk every time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60, help="timesteps to train")
    parser.add_argument("--episodes", type=int, default=20, help="unseen starts")
    parser.add_argument("--out", type=Path, default=None, help="folder of the runs")
    options = parser.parse_args()
    registry = stempilot.discover()
    folder = options.out or free_folder(Path("runs"))

    say(f"[bold]1.[/bold] Train {AGENT} on frames of the simulator: {options.steps} timesteps.")
    say(
        f"   stempilot train {TASK} --agent {AGENT} --steps {options.steps} "
        f"--seed {TRAINING_SEED} --frames all --out {folder / 'train'}"
    )
    trained = train(registry, folder / "train", options.steps)

    say(f"[bold]2.[/bold] Centre the disk from {options.episodes} starts that it never saw.")
    say(
        f"   stempilot run {TASK} --policy {folder / 'train'} --episodes {options.episodes} "
        f"--seed {UNSEEN_SEED}"
    )
    learnt = evaluate(registry, folder / AGENT, options.episodes, policy=folder / "train")
    classical = evaluate(registry, folder / "adaptive", options.episodes, agent="adaptive")

    rows = comparison(trained, learnt, classical)
    (folder / AGENT / "comparison.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    show(rows)
    say(f"\nHow it learnt, with an animation: {write_report(folder / 'train')}")
    say(f"How it performs:                  {write_report(folder / AGENT)}")
    return 0 if learnt["success_rate"] == 1.0 else 1


def say(text: str) -> None:
    """Print a line; paths and commands stay whole."""
    console.print(text, soft_wrap=True)


def free_folder(parent: Path) -> Path:
    """Return the first folder ``parent/demo-N`` that does not exist yet."""
    return next(path for n in range(1, 10_000) if not (path := parent / f"demo-{n}").exists())


def train(registry: stempilot.Registry, out: Path, steps: int) -> dict[str, Any]:
    """Train the agent, keep every frame for the animation, and return the result."""
    extras = stempilot.Extras(seed=TRAINING_SEED, out=out, frames=FramePolicy(every=1))
    plan = stempilot.plan_train(registry, task=TASK, agent=AGENT, steps=steps, extras=extras)
    with progress("train", "timesteps") as show_progress:
        result = stempilot.execute(plan, on_progress=show_progress)
    learnt = result["converged_at"]
    say(
        "   It does not succeed in 96 % of episodes yet."
        if learnt is None
        else f"   From timestep {learnt} on it succeeds in at least 96 % of episodes."
    )
    return result


def evaluate(registry: stempilot.Registry, out: Path, episodes: int, **who: Any) -> dict[str, Any]:
    """Evaluate an agent or a trained policy on the unseen starts."""
    extras = stempilot.Extras(seed=UNSEEN_SEED, out=out)
    plan = stempilot.plan_run(registry, task=TASK, episodes=episodes, extras=extras, **who)
    with progress("run", "episodes") as show_progress:
        return stempilot.execute(plan, on_progress=show_progress)


def comparison(
    trained: dict[str, Any], learnt: dict[str, Any], classical: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the agents as rows of a table."""
    figures = ("success_rate", "steps_mean", "steps_std")
    oracle = {name: learnt.get(f"oracle_{name}") for name in figures}
    return [
        {
            "name": f"{AGENT} (trained just now)",
            **{name: learnt[name] for name in figures},
            "timesteps": trained["converged_at"] or "more",
        },
        {
            "name": "adaptive (classical)",
            **{name: classical[name] for name in figures},
            "timesteps": 0,
        },
        {"name": "oracle (knows the response)", **oracle, "timesteps": 0},
        PAPER,
    ]


def show(rows: list[dict[str, Any]]) -> None:
    """Print the comparison."""
    table = Table("", "success", "steps", "timesteps to learn")
    for row in rows:
        rate, steps, spread = row["success_rate"], row["steps_mean"], row["steps_std"]
        table.add_row(
            row["name"],
            "-" if rate is None else f"{rate:.0%}",
            "-" if steps is None else f"{steps:.1f}" + (f" ± {spread:.1f}" if spread else ""),
            str(row["timesteps"]),
        )
    console.print(table)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except stempilot.StempilotError as error:
        sys.exit(f"error: {error}")
