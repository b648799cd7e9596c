"""Measures every agent in every condition and writes the tables.

What is finished is kept in the folder, cell by cell: the same command again goes on where it was
stopped. Every seed stands for instruments and starts that nothing was tuned on.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import stempilot
from benchmarks.tables.aggregate import rows
from benchmarks.tables.cells import (
    AGENTS,
    CONDITIONS,
    EPISODES,
    PLUGINS,
    SEEDS,
    STEPS,
    TASK,
    Cell,
    Table,
    all_cells,
)
from benchmarks.tables.figures import draw
from benchmarks.tables.measure import Json, measure, measured
from benchmarks.tables.writing import as_csv, as_json, as_markdown

QUICK_CONDITIONS = ("paper", "random", "everything")
QUICK_EPISODES = 20
QUICK_STEPS = 200

console = Console(stderr=True, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every cell is measured, 130 when it was interrupted before."""
    options = parse(arguments)
    cells = cells_of(options)
    todo = [cell for cell in cells if measured(options.out, cell) is None]
    console.print(f"{len(cells)} cells, {len(cells) - len(todo)} of them measured before")
    complete = True
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as bars:
        bar = bars.add_task("cells", total=len(todo))
        for cell, found in measure_all(options.out, todo, jobs=options.jobs, bars=bars):
            if found is None:
                complete = False
                break
            bars.update(bar, advance=1, description=cell.name)
    found_cells = [found for cell in cells if (found := measured(options.out, cell))]
    if found_cells:
        write(options.out, found_cells, command(sys.argv if arguments is None else arguments))
        console.print(f"tables: {options.out / 'tables.md'}", soft_wrap=True)
    return 0 if complete else 130


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line, defaults filled in."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of cells and tables")
    parser.add_argument("--quick", action="store_true", help="a look in a few minutes")
    parser.add_argument("--tables", nargs="+", choices=list(AGENTS), default=list(AGENTS))
    parser.add_argument("--agents", nargs="+", help="only these")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), help="only these")
    parser.add_argument(
        "--seeds", nargs="+", type=int, help="default: " + " ".join(map(str, SEEDS))
    )
    parser.add_argument("--episodes", type=int, help=f"for each seed (default: {EPISODES})")
    parser.add_argument(
        "--steps",
        nargs="+",
        type=_named_number,
        default=[],
        metavar="AGENT=N",
        help="timesteps of training, for example sac=3000",
    )
    parser.add_argument("--jobs", type=int, default=1, help="cells measured at a time")
    options = parser.parse_args(arguments)
    quick = options.quick
    options.conditions = options.conditions or list(QUICK_CONDITIONS if quick else CONDITIONS)
    options.seeds = options.seeds or list(SEEDS[:1] if quick else SEEDS)
    options.episodes = options.episodes or (QUICK_EPISODES if quick else EPISODES)
    steps = {name: min(n, QUICK_STEPS) if quick else n for name, n in STEPS.items()}
    options.steps = {**steps, **dict(options.steps)}
    return options


def _named_number(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not number.isdigit() or int(number) < 1:
        msg = f"{text!r} is not AGENT=N with N at least 1"
        raise argparse.ArgumentTypeError(msg)
    return name, int(number)


def cells_of(options: argparse.Namespace) -> list[Cell]:
    """Return the cells that the options ask for.

    Raises:
        SystemExit: an agent that was asked for belongs to no table.
    """
    installed = stempilot.discover().names("agent")
    agents: dict[Table, list[str]] = {
        table: [name for name in AGENTS[table] if PLUGINS.get(name, name) in installed]
        for table in options.tables
    }
    if options.agents:
        known = {name for names in agents.values() for name in names}
        if unknown := [name for name in options.agents if name not in known]:
            sys.exit(f"--agents {' '.join(unknown)}: known here are {', '.join(sorted(known))}")
        agents = {t: [n for n in names if n in options.agents] for t, names in agents.items()}
    return list(
        all_cells(
            agents=agents,
            conditions=options.conditions,
            seeds=options.seeds,
            episodes=options.episodes,
            steps=options.steps,
        )
    )


def measure_all(
    folder: Path, cells: Sequence[Cell], *, jobs: int, bars: Progress
) -> Iterator[tuple[Cell, Json | None]]:
    """Yield each cell with what was measured, in order; ``None`` where it was interrupted."""
    if jobs > 1:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            found = pool.map(partial(measure, folder), cells)
            yield from zip(cells, found, strict=True)
        return
    bar = bars.add_task("", total=None)
    for cell in cells:

        def show(what: str, done: int, total: int, name: str = cell.name) -> None:
            bars.update(bar, description=f"{name} {what}", completed=done, total=total)

        yield cell, measure(folder, cell, show)


def write(folder: Path, cells: Sequence[Mapping[str, Any]], line: str) -> None:
    """Write ``tables.json``, ``tables.csv``, ``tables.md`` and a figure for each table."""
    found = rows(cells)
    about = {
        "task": TASK,
        "command": line,
        "seeds": sorted({cell["asked"]["seed"] for cell in cells}),
        "episodes": max(cell["asked"]["episodes"] for cell in cells),
        "software": cells[-1]["software"],
        "revisions": sorted({str(cell["software"]["git_commit"]) for cell in cells}),
    }
    (folder / "tables.json").write_text(as_json(found, about), encoding="utf-8")
    (folder / "tables.csv").write_text(as_csv(found), encoding="utf-8")
    (folder / "tables.md").write_text(as_markdown(found, about), encoding="utf-8")
    for table in dict.fromkeys(row.table for row in found):
        draw(found, table, folder / f"{table}.png")


def command(arguments: Sequence[str]) -> str:
    """Return the command line as a user would type it."""
    words = arguments[1:] if arguments is sys.argv else arguments
    return " ".join(["python -m benchmarks.tables", *words])


if __name__ == "__main__":
    sys.exit(main())
