"""A learner's random states are its own."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from stempilot_agents.learners.randomness import LearnerRandom


def draw() -> Any:
    return [torch.rand(1).item(), np.random.normal(), random.gauss(0, 1)]  # noqa: NPY002


def test_generators_are_the_learner_s_inside_only() -> None:
    own = LearnerRandom(3, Discrete(5))
    outside: list[Any] = [torch.get_rng_state(), random.getstate()]
    with own.installed():
        first = draw()
    assert torch.equal(torch.get_rng_state(), outside[0])
    assert random.getstate() == outside[1]
    with own.installed():
        second = draw()
    again = LearnerRandom(3, Discrete(5))
    with again.installed():
        assert [draw(), draw()] == [first, second]


def test_released_gives_the_generators_back_for_a_while() -> None:
    one, other = LearnerRandom(3, Discrete(5)), LearnerRandom(3, Discrete(5))
    with one.installed():
        expected = [draw(), draw()]
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    outside = draw()
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    with other.installed():
        found = [draw()]
        with other.released():
            assert draw() == outside
        found.append(draw())
    assert found == expected


def test_generators_are_given_back_after_an_error() -> None:
    own = LearnerRandom(3, Discrete(5))
    before = random.getstate()
    with pytest.raises(KeyError), own.installed():
        {}[draw()[0]]
    assert random.getstate() == before


def test_the_four_generators_differ_by_seed_and_from_each_other() -> None:
    first, second = (LearnerRandom(seed, Discrete(5)).record() for seed in (1, 2))
    assert first.torch != second.torch
    assert first.numpy_key != second.numpy_key
    assert first.python_words != second.python_words
    assert first.action_space != second.action_space
    assert first.numpy_key != first.python_words[: len(first.numpy_key)]


@pytest.mark.parametrize("seed", [0, 2**32, 2**127 + 1])
def test_any_seed_will_do(seed: Any) -> None:
    with LearnerRandom(seed, Discrete(5)).installed():
        draw()


def test_recorded_states_go_on_where_they_were() -> None:
    spaces = [Box(-1, 1, (2,), np.float32) for _ in range(2)]
    one = LearnerRandom(3, spaces[0])
    with one.installed():
        draw()  # leaves half a pair of normal numbers behind in two generators
        spaces[0].sample()
    other = LearnerRandom(9, spaces[1])
    other.restore(one.record())
    assert other.record() == one.record()
    with one.installed():
        expected = [draw(), draw(), spaces[0].sample().tolist()]
    with other.installed():
        assert [draw(), draw(), spaces[1].sample().tolist()] == expected
