"""The command line: each command parses, calls and renders, one file per command."""

import sys

import typer

from stempilot.cli import render
from stempilot.cli.doctor import doctor
from stempilot.cli.emulate import emulate
from stempilot.cli.mask import mask
from stempilot.cli.new import new
from stempilot.cli.plugins import check, plugins
from stempilot.cli.relearn import relearn
from stempilot.cli.run import run
from stempilot.cli.study import study_app
from stempilot.cli.train import train
from stempilot.cli.upkeep import envelope_app, report, restore
from stempilot.cli.workflow import workflow_app
from stempilot.errors import StempilotError

app = typer.Typer(
    no_args_is_help=True,
    # Plain help, which is there in half the time of rich's panels.
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
    pretty_exceptions_enable=False,
    help="Hand routine operations of an electron microscope to an agent.",
)
for command in (
    train,
    relearn,
    run,
    plugins,
    new,
    check,
    report,
    restore,
    doctor,
    mask,
    emulate,
):
    app.command()(render.results_alone()(command))
app.add_typer(envelope_app, name="envelope")
app.add_typer(workflow_app, name="workflow")
app.add_typer(study_app, name="study")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        render.out.print(version("stempilot"))
        raise typer.Exit


@app.callback()
def _root(
    show_version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    del show_version


def main() -> None:
    """Run the command line; the exit code says how it ended (`stempilot.errors`)."""
    render.ready_streams()
    try:
        app(prog_name="stempilot")
    except StempilotError as error:
        render.remark(f"error: {error}")
        sys.exit(error.exit_code)
