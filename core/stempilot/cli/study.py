"""``stempilot study``."""

from pathlib import Path
from typing import Annotated

import typer

from stempilot.cli import options as o, render
from stempilot.cli.common import INTERRUPTED

study_app = typer.Typer(
    no_args_is_help=True, help="Many trainings from one file, on simulated instruments alone."
)
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a study.")]


@study_app.command("run")
@render.results_alone()
def study_run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML file; see how-to-study.md.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Folder of the study; one that was begun goes on. (default: studies/...)",
        ),
    ] = None,
    scale: Annotated[
        str | None, typer.Option("--scale", metavar="NAME", help="One of the file's scales.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes here, or jobs of Slurm.")
    ] = 2,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler that runs already."),
    ] = None,
    slurm: Annotated[
        Path | None,
        typer.Option(
            "--slurm", metavar="FILE", help="TOML file of what dask-jobqueue's SLURMCluster takes."
        ),
    ] = None,
    insecure: Annotated[
        str, typer.Option("--insecure", metavar="WHY", help="Why it may go without TLS.")
    ] = "",
    as_json: o.AsJson = False,
) -> None:
    """Carry out the cells of a study that are not finished, and write their table.

    Ctrl-C stops; the same command goes on. Ends with 1 where cells could not be finished.
    """
    from stempilot.plugins.registry import discover
    from stempilot.study.cluster import Where
    from stempilot.study.run import run_study

    where = Where(workers=workers, scheduler=scheduler, slurm=slurm, insecure=insecure)
    try:
        with render.progress("study", "cells") as show:
            found = run_study(
                discover(), file, where, out=out, scale=scale, on_progress=show, say=render.remark
            )
    except KeyboardInterrupt:
        render.remark("interrupted; finished cells are kept, and the same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    render.done(found, json_wanted=as_json)
    if set(found["cells"]) - {"done"}:
        raise typer.Exit(1)


@study_app.command("status")
@render.results_alone()
def study_status(folder: Folder, as_json: o.AsJson = False) -> None:
    """Show how many cells of a study are done, and why others are not."""
    from stempilot.study.folder import read_folder
    from stempilot.study.run import summary

    study, rows = read_folder(folder)
    found = summary(folder, rows)
    render.result({"title": study.title, **found}, json_wanted=as_json)
    for cell, reason in found["reasons"].items():
        if reason:
            render.remark(f"{cell}: {reason}")


@study_app.command("report")
@render.results_alone()
def study_report(folder: Folder, as_json: o.AsJson = False) -> None:
    """Write the table and the picture of a study, and judge the findings that it is about."""
    from stempilot.study.run import report_study

    render.done(report_study(folder), json_wanted=as_json)
