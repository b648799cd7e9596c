"""``stempilot new``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stempilot.cli import options as o, render


class What(StrEnum):
    """What a new package offers."""

    BACKEND = "backend"
    TASK = "task"
    AGENT = "agent"
    PACKAGE = "package"


def new(
    what: Annotated[
        What, typer.Argument(help="What it offers; package: a backend, a task and an agent.")
    ],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the package and of what it offers.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Folder to make. (default: NAME)"),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Write a plug-in package that keeps its contracts at once, for you to change."""
    from stempilot.plugins.registry import discover
    from stempilot.scaffold.write import new_package

    folder = new_package(what.value, name, Path(name) if out is None else out, discover())
    render.remark(
        f"wrote {folder}; next: python -m pip install -e {folder}; stempilot check {name}"
    )
    if as_json:
        render.as_json({"kind": what.value, "name": name, "folder": str(folder)})
