"""What an agent that works from the hints of a centring task needs of the task."""

import numpy as np
from gymnasium.spaces import Box

from stempilot import Brief, TaskHints


def centring_problems(agent: str, brief: Brief) -> list[str]:
    """Return why the agent cannot centre with the task's hints and spaces; nothing if it can.

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
    if brief.hints is None:
        problems.append(f"{agent} needs the hints of a task that centres something; it has none")
        return problems
    count = len(brief.hints.residual)
    if unit_box and actions.shape != (count,):
        problems.append(
            f"{agent} needs one action component for each of the {count} residual entries, "
            f"the task offers {actions}"
        )
    return problems + _residual_problems(agent, brief, brief.hints)


def _residual_problems(agent: str, brief: Brief, hints: TaskHints) -> list[str]:
    problems = []
    count = len(hints.residual)
    if not (count == len(hints.edge_lower) == len(hints.edge_upper)):
        problems.append(
            f"{agent} needs an edge on both sides of each of the {count} residual entries, the "
            f"hints have {len(hints.edge_lower)} and {len(hints.edge_upper)}"
        )
    observations = brief.observation_space
    shape = observations.shape if isinstance(observations, Box) else ()
    if not count or len(shape) != 1 or max(hints.residual) >= shape[0]:
        problems.append(
            f"{agent} needs the residual, entries {hints.residual}, in a Box of one axis, the "
            f"task offers {observations}"
        )
    return problems
