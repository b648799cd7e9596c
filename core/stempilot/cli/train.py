"""``stempilot train``."""

from typing import Annotated, Any

import typer

from stempilot.cli import options as o
from stempilot.cli.common import carry_out, extras_of, require_only_resume, settings_of
from stempilot.errors import ConfigError

BESIDE_RESUME = {
    "resume", "steps", "minutes", "accept_position", "dry_run", "yes", "as_json"
}  # fmt: skip
"""Parameters that may stand beside --resume; all others were fixed when the run was begun."""


def train(
    ctx: typer.Context,
    task: o.OptionalTask = None,
    backend: o.BackendName = None,
    agent: o.AgentName = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", "-n", min=1, help="Timesteps to train in all. (default: 20000)"),
    ] = None,
    until: o.UntilConverged = None,
    minutes: o.Minutes = None,
    seed: o.Seed = 0,
    out: o.Out = None,
    resume: o.Resume = None,
    config: o.ConfigFile = None,
    settings: o.Settings = None,
    envelope: o.EnvelopeFile = None,
    frames: o.Frames = None,
    accept_position: o.AcceptPosition = False,
    dry_run: o.DryRun = False,
    yes: o.Yes = False,
    as_json: o.AsJson = False,
) -> None:
    """Train an agent on a task, and put the instrument back.

    The first Ctrl-C ends cleanly, with the run saved: go on with --resume RUN.
    """
    from stempilot.plugins.registry import discover
    from stempilot.runs.plans import plan_resume, plan_train

    beside: Any = {"minutes": minutes, "accept_position": accept_position}
    if resume is not None:
        require_only_resume(ctx, BESIDE_RESUME, "--steps, --minutes and --accept-position")
        plan = plan_resume(discover(), resume, steps=steps, **beside)
    elif task is None:
        msg = "give the name of a task, or --resume RUN; see `stempilot plugins`"
        raise ConfigError(msg)
    else:
        plan = plan_train(
            discover(),
            task=task,
            backend=backend,
            agent=agent,
            steps=20_000 if steps is None else steps,
            settings=settings_of(config, settings),
            extras=extras_of(
                seed=seed, out=out, frames=frames, envelope=envelope, until=until, **beside
            ),
        )
    carry_out(plan, dry_run=dry_run, yes=yes, as_json=as_json)
