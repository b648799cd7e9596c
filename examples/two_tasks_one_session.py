"""Two tasks in one session: centre the disk coarsely, then bring it finely to another place.

The session puts every knob back at its end. Inside of it each stage has a savepoint of its own, so
that a stage that fails goes back to where it began, which is where the stage before it ended.

Run it with ``python examples/two_tasks_one_session.py``. It needs nothing but stempilot, takes a
few seconds and returns 0, or 1 when a stage fails; ``--fine-steps 1`` lets the second one fail.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stempilot import (
    Agent,
    Backend,
    Brief,
    KnobValue,
    Opening,
    Registry,
    Session,
    StempilotError,
    Task,
    discover,
    open_session,
    part,
    run_episode,
)

BACKEND = "simulator"
AGENT = "adaptive"
TASK = "bf-disk-centering"
COARSE = {"goal_px": (0.0, 0.0), "tolerance_px": 20.0}
FINE = {"goal_px": (60.0, -40.0), "tolerance_px": 2.0}


Agents = Callable[[Task[Any, Any]], Agent]
"""Makes an agent for a task."""


class StageFailedError(Exception):
    """A stage ended without success."""


def load_task(registry: Registry, values: Mapping[str, Any]) -> Task[Any, Any]:
    """Return the centring task with some options changed."""
    chosen = part(registry, "task", TASK, values)
    task: Task[Any, Any] = chosen.load()
    return task


def load_backend(registry: Registry, seed: int) -> Backend:
    """Return the simulator, not opened."""
    chosen = part(registry, "backend", BACKEND, {})
    opening = Opening(purpose="run", seed=seed, instrument_seed=seed)
    backend: Backend = chosen.load(opening)
    return backend


def load_agent(registry: Registry, task: Task[Any, Any], seed: int) -> Agent:
    """Return the adaptive agent for a task."""
    chosen = part(registry, "agent", AGENT, {})
    agent: Agent = chosen.load(Brief.of(task, seed=seed))
    return agent


def run_stage(session: Session, name: str, task: Task[Any, Any], agent: Agent) -> None:
    """Play one episode from where the instrument stands, and keep what it reaches.

    Raises:
        StageFailedError: the task failed; the knobs are back where the stage began.
    """
    with session.savepoint(keep=True) as start:
        env = session.env(task, plain=True)
        episode = run_episode(env, agent.policy())
        summary = task.summary(env.last.state)
        print(f"{name}: began at {show(start)}")
        print(f"  {episode.steps} timesteps, {summary['distance_px']:.2f} px from the goal")
        if not episode.success:
            msg = f"{name} ended with {env.last.outcome.value}"
            raise StageFailedError(msg)


def standing(session: Session) -> dict[str, KnobValue]:
    """Return where the knobs of the session stand."""
    return {knob: session.backend.read(knob) for knob in session.baseline}


def show(knobs: Mapping[str, Sequence[float]]) -> str:
    """Return where the knobs stand, as text."""
    return ", ".join(
        f"{knob} = ({', '.join(f'{value:+.5f}' for value in values)})"
        for knob, values in knobs.items()
    )


def run_stages(session: Session, stages: Mapping[str, Task[Any, Any]], agents: Agents) -> int:
    """Run one stage after the other until one fails; return the exit code."""
    for name, task in stages.items():
        try:
            run_stage(session, name, task, agents(task))
        except StageFailedError as error:
            print(f"failed: {error}", file=sys.stderr)
            print(f"  back at {show(standing(session))}")
            return 1
        print(f"  now at {show(standing(session))}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both stages in one session and return the exit code."""
    parser = argparse.ArgumentParser(description="Two tasks in one session.")
    parser.add_argument("--seed", type=int, default=0, help="which instrument, and how it stands")
    parser.add_argument("--fine-steps", type=int, help="step limit of the second stage")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed {options.seed}: must be at least 0")
    registry = discover()
    try:
        stages = {
            "coarse": load_task(registry, COARSE),
            "fine": load_task(registry, {**FINE, "step_limit": options.fine_steps}),
        }
        backend = load_backend(registry, options.seed)
        with open_session(backend, list(stages.values()), name=BACKEND) as session:
            print(f"session opened at {show(session.baseline)}")
            code = run_stages(session, stages, lambda t: load_agent(registry, t, options.seed))
    except StempilotError as error:
        print(f"failed: {error}", file=sys.stderr)
        return error.exit_code
    print(f"session closed, back at {show(session.baseline)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
