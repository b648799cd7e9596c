"""``stempilot train``."""

from pathlib import Path
from typing import Annotated

import typer

from stempilot.cli import options as o
from stempilot.cli.common import carry_out, extras_of, settings_of
from stempilot.errors import ConfigError

_BACKEND = "simulator"
_AGENT = "sac"


def train(
    task: Annotated[
        str | None, typer.Argument(metavar="TASK", help="Name of the task.", show_default=False)
    ] = None,
    backend: o.BackendName = _BACKEND,
    agent: Annotated[str, typer.Option("--agent", "-a", help="Name of the agent.")] = _AGENT,
    steps: Annotated[
        int | None,
        typer.Option("--steps", "-n", help="Timesteps to train in all. (default: 20000)"),
    ] = None,
    seed: o.Seed = 0,
    out: o.Out = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with a training that was interrupted."),
    ] = None,
    config: o.ConfigFile = None,
    settings: o.Settings = None,
    envelope: o.EnvelopeFile = None,
    frames: o.Frames = None,
    dry_run: o.DryRun = False,
    yes: o.Yes = False,
    as_json: o.AsJson = False,
) -> None:
    """Train an agent on a task, and put the instrument back.

    The first Ctrl-C ends cleanly, with the run saved: go on with --resume RUN.
    """
    from stempilot.plugins.registry import discover
    from stempilot.runs.plans import plan_resume, plan_train

    if resume is not None:
        fixed = (backend, agent, seed) == (_BACKEND, _AGENT, 0)
        if not fixed or any((task, out, config, settings, envelope, frames)):
            msg = "--resume RUN goes on with the options of the run; only --steps may be given too"
            raise ConfigError(msg)
        plan = plan_resume(discover(), resume, steps=steps)
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
            extras=extras_of(seed=seed, out=out, frames=frames, envelope=envelope),
        )
    carry_out(plan, dry_run=dry_run, yes=yes, as_json=as_json)
