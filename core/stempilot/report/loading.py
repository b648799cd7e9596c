"""Reads a run directory and checks what it holds."""

import math
from collections.abc import Iterator
from os.path import lexists
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot.contract.values import Outcome
from stempilot.errors import RunDirError
from stempilot.files import Json, parse_json, read_array, read_file, read_json
from stempilot.record.figures import Evaluation
from stempilot.record.recorder import FINALS, numbered, read_events
from stempilot.record.run_dir import EVENTS, RESULT, RunDir
from stempilot.report.evidence import Evidence, Final
from stempilot.report.series import as_number, series

COMPARISON = "comparison.json"
_MOST_FINALS, _MOST_FINAL_PIXELS, _MOST_ELONGATED = 8 * FINALS, 2**24, 20
"""How much of final frames is drawn: those of eight cameras."""


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
        result=read_json(run / RESULT) if lexists(run / RESULT) else {},
        evaluations=tuple(Evaluation(**values) for values in progress["evaluations"]),
        series=series(_acting(run) if lexists(run / EVENTS) else (), quantities),
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


def require_drawable(path: Path, shape: tuple[int, ...]) -> None:
    """Check that a frame can be drawn at all.

    Raises:
        RunDirError: it is more than `_MOST_ELONGATED` times as long as wide.
    """
    if max(shape) > _MOST_ELONGATED * min(shape):
        msg = f"{path} holds frames of {shape[0]} x {shape[1]} px, too elongated to be drawn"
        raise RunDirError(msg)


def load_array(path: Path, *, dimensions: int, run: Path) -> npt.NDArray[Any]:
    """Return the finite numbers in an NPY file of a run.

    Raises:
        RunDirError: missing, damaged, or something else than an array of that many dimensions.
    """
    array = read_array(path, inside=run)
    finite = array.dtype.kind != "f" or all(np.isfinite(part).all() for part in array)
    if array.ndim != dimensions or array.size == 0 or not finite:
        msg = f"{path} does not hold {dimensions} dimensions of finite numbers"
        raise RunDirError(msg)
    return array


def _finals(run: Path) -> tuple[Final, ...]:
    path = run / "finals.json"
    if not lexists(path):
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
        frames = load_array(run / name, dimensions=3, run=run)
        require_drawable(run / name, frames.shape[1:])
        if frames.size > _MOST_FINAL_PIXELS or len(frames) + len(found) > _MOST_FINALS:
            msg = f"{run / name} holds more than the final frames of a run: {frames.shape}"
            raise RunDirError(msg)
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
    if not lexists(path):
        return ()
    try:
        content = parse_json(read_file(path))
    except ValueError as error:
        msg = f"{path} is damaged: {error}"
        raise RunDirError(msg) from error
    rows = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        msg = f"{path} has no list of rows"
        raise RunDirError(msg)
    return tuple(rows)
