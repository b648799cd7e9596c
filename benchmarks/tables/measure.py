"""Measures one cell with what stempilot offers to everybody, and keeps what was measured."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve

import stempilot
from benchmarks.kept import keep, kept
from benchmarks.tables.cells import TASK, Cell
from stempilot.record.run_dir import RunDir

Json = dict[str, Any]


def measured(folder: Path, cell: Cell) -> Json | None:
    """Return what an earlier run measured; ``None`` where it did not, or asked something else."""
    return kept(_file(folder, cell), cell.asked)


def measure(
    folder: Path, cell: Cell, on_progress: Callable[[str, int, int], None] = lambda *_: None
) -> Json | None:
    """Measure a cell and write it to the folder; ``None`` and nothing written if interrupted.

    Args:
        folder: where cells and, while they are being made, their runs are.
        cell: what to measure.
        on_progress: told what is being done, how much of it is, and of how much.
    """
    runs = folder / "runs" / cell.name
    shutil.rmtree(runs, ignore_errors=True)
    registry = stempilot.discover()
    trained: Json | None = None
    if cell.steps:
        trained = stempilot.execute(
            stempilot.plan_train(
                registry,
                task=TASK,
                agent=cell.plugin,
                steps=cell.steps,
                settings=cell.settings,
                extras=stempilot.Extras(seed=cell.seed, out=runs / "train"),
            ),
            on_progress=lambda seen: on_progress("train", seen.done, seen.total),
        )
        if trained["interrupted"]:
            return None
    who: dict[str, Any] = {"policy": runs / "train"} if trained else {"agent": cell.plugin}
    plan = stempilot.plan_run(
        registry,
        task=TASK,
        episodes=cell.episodes,
        settings=cell.settings,
        extras=stempilot.Extras(seed=cell.evaluation_seed, out=runs / "run"),
        **who,
    )
    # The same instrument for all agents, whether they were trained on it or not.
    plan = evolve(plan, opening=evolve(plan.opening, instrument_seed=cell.seed))
    evaluated = stempilot.execute(
        plan, on_progress=lambda seen: on_progress("run", seen.done, seen.total)
    )
    if evaluated["interrupted"]:
        return None
    found = {
        "asked": cell.asked,
        "training": trained,
        "evaluation": evaluated,
        "software": _software(runs / "run"),
    }
    keep(_file(folder, cell), found)
    shutil.rmtree(runs)
    return found


def _file(folder: Path, cell: Cell) -> Path:
    return folder / "cells" / f"{cell.name}.json"


def _software(run: Path) -> Json:
    """Return what a run recorded of the software that made it."""
    record = RunDir.open(run).record()
    return {
        "python": record.python,
        "system": record.system,
        "versions": record.versions,
        "git_commit": record.git_commit,
    }
