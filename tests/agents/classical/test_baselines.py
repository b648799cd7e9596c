"""The agents to compare with."""

from typing import Any

import attrs
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from stempilot.contract.agent import Brief
from stempilot.contract.goals import Centre
from stempilot.errors import IncompatibleError
from stempilot_agents.classical.baselines import (
    ProportionalConfig,
    RandomConfig,
    make_proportional,
    make_random,
)

GOAL = Centre(
    residual=(2, 0),
    unit="bins",
    tolerance=3.0,
    edges=((-100, -100), (100, 100)),
    full_action=10.0,
)
BRIEF = Brief(
    observation_space=Box(-200, 200, (3,), np.float64),
    action_space=Box(-1, 1, (2,), np.float32),
    goal=GOAL,
    seed=5,
)


def test_proportional_moves_against_the_residual() -> None:
    policy = make_proportional(ProportionalConfig(), BRIEF).policy()
    policy.reset("instrument")
    action = policy.act(np.array([-4.0, 99.0, 2.0]))
    assert action == pytest.approx([-0.2, 0.4])
    assert action.dtype == np.float32


def test_proportional_takes_its_gain_and_stays_inside() -> None:
    policy = make_proportional(ProportionalConfig(gain=0.5), BRIEF).policy()
    assert policy.act(np.array([-4.0, 0.0, 50.0])) == pytest.approx([-1.0, 0.2])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"goal": None}, "goal"),
        ({"goal": attrs.evolve(GOAL, full_action=None)}, "full_action"),
        ({"goal": attrs.evolve(GOAL, full_action=0.0)}, "full_action"),
        ({"action_space": Discrete(4)}, "Discrete(4)"),
        ({"action_space": Box(-1, 1, (3,))}, "each of the 2 residual entries"),
    ],
)
def test_proportional_refuses_tasks_it_cannot_centre(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        make_proportional(ProportionalConfig(), attrs.evolve(BRIEF, **changes))
    assert len(caught.value.problems) == 1
    assert named in caught.value.problems[0]


@pytest.mark.parametrize("gain", [0.0, -1.0])
def test_gain_must_be_positive(gain: float) -> None:
    with pytest.raises(ValueError, match="gain"):
        ProportionalConfig(gain=gain)


@pytest.mark.parametrize("space", [Box(-3, 2, (2,)), Discrete(5)], ids=["Box", "Discrete"])
def test_random_acts_inside_any_space_by_the_seed_alone(space: Any) -> None:
    brief = attrs.evolve(BRIEF, action_space=space, goal=None)
    agent = make_random(RandomConfig(), brief)
    first, again = agent.policy(), agent.policy()
    other = make_random(RandomConfig(), attrs.evolve(brief, seed=6)).policy()
    seen = np.zeros(3)
    drawn = [first.act(seen) for _ in range(40)]
    space.seed(99)
    assert all(space.contains(action) for action in drawn)
    assert np.array_equal(drawn, [again.act(seen) for _ in range(40)])
    assert not np.array_equal(drawn, [other.act(seen) for _ in range(40)])


def test_random_covers_the_space() -> None:
    policy = make_random(RandomConfig(), BRIEF).policy()
    drawn = np.array([policy.act(np.zeros(3)) for _ in range(500)])
    assert np.abs(drawn.mean(axis=0)).max() < 0.1
    assert drawn.std(axis=0) == pytest.approx(1 / np.sqrt(3), abs=0.05)


def test_random_does_not_repeat_an_episode() -> None:
    policy = make_random(RandomConfig(), BRIEF).policy()
    policy.reset("instrument")
    first = policy.act(np.zeros(3))
    policy.reset("instrument")
    assert not np.array_equal(first, policy.act(np.zeros(3)))


def test_random_leaves_the_shared_space_alone() -> None:
    space = Box(-1, 1, (2,), np.float32)
    space.seed(3)
    expected = space.sample()
    space.seed(3)
    make_random(RandomConfig(), attrs.evolve(BRIEF, action_space=space)).policy().act(np.zeros(3))
    assert np.array_equal(space.sample(), expected)
