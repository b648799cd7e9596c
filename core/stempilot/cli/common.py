"""Shared by the commands that move an instrument: read settings, confirm, carry out, report."""

import contextlib
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import typer

from stempilot.cli import render
from stempilot.errors import ConfigError, StempilotError

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM, as shells have it."""


def settings_of(file: Path | None, settings: list[str] | None) -> dict[str, dict[str, Any]]:
    """Return the values of ``--config`` and ``--set``."""
    from stempilot.plugins.options import read_settings

    return read_settings(file, settings or ())


def extras_of(
    *,
    seed: int = 0,
    out: Path | None = None,
    frames: str | None = None,
    envelope: Path | None = None,
    keep: bool | None = None,
    adapt: bool = False,
    best: bool = False,
    until: object = None,
    minutes: float | None = None,
    accept_position: bool = False,
) -> Any:
    """Return the options that all plans share."""
    from stempilot.instrument.envelope_file import read_envelope
    from stempilot.record.record import FramePolicy
    from stempilot.runs.plans import Extras

    return Extras(
        seed=seed,
        out=out,
        frames=None if frames is None else FramePolicy.parse(frames),
        envelope=None if envelope is None else read_envelope(envelope),
        keep=keep,
        adapt=adapt,
        best=best,
        until_converged=until is not None,
        minutes=minutes,
        accept_position=accept_position,
    )


def carry_out(plan: Any, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Carry out a plan, or only show it; end with the exit code that fits."""
    from stempilot.runs import execute as pipelines
    from stempilot.runs.dry_run import describe

    if dry_run:
        render.result(describe(plan), json_wanted=as_json)
        return
    if not yes:
        confirm(plan.parts.backend.name, plan.parts.make_backend(plan.opening), plan.envelope)
    unit = "episodes" if plan.episodes else "timesteps"
    try:
        with render.progress(plan.command, unit) as show, no_way_out():
            result = pipelines.execute(
                plan, on_progress=show, say=render.remark, ask=ask_at_terminal
            )
    except KeyboardInterrupt:
        # Here, because typer would end without a word, and with another code in older versions.
        render.remark("interrupted; the instrument was put back")
        raise typer.Exit(INTERRUPTED) from None
    result["report"] = write_report_of(Path(result["run_dir"]))
    render.done(result, json_wanted=as_json)
    if result.get("success") is False:
        raise typer.Exit(1)
    if result.get("interrupted"):
        _say_interrupted(plan, Path(result["run_dir"]))


def require_only_resume(ctx: typer.Context, beside: Collection[str], give: str) -> None:
    """Check that nothing else was typed, not even what happens to be the default.

    Args:
        ctx: the command.
        beside: parameters that may stand beside --resume.
        give: what the message calls them.

    Raises:
        ConfigError: something was; it is named.
    """
    typed = [
        one.opts[0] if one.opts[0].startswith("-") else one.human_readable_name
        for one in ctx.command.params
        if one.name not in beside and _was_typed(ctx, one.name)
    ]
    if typed:
        msg = (
            f"{', '.join(typed)}: --resume RUN goes on with what the run was begun with; "
            f"give only {give} beside"
        )
        raise ConfigError(msg)


def _was_typed(ctx: typer.Context, name: str | None) -> bool:
    source = ctx.get_parameter_source(name or "")
    return source is not None and source.name == "COMMANDLINE"


def ask_at_terminal(question: str) -> bool:
    """Put a question to the person at the terminal; without one the answer is no."""
    if not (sys.stdin and sys.stdin.isatty()):
        return False
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


@contextlib.contextmanager
def no_way_out() -> Iterator[None]:
    """Do not let a part end the program without a word, perhaps with exit code 0.

    Raises:
        StempilotError: it tried to.
    """
    try:
        yield
    except SystemExit as error:
        msg = f"a part ended the program with sys.exit({error.code!r}); what it did is not done"
        raise StempilotError(msg) from error


def confirm(name: str, backend: Any, envelope: Any) -> None:
    """Ask before a real instrument moves.

    Raises:
        EnvelopeError: it has no envelope.
        ConfigError: no one agreed.
    """
    from stempilot.instrument.opening import require_envelope

    # Before asking: a yes to what is refused anyway is asked in vain.
    require_envelope(envelope, backend.offers(), name)
    if backend.offers().simulated:
        return
    try:
        agreed = typer.confirm(f"{name} moves a real instrument. Start?", err=True)
    except typer.Abort:
        # No one there to ask: a script, a closed pipe, or Ctrl-C instead of an answer.
        msg = f"{name} moves a real instrument and was not confirmed; nothing was sent. Pass --yes"
        raise ConfigError(msg) from None
    if not agreed:
        msg = f"{name} was not started; nothing was sent"
        raise ConfigError(msg)


def write_report_of(run: Path) -> str | None:
    """Return where the report is; the run is over, so that its failure changes nothing of it."""
    try:
        from stempilot.report import write_report

        return str(write_report(run))
    except StempilotError as error:
        render.remark(f"there is no report: {error}")
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a library's, or Ctrl-C
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        render.remark(f"there is no report: {reason}; try again: stempilot report {run}")
    return None


def _say_interrupted(plan: Any, run: Path) -> None:
    render.remark(f"interrupted; {'the knobs stay where they are' if plan.keeps else _back(run)}")
    if plan.command in {"train", "relearn"}:
        render.remark(f"saved; go on with: stempilot train --resume {run}")


def _back(path: Path) -> str:
    """Return the sentence that names where each knob was put back to, as far as it is recorded."""
    from stempilot.record.offers import recorded_offers
    from stempilot.record.run_dir import RunDir

    run = RunDir(path)
    try:
        baseline = run.baseline()
        offered = recorded_offers(run).knobs
    except StempilotError:
        return "put back"
    places = [
        f"{knob} to ({', '.join(f'{part:.4g}' for part in value)}) {offered[knob].unit}"
        for knob, value in (baseline.knobs if baseline else {}).items()
    ]
    return f"put back: {', '.join(places)}"
