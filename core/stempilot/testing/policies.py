"""The contract of every agent's policy, whether it learns or not."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot.contract.agent import Agent, Brief, NoticesChange, Policy
from stempilot.contract.backend import Backend
from stempilot.contract.task import Task
from stempilot.testing.contract import Contract, does_not_apply, expect
from stempilot.testing.environment import opened_env
from stempilot.testing.fingerprint import fingerprint
from stempilot.testing.toys import ToyBackend, ToyCentring

Observation = npt.NDArray[Any]


def acts(policy: Policy, observations: Sequence[Observation], instrument: str = "one") -> list[str]:
    """Return fingerprints of the actions of one episode with these observations."""
    policy.reset(instrument)
    return [fingerprint(policy.act(observation.copy())) for observation in observations]


class PolicyContract(Contract, ABC):
    """The checks that need no learning, and what all checks of agents are made with.

    Attributes:
        max_timesteps: budget of timesteps for an episode.
    """

    max_timesteps = 8

    @abstractmethod
    def make(self, brief: Brief) -> Agent:
        """Return a new agent for the brief. Called several times in one check."""

    def make_task(self) -> Task[Any, Any]:
        """Return a task that the agent accepts; override it where the toy task is refused."""
        return ToyCentring()

    def make_backend(self) -> Backend:
        """Return a simulator that the task fits, not opened."""
        return ToyBackend()

    def brief(self, seed: int = 0) -> Brief:
        """Return the brief for the task."""
        return Brief.of(self.make_task(), seed)

    def _observations(self) -> list[Observation]:
        """Return observations from all over the space, and some of real episodes."""
        task = self.make_task()
        observations, actions = deepcopy(task.observation_space), deepcopy(task.action_space)
        observations.seed(0)
        actions.seed(0)
        found = [observations.sample() for _ in range(20)]
        with opened_env(task, self.make_backend(), max_timesteps=self.max_timesteps) as env:
            for _ in range(2):
                found.append(env.reset()[0])
                while not env.last.ended:
                    found.append(env.step(actions.sample())[0])
        return found

    def test_is_an_agent(self) -> None:
        """The factory makes an Agent for a brief."""
        made = self.make(self.brief())
        expect(isinstance(made, Agent), "an agent is a stempilot.Agent", type(made))

    def test_actions_are_inside_their_space(self) -> None:
        """The environment takes the action for every observation."""
        brief = self.brief()
        policy = self.make(brief).policy()
        policy.reset("one")
        for observation in self._observations():
            action = policy.act(observation)
            expect(brief.action_space.contains(action), f"it is in {brief.action_space}", action)

    def test_same_seed_gives_same_actions(self) -> None:
        """All randomness of an agent comes from the seed in its brief."""
        observations = self._observations()
        first, second = (acts(self.make(self.brief(1)).policy(), observations) for _ in range(2))
        differing = different(first, second)
        expect(not differing, "two agents with one seed act alike", differing)

    def test_policies_do_not_share_anything(self) -> None:
        """Two policies of one agent do not disturb each other."""
        observations = self._observations()
        alone = acts(self.make(self.brief()).policy(), observations)
        agent = self.make(self.brief())
        both = [agent.policy(), agent.policy()]
        for policy in both:
            policy.reset("one")
        taken = [[fingerprint(p.act(o.copy())) for p in both] for o in observations]
        for column in zip(*taken, strict=True):
            differing = different(alone, list(column))
            sentence = "a policy acts as if it were the only one of its agent"
            expect(not differing, sentence, differing)

    def test_episodes_begin_on_any_instrument(self) -> None:
        """A reset for the same instrument or for another one is followed by valid actions."""
        brief = self.brief()
        policy = self.make(brief).policy()
        observations = self._observations()
        for instrument in ("one", "one", "another", "one"):
            policy.reset(instrument)
            for observation in observations:
                action = policy.act(observation)
                inside = brief.action_space.contains(action)
                sentence = f"actions are in {brief.action_space} after reset({instrument!r})"
                expect(inside, sentence, action)

    def test_changes_are_said_once(self) -> None:
        """A policy says a change once, as text; asking changes no action."""
        observations = self._observations()
        alone = acts(self.make(self.brief()).policy(), observations)
        policy = self.make(self.brief()).policy()
        if not isinstance(policy, NoticesChange):
            raise does_not_apply("its policies do not notice changes")
        policy.reset("one")
        taken = []
        for observation in observations:
            taken.append(fingerprint(policy.act(observation.copy())))
            _expect_said_once(policy)
        policy.ended(observations[0].copy())
        _expect_said_once(policy)
        differing = different(alone, taken)
        expect(not differing, "a policy acts alike whether or not it is asked", differing)

    def test_observations_are_left_alone(self) -> None:
        """Acting changes no observation."""
        policy = self.make(self.brief()).policy()
        policy.reset("one")
        for observation in self._observations():
            kept = observation.copy()
            policy.act(observation)
            same = np.array_equal(kept, observation, equal_nan=True)
            expect(same, "act() leaves the observation as it was", f"{observation}, was {kept}")


def _expect_said_once(policy: NoticesChange) -> None:
    found, again = policy.changed(), policy.changed()
    expect(isinstance(found, str), "changed() returns text", repr(found))
    expect(again == "", "what was found is said once", repr(again))


def different(one: Sequence[str], other: Sequence[str]) -> str:
    """Return how many of two series of fingerprints differ, as text; empty when none does."""
    count = sum(a != b for a, b in zip(one, other, strict=True))
    return f"{count} of {len(one)} actions differ" if count else ""
