"""``stempilot workflow run`` and ``stempilot workflow check``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stempilot.cli import options as o, render
from stempilot.cli.common import (
    INTERRUPTED,
    ask_at_terminal,
    confirm,
    extras_of,
    no_way_out,
    require_only_resume,
    write_report_of,
)
from stempilot.errors import RunDirError, StempilotError

workflow_app = typer.Typer(
    no_args_is_help=True, help="Several tasks, and steps of the operator, as one run."
)
BESIDE_RESUME = {"file", "resume", "settings", "accept_position", "dry_run", "yes", "as_json"}

File = Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file with the steps.")]
StepSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="STEP.KEY=VALUE",
        help="An option of a step's task, or backend.KEY=VALUE; may be repeated.",
    ),
]
BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend",
        "-b",
        metavar="NAME",
        help="Name of the backend. (default: see stempilot plugins)",
    ),
]


@workflow_app.command("run")
@render.results_alone()
def workflow_run(
    ctx: typer.Context,
    file: File,
    backend: BackendName = None,
    seed: o.Seed = 0,
    out: o.Out = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with a workflow that was stopped."),
    ] = None,
    settings: StepSettings = None,
    envelope: o.EnvelopeFile = None,
    frames: o.Frames = None,
    accept_position: o.AcceptPosition = False,
    dry_run: o.DryRun = False,
    yes: o.Yes = False,
    as_json: o.AsJson = False,
) -> None:
    """Go through the steps of a file, and keep what each reached.

    A step that fails is put back before anything else is done. A step of the operator is asked for
    at the terminal and then read back; without a terminal the workflow ends there with exit code 3.
    Go on with --resume RUN.
    """
    from stempilot.workflow.plans import check_workflow

    extras = extras_of(
        seed=seed, out=out, frames=frames, envelope=envelope, accept_position=accept_position
    )
    if resume is not None:
        require_only_resume(ctx, BESIDE_RESUME, "--set and --accept-position")
    plan = _plan(file, backend, settings or [], extras, resume)
    rows = check_workflow(plan)
    if dry_run:
        render.steps(_dry(plan, rows), json_wanted=as_json)
        return
    if not yes:
        confirm(plan.backend, plan.make_backend(), plan.envelope)
    _carry_out(plan, as_json=as_json)


@workflow_app.command("check")
@render.results_alone()
def workflow_check(
    file: File,
    backend: BackendName = None,
    settings: StepSettings = None,
    as_json: o.AsJson = False,
) -> None:
    """Check all steps of a file without touching the instrument."""
    from stempilot.workflow.plans import check_workflow

    plan = _plan(file, backend, settings or [], extras_of(), None)
    render.steps(
        {"workflow": plan.workflow.name, "steps": check_workflow(plan)}, json_wanted=as_json
    )


def _plan(file: Path, backend: str | None, settings: list[str], extras: Any, run: Any) -> Any:
    from stempilot.plugins.registry import discover
    from stempilot.workflow.file import parse_settings, read_workflow
    from stempilot.workflow.plans import plan_workflow, plan_workflow_resume

    registry, workflow = discover(), read_workflow(file)
    chosen, name = parse_settings(workflow, settings), str(file)
    if run is None:
        return plan_workflow(
            registry, workflow, backend=backend, settings=chosen, extras=extras, file=name
        )
    accept = extras.accept_position
    return plan_workflow_resume(
        registry, workflow, run, settings=chosen, accept_position=accept, file=name
    )


def _dry(plan: Any, rows: list[dict[str, str]]) -> dict[str, Any]:
    """Return what is to be done, with where the knobs stand, having written nothing."""
    from stempilot.workflow.recorded import standing

    return {"workflow": plan.workflow.name, "dry_run": True, "steps": rows, "now": standing(plan)}


def _carry_out(plan: Any, *, as_json: bool) -> None:
    from stempilot.cli.steps_shown import StepsShown
    from stempilot.workflow.recorded import is_workflow, run_workflow

    shown = StepsShown(plan.workflow, plan.lines)

    def operator(question: str) -> bool:
        with shown.paused():
            return ask_at_terminal(question)

    more = f"go on with: stempilot workflow run {plan.file} --resume {plan.out}"
    try:
        with shown, no_way_out():
            result = run_workflow(
                plan, operator=operator, on_line=shown.show, say=render.remark, ask=operator
            )
    except KeyboardInterrupt:
        render.remark("interrupted; a step under way was put back, what was done before is kept")
        _show_report(plan.out)
        render.remark(more)
        raise typer.Exit(INTERRUPTED) from None
    except StempilotError as error:
        # What was refused before it began left no workflow of its own.
        if is_workflow(plan.out) and not isinstance(error, RunDirError):
            _show_report(plan.out)
            render.remark(more)
        raise
    result["report"] = write_report_of(plan.out)
    render.done(result, json_wanted=as_json)
    if not result["success"]:
        render.remark(more)
        raise typer.Exit(1)


def _show_report(run: Path) -> None:
    """Write the report of a workflow that did not come to its end, and say where it is."""
    if report := write_report_of(run):
        render.remark(f"report: {report}")
