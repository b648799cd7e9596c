"""Runs a study: reads it, plans every cell, carries out those that are not finished, tables all."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict

from stempilot.errors import StempilotError
from stempilot.files import remove_folder, write_file, write_json
from stempilot.plugins.registry import Registry
from stempilot.record.owner import owned
from stempilot.record.provenance import provenance
from stempilot.record.run_dir import read_checked, require_free
from stempilot.runs.progress import OnProgress
from stempilot.study.cells import DONE, Ready, found_in, ready
from stempilot.study.cluster import Where, carry_out, opened, require_dask
from stempilot.study.file import FULL, Study, cells_of, read_study
from stempilot.study.findings import judge
from stempilot.study.folder import (
    CELLS,
    STUDY,
    Row,
    StudyFile,
    counts,
    place_of,
    read_folder,
    write_study,
    write_table,
)

FINDINGS = "findings.json"
_MANY = 200


def run_study(
    registry: Registry,
    file: Path,
    where: Where,
    *,
    out: Path | None = None,
    scale: str | None = None,
    on_progress: OnProgress,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Carry out the cells of a study that are not finished; return the `summary` of all.

    Args:
        registry: what is installed.
        file: the study file.
        where: on which cluster.
        out: the folder of the study; ``studies/NAME`` when ``None``, with the scale's name.
        scale: one of the file's scales, or `stempilot.study.file.FULL`.
        on_progress: told how many cells are over.
        say: told what a person should know.

    Raises:
        ConfigError: the study, or a cell of it, is impossible or would drive an instrument.
        RunDirError: another study runs in the folder.
        RecordError: the folder cannot be written to.
        ClusterError: the cluster cannot be reached, or is gone.
    """
    require_dask()
    study = read_study(file, scale)
    wanted = cells_of(study, registry)
    if len(wanted) >= _MANY:
        say(f"planning {len(wanted)} cells; that takes about {len(wanted) // 50} s")
    cells = ready(registry, wanted)
    named = None if scale == FULL and FULL not in study.scales else scale
    folder = out or Path("studies") / "-".join(filter(None, (file.stem, named)))
    if not (folder / STUDY).exists():
        require_free(folder)
    with owned(folder):
        _list_cells(folder, study, cells, where.insecure, say)
        # Cells that differ by a label alone are carried out once.
        distinct = {cell.key: cell for cell in reversed(cells)}
        found = {key: found_in(place_of(folder, key)) for key in distinct}
        done = {key: revision for key, (status, revision) in found.items() if status == DONE}
        before = sum(cell.key in done for cell in cells)
        say(f"{folder}: {len(cells)} cells, {before} of them done before")
        _say_of_other_sources(list(done.values()), say)
        unfinished = [cell for cell in cells if cell.key not in done and distinct[cell.key] is cell]
        try:
            if unfinished:
                with opened(where) as client:
                    say(f"dashboard: {client.dashboard_link}")
                    carry_out(client, unfinished, folder, on_progress=on_progress, say=say)
        finally:
            _, rows = read_folder(folder)
            table = write_table(folder, rows)
    return {**summary(folder, rows), "table": str(table)}


def _list_cells(
    folder: Path, study: Study, cells: Sequence[Ready], insecure: str, say: Callable[[str], None]
) -> None:
    """Write which cells there are; say how many that were listed before are no longer."""
    with contextlib.suppress(StempilotError):
        before = read_checked(folder / STUDY, StudyFile, inside=folder)
        insecure = insecure or before.insecure
        if gone := {one.key for one in before.cells} - {one.key for one in cells}:
            say(
                f"{folder}: {len(gone)} cells that a study had here are not in this one; table and "
                f"report leave them out, and their results stay in {folder / CELLS}"
            )
    write_study(folder, study, cells, insecure)


def _say_of_other_sources(revisions: Sequence[Any], say: Callable[[str], None]) -> None:
    """Say so where finished cells were made by another state of a working copy of stempilot."""
    now = provenance()["git_commit"] if revisions else None
    if now is not None and (others := sum(one != now for one in revisions)):
        say(
            f"{others} of them were made by another revision of the source than {now[:9]}; a new "
            "--out makes them again"
        )


def summary(folder: Path, rows: Sequence[Row]) -> dict[str, Any]:
    """Return how many cells have which status, and why those are not done that are not."""
    not_done = {row.title: row.result.reason for row in rows if row.result.status != DONE}
    found = counts(rows)
    return {"run_dir": str(folder), **found, "cells": found, "reasons": not_done}


def report_study(folder: Path) -> dict[str, Any]:
    """Write the table, the picture and the findings of a study; return where, and the verdicts.

    Raises:
        RunDirError: it is no study, or a file of it is damaged or a link.
        ConfigError: there is nothing to draw.
        RecordError: the folder cannot be written to.
    """
    from stempilot.study.picture import draw

    require_dask()
    study, rows = read_folder(folder)
    judged = [judge(finding, rows) for finding in study.findings]
    written = {"table": str(write_table(folder, rows))}
    write_json(folder / FINDINGS, {"findings": [asdict(one) for one in judged]})
    pictures = [draw(study.title, plot, rows) for plot in study.plots]
    for number, picture in enumerate(pictures, start=1):
        place = folder / f"picture-{number}.png"
        write_file(place, picture.content)
        written |= {f"picture {number}": str(place), f"caption {number}": picture.caption}
    # Those of a study with more plots that this folder held before.
    for place in folder.glob("picture-*.png"):
        digits = place.stem.removeprefix("picture-")
        if digits.isdecimal() and int(digits) > len(pictures):
            remove_folder(place)
    findings = {one.says: one.text for one in judged}
    found = {"title": study.title, "run_dir": str(folder), "cells": counts(rows)}
    return {**found, **written, **findings}
