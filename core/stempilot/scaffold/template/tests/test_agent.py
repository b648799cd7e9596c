"""The agent keeps its contract, and reaches the goal."""

import pytest
from my_demo.agent import MyDemoAgent, MyDemoAgentConfig

from stempilot import Agent, Brief, IncompatibleError
from stempilot.testing import AgentContract, ToyBackend, ToyCentring, opened_env


class TestMyDemoAgent(AgentContract):
    """The contract of every agent."""

    def make(self, brief: Brief) -> Agent:
        """Return an agent for the brief."""
        return MyDemoAgent(MyDemoAgentConfig(), brief)


@pytest.mark.parametrize("seed", range(5))
def test_centres_on_any_instrument(seed: int) -> None:
    """Whichever way the knobs point, it needs a few timesteps."""
    task = ToyCentring()
    policy = MyDemoAgent(MyDemoAgentConfig(), Brief.of(task, seed)).policy()
    with opened_env(task, ToyBackend(seed), seed=seed, max_timesteps=12) as env:
        observation, _ = env.reset()
        policy.reset("one")
        while not env.last.ended:
            observation, *_ = env.step(policy.act(observation))
        assert env.last.outcome.value == "success"


def test_refuses_what_it_cannot_centre() -> None:
    """The message says what is wrong."""
    with pytest.raises(IncompatibleError, match="a vector of numbers"):
        MyDemoAgent(MyDemoAgentConfig(), Brief.of(ToyCentring("discrete"), 0))
