"""``stempilot doctor``."""

from pathlib import Path
from typing import Annotated

import typer

from stempilot.cli import options as o, render
from stempilot.cli.common import settings_of


def doctor(
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend",
            "-b",
            metavar="NAME",
            help="Also open this backend, read its knobs and take a frame of each camera.",
        ),
    ] = None,
    envelope: o.EnvelopeFile = None,
    runs: Annotated[
        Path, typer.Option("--runs", metavar="DIR", help="Where run directories are.")
    ] = Path("runs"),
    config: o.ConfigFile = None,
    settings: o.Settings = None,
    as_json: o.AsJson = False,
) -> None:
    """Show what this machine has of what runs need, for you or for a bug report.

    Moves nothing, and imports no plug-in without --backend. Ends with 1 where it finds a problem.
    """
    from stempilot.runs.doctor import diagnose

    findings = diagnose(
        runs=runs,
        envelope=envelope,
        backend=backend,
        settings=lambda: settings_of(config, settings),
    )
    render.findings(findings, json_wanted=as_json)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
