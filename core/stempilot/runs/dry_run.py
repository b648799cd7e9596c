"""What a plan would do, found out without moving anything and without making a run directory."""

from typing import Any

from stempilot.contract.agent import Agent, Learner
from stempilot.instrument.opening import open_instrument
from stempilot.record.owner import require_unowned
from stempilot.record.run_dir import require_free
from stempilot.runs.adapting import steps_to_relearn
from stempilot.runs.execute import prepare, untrained
from stempilot.runs.plans import Plan


def describe(plan: Plan) -> dict[str, Any]:
    """Check a plan against the instrument as it stands, by reading alone, and describe it.

    Raises:
        StempilotError: whatever carrying it out would run into before its first write.
    """
    task, agent, _ = prepare(plan, dry_run=True)
    (require_unowned if plan.resumes else require_free)(plan.out)
    backend = plan.parts.make_backend(plan.opening)
    name, needs = plan.parts.backend.name, task.needs
    asked = [(plan.parts.task.name, needs)]
    with open_instrument(
        backend, asked, name=name, envelope=plan.envelope, accept_position=plan.accept_position
    ) as instrument:
        limits, baseline = instrument.guard.limits, instrument.baseline
    return {
        "command": plan.command,
        "dry_run": True,
        "task": plan.parts.task.name,
        "backend": name,
        "agent": plan.parts.agent.name,
        "policy": "not trained" if untrained(plan, agent) else _policy(plan),
        "seed": plan.seed,
        "timesteps": plan.steps or None,
        "episodes": plan.episodes,
        "timesteps_per_episode": plan.parts.run.max_timesteps,
        "sources": ", ".join(needs.sources),
        "moves": "; ".join(
            f"{knob} within {list(spec.lower)} to {list(spec.upper)} {spec.unit}, at most "
            f"{list(spec.max_change)} a step, "
            f"a full action {list(needs.knobs[knob].largest_step)}, "
            f"now at {list(baseline[knob])}"
            for knob, spec in limits.items()
        ),
        "when_changed": _when_changed(plan, agent),
        "afterwards": "knobs stay where they end" if plan.keeps else "knobs are put back",
        "run_dir": str(plan.out),
    }


def _policy(plan: Plan) -> str | None:
    """Return the run directory that the agent comes from; nothing where it comes from none."""
    return None if plan.parent is None else str(plan.parent.path)


def _when_changed(plan: Plan, agent: Agent) -> str | None:
    """Return what happens when the response is found changed; nothing if it is not watched."""
    if plan.command != "run":
        return None
    if not plan.adapt:
        return "says so"
    if not isinstance(agent, Learner):
        return f"says so; {plan.parts.agent.name} does not relearn"
    return f"relearns for {steps_to_relearn(plan, agent)} timesteps"
