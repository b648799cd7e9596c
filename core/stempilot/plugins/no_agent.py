"""What stands for the agent of a task that only measures."""

from typing import Any

from attrs import frozen

from stempilot.contract.agent import Agent, Brief, Policy
from stempilot.contract.plugin import Plugin
from stempilot.contract.task import Reading, Task
from stempilot.errors import IncompatibleError, PluginError

NO_AGENT = "none"
"""What the record of such a run calls its agent."""


@frozen
class NoOptions:
    """The options of what has none."""


class NoAgent(Agent):
    """Stands for the agent of a `Reading`; it never acts."""

    def policy(self) -> Policy:
        """Return a policy that refuses to act."""
        return self

    def reset(self, instrument_id: str) -> None:
        """Do nothing."""
        del instrument_id

    def act(self, observation: object) -> Any:
        """Refuse.

        Raises:
            PluginError: always: the reading wants no more moves, and has not ended.
        """
        del observation
        msg = "a reading must end when own_moves() returns None; its outcome is still running"
        raise PluginError(msg)


def make(options: NoOptions, brief: Brief) -> NoAgent:
    """Return what stands for the agent."""
    del options, brief
    return NoAgent()


PLUGIN = Plugin(
    name=NO_AGENT,
    summary="no agent: the task only measures",
    config="stempilot.plugins.no_agent:NoOptions",
    load="stempilot.plugins.no_agent:make",
)


def require_agent(task: Task[Any, Any], name: str, agent: str) -> None:
    """Check that a task that acts has an agent, and one that only measures has none.

    Raises:
        IncompatibleError: it is the other way round.
    """
    if isinstance(task, Reading) == (agent == NO_AGENT):
        return
    if isinstance(task, Reading):
        problem = f"{name} only measures and takes no agent; run it without --agent and --policy"
    else:
        problem = f"{name} acts and needs an agent; give either --agent NAME or --policy RUN"
    raise IncompatibleError([problem])
