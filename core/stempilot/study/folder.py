"""The folder of a study: which cells it has, what became of each, and the table of both.

- ``study.json``: the cells in order, and why the scheduler may be reached without encryption
- ``cells/KEY/``: run directories ``train``, ``relearn``, ``evaluate``, and ``cell.json``
- ``table.parquet``: one row a cell

It may come from a stranger: everything is read as data, checked, and from inside the folder alone.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from os.path import lexists
from pathlib import Path
from typing import Any

from attrs import field, frozen, validators

from stempilot.errors import RunDirError
from stempilot.files import write_file, write_json
from stempilot.plugins import options as config
from stempilot.record.run_dir import read_checked
from stempilot.study.cells import CELL, Ready, title
from stempilot.study.file import MOST_CELLS, MOST_PLOTS, Cell, Finding, Plot, Study

STUDY, CELLS, TABLE = "study.json", "cells", "table.parquet"
NOT_RUN = "not run"

_PLAIN = (str, int, float, bool, type(None))


@frozen(kw_only=True)
class Listed:
    """A cell as ``study.json`` lists it; see `stempilot.study.cells.Ready`."""

    key: str = field(validator=validators.matches_re("[0-9a-f]{16}"))
    swept: dict[str, Any]
    cell: Cell


@frozen(kw_only=True)
class StudyFile:
    """``study.json``.

    Attributes:
        title: what the study is about.
        plots: what the pictures of its report show.
        findings: what its report judges.
        insecure: why its scheduler may be reached without encryption.
        cells: in order.
    """

    title: str
    plots: tuple[Plot, ...] = field(default=(), validator=validators.max_len(MOST_PLOTS))
    findings: tuple[Finding, ...] = ()
    insecure: str = ""
    cells: tuple[Listed, ...] = field(validator=validators.max_len(MOST_CELLS))


@frozen(kw_only=True)
class Episodes:
    """Episodes of a run, as columns; see `stempilot.record.figures.episode_columns`."""

    t: tuple[int, ...]
    steps: tuple[int, ...]
    reward: tuple[float, ...]
    success: tuple[bool, ...]

    def __attrs_post_init__(self) -> None:
        """Check that the columns are of one length."""
        if len({len(self.t), len(self.steps), len(self.reward), len(self.success)}) > 1:
            msg = "the columns of its episodes are of different lengths"
            raise ValueError(msg)


@frozen(kw_only=True)
class Result:
    """``cell.json``; what a cell that never ended has is empty.

    Attributes:
        status: done, failed, out of time or not run.
        reason: why it is not done.
        figures: what each stage gave, by stage.
        episodes: those of each stage.
        wall_s: how long it took.
        software: versions and source revision that it was carried out with.
    """

    status: str = NOT_RUN
    reason: str = ""
    figures: dict[str, dict[str, Any]] = field(factory=dict)
    episodes: dict[str, Episodes] = field(factory=dict)
    wall_s: float = 0.0
    software: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Row:
    """A cell of a study with its result."""

    number: int
    listed: Listed
    result: Result
    folder: Path

    @property
    def title(self) -> str:
        """How it is called in messages."""
        return title(self.number, self.listed.swept, self.listed.cell.seed)


def write_study(folder: Path, study: Study, cells: Sequence[Ready], insecure: str) -> None:
    """Write ``study.json``; raises as `stempilot.files.write_json`."""
    listed = tuple(Listed(key=one.key, swept=one.swept, cell=one.cell) for one in cells)
    made = StudyFile(
        title=study.title,
        plots=study.plots,
        findings=study.findings,
        insecure=insecure,
        cells=listed,
    )
    write_json(folder / STUDY, config.plain(made))


def place_of(folder: Path, key: str) -> Path:
    """Return the folder of a cell."""
    return folder / CELLS / key


def read_folder(folder: Path) -> tuple[StudyFile, list[Row]]:
    """Return a study with all results that there are.

    Raises:
        RunDirError: it is no study, or a file of it is damaged or a link.
    """
    if not lexists(folder / STUDY):
        msg = f"{folder} holds no {STUDY}; give the folder that `stempilot study run` named"
        raise RunDirError(msg)
    study = read_checked(folder / STUDY, StudyFile)
    return study, list(_rows(folder, study))


def _rows(folder: Path, study: StudyFile) -> Iterator[Row]:
    results: dict[str, Result] = {}
    for number, listed in enumerate(study.cells, start=1):
        place = place_of(folder, listed.key)
        if listed.key not in results:
            path = place / CELL
            found = read_checked(path, Result, inside=folder) if lexists(path) else Result()
            results[listed.key] = found
        yield Row(number=number, listed=listed, result=results[listed.key], folder=place)


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many cells have each status."""
    found = [row.result.status for row in rows]
    return {status: found.count(status) for status in dict.fromkeys(found)}


def flat(row: Row) -> dict[str, Any]:
    """Return a row of the table: what was swept, status, and the figures of each stage by name.

    All settings of the cell, and the software that carried it out, are in it as JSON.
    """
    cell = row.listed.cell
    found: dict[str, Any] = {
        "cell": row.number,
        "key": row.listed.key,
        "status": row.result.status,
        "reason": row.result.reason,
        "task": cell.task,
        "backend": cell.backend,
        "agent": cell.agent,
        "steps": cell.steps,
        "seed": cell.seed,
        **row.listed.swept,
        "wall_s": row.result.wall_s,
        "settings": _json({"settings": cell.settings, "relearn": config.plain(cell.relearn)}),
        "software": _json(row.result.software),
    }
    for stage, figures in row.result.figures.items():
        found |= {f"{stage}.{name}": value for name, value in figures.items() if _is_plain(value)}
        found[f"{stage}.run_dir"] = f"{CELLS}/{row.listed.key}/{stage}"
    return found


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN)


def write_table(folder: Path, rows: Sequence[Row]) -> Path:
    """Write ``table.parquet`` and return where it is; raises as `stempilot.files.write_file`."""
    import pyarrow as pa
    from pyarrow import parquet

    flattened = [flat(row) for row in rows]
    names = dict.fromkeys(name for row in flattened for name in row)
    columns = {name: _column(flattened, name) for name in names}
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    write_file(folder / TABLE, buffer.getvalue())
    return folder / TABLE


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Any:
    """Return a column of one type; of values that have none in common, as JSON."""
    import pyarrow as pa

    values = [row.get(name) for row in rows]
    try:
        made = pa.array(values)
        inner = made.type.value_type if pa.types.is_list(made.type) else made.type
        if not pa.types.is_nested(inner):
            return made
    except (pa.ArrowException, ValueError, OverflowError):
        pass
    return pa.array([None if value is None else _json(value) for value in values])
