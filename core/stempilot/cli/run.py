"""``stempilot run``."""

from typing import Annotated, Any

import typer

from stempilot.cli import options as o
from stempilot.cli.common import carry_out, extras_of, settings_of
from stempilot.errors import ConfigError


def run(
    task: o.TaskName,
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", help="An agent that needs no training.")
    ] = None,
    policy: o.Policy = None,
    best: o.Best = False,
    backend: o.BackendName = None,
    episodes: o.Episodes = None,
    minutes: o.Minutes = None,
    seed: o.Seed = 0,
    out: o.Out = None,
    keep: o.Keep = None,
    adapt: o.Adapt = False,
    config: o.ConfigFile = None,
    settings: o.Settings = None,
    envelope: o.EnvelopeFile = None,
    frames: o.Frames = None,
    accept_position: o.AcceptPosition = False,
    dry_run: o.DryRun = False,
    yes: o.Yes = False,
    as_json: o.AsJson = False,
) -> None:
    """Run an agent once from where the instrument stands, and keep the result.

    With --episodes it is an evaluation: starts are scrambled around where the knobs stand, and the
    knobs are put back at the end. With --adapt it goes on after a change of the response.
    """
    from stempilot.plugins.registry import discover
    from stempilot.runs.plans import only_measures, plan_run

    registry, chosen = discover(), settings_of(config, settings)
    neither = agent is None and policy is None
    if (neither and not only_measures(registry, task, chosen)) or None not in {agent, policy}:
        msg = "give either --agent NAME or --policy RUN"
        raise ConfigError(msg)
    beside: Any = {"minutes": minutes, "accept_position": accept_position, "best": best}
    plan = plan_run(
        registry,
        task=task,
        agent=agent,
        policy=policy,
        backend=backend,
        episodes=episodes,
        settings=chosen,
        extras=extras_of(
            seed=seed, out=out, frames=frames, envelope=envelope, keep=keep, adapt=adapt, **beside
        ),
    )
    carry_out(plan, dry_run=dry_run, yes=yes, as_json=as_json)
