"""Train an agent on camera frames of the simulator, then centre the disk from unseen starts.

What ``make demo`` runs. Everything it does can be done with the command line too; the commands are
shown along the way.
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
from stempilot.report import write_report

TASK = "bf-disk-centering"
UNSEEN_SEED = 20_221
"""Seed of the starts that the agents are compared on; training never sees it."""

PAPER_STEPS, PAPER_STEPS_STD = 21.4, 10.4

console = Console(highlight=False)


def main() -> int:
    """Run the demonstration; return 0 when the trained agent centred the disk every time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2_500, help="timesteps to train")
    parser.add_argument("--episodes", type=int, default=20, help="unseen starts")
    parser.add_argument("--seed", type=int, default=1, help="seed of the training")
    parser.add_argument("--out", type=Path, default=None, help="folder of the runs")
    options = parser.parse_args()
    registry = stempilot.discover()
    folder = options.out or free_folder(Path("runs"))

    console.print(f"[bold]1.[/bold] train on frames of the simulator: {options.steps} timesteps")
    console.print(
        f"   stempilot train {TASK} --agent sac --steps {options.steps} --seed {options.seed}"
    )
    trained = train(registry, folder / "train", steps=options.steps, seed=options.seed)

    console.print(f"[bold]2.[/bold] centre the disk from {options.episodes} unseen starts")
    console.print(
        f"   stempilot run {TASK} --policy {folder / 'train'} --episodes {options.episodes} "
        f"--seed {UNSEEN_SEED}",
        soft_wrap=True,
    )
    learnt = evaluate(registry, folder / "sac", options.episodes, policy=folder / "train")
    classical = evaluate(registry, folder / "adaptive", options.episodes, agent="adaptive")

    rows = comparison(trained, learnt, classical)
    (folder / "sac" / "comparison.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    show(rows)
    console.print(f"\nHow it learnt:   {write_report(folder / 'train')}", soft_wrap=True)
    console.print(f"How it performs: {write_report(folder / 'sac')}", soft_wrap=True)
    return 0 if learnt["success_rate"] == 1.0 else 1


def free_folder(parent: Path) -> Path:
    """Return the first folder ``parent/demo-N`` that does not exist yet."""
    return next(path for n in range(1, 10_000) if not (path := parent / f"demo-{n}").exists())


def train(registry: stempilot.Registry, out: Path, *, steps: int, seed: int) -> dict[str, Any]:
    """Train SAC on the default task and return the result."""
    extras = stempilot.Extras(seed=seed, out=out)
    plan = stempilot.plan_train(registry, task=TASK, agent="sac", steps=steps, extras=extras)
    with progress("train", "timesteps") as show_progress:
        result = stempilot.execute(plan, on_progress=show_progress)
    learnt = result["converged_at"]
    console.print(
        "   it has not learnt to succeed in 96 % of episodes yet"
        if learnt is None
        else f"   from timestep {learnt} on it succeeds in at least 96 % of episodes"
    )
    console.print(f"   {result['timesteps']} timesteps took {result['wall_s']:.0f} s")
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
    """Return the rows of the table that agents are compared in."""
    return [
        {
            "name": "sac (trained just now)",
            "success_rate": learnt["success_rate"],
            "steps_mean": learnt["steps_mean"],
            "steps_std": learnt["steps_std"],
            "error_px_rms": learnt["error_px_rms"],
            "timesteps": trained["converged_at"] or "more",
        },
        {
            "name": "adaptive (classical)",
            "success_rate": classical["success_rate"],
            "steps_mean": classical["steps_mean"],
            "steps_std": classical["steps_std"],
            "error_px_rms": classical["error_px_rms"],
            "timesteps": 0,
        },
        {
            "name": "oracle (knows the response)",
            "success_rate": learnt["oracle_success_rate"],
            "steps_mean": learnt["oracle_steps_mean"],
            "steps_std": None,
            "error_px_rms": None,
            "timesteps": 0,
        },
        {
            "name": "paper (Xu, Kumar, LeBeau 2022)",
            "success_rate": None,
            "steps_mean": PAPER_STEPS,
            "steps_std": PAPER_STEPS_STD,
            "error_px_rms": None,
            "timesteps": "3,000-4,000",
        },
    ]


def show(rows: list[dict[str, Any]]) -> None:
    """Print the comparison."""
    table = Table("", "success", "steps", "error, px RMS", "timesteps to learn")
    for row in rows:
        rate, error, spread = row["success_rate"], row["error_px_rms"], row["steps_std"]
        steps = f"{row['steps_mean']:.1f}" if row["steps_mean"] is not None else "-"
        table.add_row(
            row["name"],
            "-" if rate is None else f"{rate:.0%}",
            steps if spread is None else f"{steps} ± {spread:.1f}",
            "-" if error is None else f"{error:.2f}",
            str(row["timesteps"]),
        )
    console.print(table)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except stempilot.StempilotError as error:
        sys.exit(f"error: {error}")
