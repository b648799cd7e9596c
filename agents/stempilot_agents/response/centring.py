"""What an agent that works from the goal of a centring task needs of the task."""

import numpy as np
from gymnasium.spaces import Box

from stempilot import Brief, Centre


def centring_problems(agent: str, brief: Brief) -> list[str]:
    """Return why the agent cannot centre with the task's goal and spaces; nothing if it can.

    It needs a residual with an edge on both sides, in an observation of one axis, and as many
    action components from -1 to 1.
    """
    problems = []
    actions = brief.action_space
    unit_box = (
        isinstance(actions, Box)
        and len(actions.shape) == 1
        and bool(np.all(actions.low == -1) and np.all(actions.high == 1))
    )
    if not unit_box:
        problems.append(f"{agent} needs actions in a Box of one axis from -1 to 1, not {actions}")
    if brief.centre is None:
        problems.append(f"{agent} needs the goal of a task that centres something; it has none")
        return problems
    count = len(brief.centre.residual)
    if unit_box and actions.shape != (count,):
        problems.append(
            f"{agent} needs one action component for each of the {count} residual entries, "
            f"the task offers {actions}"
        )
    return problems + _residual_problems(agent, brief, brief.centre)


def _residual_problems(agent: str, brief: Brief, goal: Centre) -> list[str]:
    problems = []
    count = len(goal.residual)
    if not (count == len(goal.edges[0]) == len(goal.edges[1])):
        problems.append(
            f"{agent} needs an edge on both sides of each of the {count} residual entries, the "
            f"goal has {len(goal.edges[0])} and {len(goal.edges[1])}"
        )
    observations = brief.observation_space
    shape = observations.shape if isinstance(observations, Box) else ()
    if not count or len(shape) != 1 or max(goal.residual) >= shape[0]:
        problems.append(
            f"{agent} needs the residual, entries {goal.residual}, in a Box of one axis, the "
            f"task offers {observations}"
        )
    return problems
