"""Two tasks in one session: centre the disk coarsely, then bring it finely to another place.

The session puts every knob back at its end. A stage that fails goes back to where it began, which
is where the stage before it ended.

Run it with ``python examples/two_tasks_one_session.py``. It needs nothing but stempilot, takes a
few seconds and returns 0, or 1 when a stage fails; ``--fine-steps 1`` lets the second one fail.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from stempilot import KnobValue, Session, StempilotError, Task, discover, open_session

BACKEND = "simulator"
AGENT = "adaptive"
TASK = "bf-disk-centering"
COARSE = {"goal_px": (0.0, 0.0), "tolerance_px": 20.0}
FINE = {"goal_px": (60.0, -40.0), "tolerance_px": 2.0}


def show(knobs: Mapping[str, KnobValue]) -> str:
    """Return where the knobs stand, as text."""
    return ", ".join(
        f"{knob} = ({', '.join(f'{value:+.5f}' for value in values)})"
        for knob, values in knobs.items()
    )


def run_stages(session: Session, stages: Mapping[str, Task[Any, Any]], seed: int) -> int:
    """Run one stage after the other until one fails; return the exit code."""
    for name, task in stages.items():
        print(f"{name}: began at {show(session.standing())}")
        episode = session.play(task, AGENT, seed=seed)
        distance_px = episode.measured["distance_px"]
        print(f"  {episode.steps} timesteps, {distance_px:.2f} px from the goal")
        if not episode.success:
            print(f"failed: {name} ended without success", file=sys.stderr)
            print(f"  back at {show(session.standing())}")
            return 1
        print(f"  now at {show(session.standing())}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both stages in one session and return the exit code."""
    parser = argparse.ArgumentParser(description="Two tasks in one session.")
    parser.add_argument("--seed", type=int, default=0, help="which instrument, and how it stands")
    parser.add_argument("--fine-steps", type=int, help="step limit of the second stage")
    options = parser.parse_args(arguments)
    registry = discover()
    try:
        stages = {
            "coarse": registry.task(TASK, **COARSE),
            "fine": registry.task(TASK, **FINE, step_limit=options.fine_steps),
        }
        backend = registry.backend(BACKEND, seed=options.seed)
        with open_session(backend, list(stages.values()), name=BACKEND) as session:
            print(f"session opened at {show(session.baseline)}")
            code = run_stages(session, stages, options.seed)
    except StempilotError as error:
        print(f"failed: {error}", file=sys.stderr)
        return error.exit_code
    print(f"session closed, back at {show(session.baseline)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
