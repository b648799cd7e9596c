"""Reads a run directory and checks what it holds."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot.contract.values import Outcome
from stempilot.errors import RunDirError
from stempilot.files import Json, parse_json, read_json
from stempilot.record.figures import Evaluation
from stempilot.record.recorder import numbered, read_events
from stempilot.record.run_dir import EVENTS, RESULT, RunDir
from stempilot.report.evidence import Evidence, Final
from stempilot.report.series import as_number, series

COMPARISON = "comparison.json"


def gather(run: Path) -> Evidence:
    """Return what a run directory holds.

    Raises:
        RunDirError: there is no record, or a file that is there is damaged.
    """
    folder = RunDir.open(run)
    record = folder.record()
    quantities = record.quantities
    progress = folder.progress() or {"evaluations": ()}
    return Evidence(
        folder=run,
        record=record,
        result=read_json(run / RESULT) if (run / RESULT).exists() else {},
        evaluations=tuple(Evaluation(**values) for values in progress["evaluations"]),
        series=series(_acting(run) if (run / EVENTS).exists() else (), quantities),
        finals=_finals(run),
        comparison=_comparison(run / COMPARISON),
    )


def _acting(run: Path) -> Iterator[Json]:
    """Yield the events of what a run was for.

    Not of relearning in the middle of it, nor the end of an episode that the run budget cut off.
    An episode that relearning cut off ended there, without success, as in the run's own figures.
    """
    held: Json | None = None
    for event in read_events(run):
        if event.get("budget_spent"):
            continue
        if "phase" not in event:
            if held is not None:
                yield held
            held = event
        elif held is not None:
            running = held["outcome"] == Outcome.RUNNING.value
            yield {**held, "truncated": True} if running else held
            held = None
    if held is not None:
        yield held


def load_array(path: Path, *, dimensions: int) -> npt.NDArray[Any]:
    """Return the finite numbers in an NPY file.

    Raises:
        RunDirError: missing, damaged, or something else than an array of that many dimensions.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        msg = f"cannot read {path}: {error}"
        raise RunDirError(msg) from error
    usable = isinstance(array, np.ndarray) and array.ndim == dimensions and array.size > 0
    if not usable or array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        msg = f"{path} does not hold {dimensions} dimensions of finite numbers"
        raise RunDirError(msg)
    loaded: npt.NDArray[Any] = array
    return loaded


def _finals(run: Path) -> tuple[Final, ...]:
    path = run / "finals.json"
    if not path.exists():
        return ()
    entries = read_json(path).get("finals")
    by_source: dict[str, list[Any]] = {}
    for entry in entries if isinstance(entries, list) else []:
        # Files that hold the first source alone do not name it.
        source = entry.get("source", "") if isinstance(entry, dict) else ""
        by_source.setdefault(str(source), []).append(entry)
    found: list[Final] = []
    for number, (source, described) in enumerate((by_source or {"": []}).items()):
        name = numbered("finals", number)
        frames = load_array(run / name, dimensions=3)
        if len(described) != len(frames):
            msg = f"{path} does not describe the {len(frames)} frames of {name}"
            raise RunDirError(msg)
        found += [_final(path, source, *pair) for pair in zip(described, frames, strict=True)]
    return tuple(found)


def _final(path: Path, source: str, entry: Any, pixels: npt.NDArray[Any]) -> Final:
    try:
        marks = {str(name): (as_number(x), as_number(y)) for name, (x, y) in entry["marks"].items()}
        final = Final(
            episode=int(entry["episode"]),
            outcome=str(entry["outcome"]),
            source=source,
            pixels=pixels.astype(np.uint8),
            block=int(entry["block"]),
            marks={name: xy for name, xy in marks.items() if all(map(math.isfinite, xy))},
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        msg = f"an entry of {path} is damaged: {error!r}"
        raise RunDirError(msg) from error
    if final.block < 1:
        msg = f"{path} has a block of {final.block} px; it must be at least 1"
        raise RunDirError(msg)
    return final


def _comparison(path: Path) -> tuple[Json, ...]:
    """Return the rows of a comparison, which may come from elsewhere and have no schema."""
    if not path.exists():
        return ()
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path} is damaged: {error}"
        raise RunDirError(msg) from error
    rows = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        msg = f"{path} has no list of rows"
        raise RunDirError(msg)
    return tuple(rows)
