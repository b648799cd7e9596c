"""``stempilot relearn``."""

from typing import Annotated

import typer

from stempilot.cli import options as o
from stempilot.cli.common import carry_out, extras_of, settings_of


def relearn(
    run: o.RunPath,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend",
            "-b",
            metavar="NAME",
            help="Another backend, with options of its own. (default: that of RUN)",
        ),
    ] = None,
    steps: o.Steps = 2_000,
    best: o.Best = False,
    until: o.UntilConverged = None,
    minutes: o.Minutes = None,
    seed: o.Seed = 0,
    out: o.Out = None,
    config: o.ConfigFile = None,
    settings: o.Settings = None,
    envelope: o.EnvelopeFile = None,
    frames: o.Frames = None,
    from_log: o.FromLog = None,
    accept_position: o.AcceptPosition = False,
    dry_run: o.DryRun = False,
    yes: o.Yes = False,
    as_json: o.AsJson = False,
) -> None:
    """Go on learning with a trained agent on a changed instrument, in a new run directory.

    Says what it kept and dropped. The changes come with --set, for example
    --set backend.rotation_deg=90.
    """
    from stempilot.plugins.registry import discover
    from stempilot.runs.plans import plan_relearn

    plan = plan_relearn(
        discover(),
        run,
        steps=steps,
        backend=backend,
        settings=settings_of(config, settings),
        extras=extras_of(
            seed=seed,
            out=out,
            frames=frames,
            envelope=envelope,
            best=best,
            until=until,
            minutes=minutes,
            accept_position=accept_position,
        ),
        from_log=from_log,
    )
    carry_out(plan, dry_run=dry_run, yes=yes, as_json=as_json)
