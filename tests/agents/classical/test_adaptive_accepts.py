"""What the adaptive agent copes with: odd readings, responses of any shape, and what it refuses."""

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from stempilot.contract.agent import Brief
from stempilot.contract.goals import Centre
from stempilot.errors import ConfigError, IncompatibleError
from stempilot.plugins.options import build
from stempilot_agents.classical.adaptive import AdaptiveConfig, make_adaptive

FloatArray = npt.NDArray[np.float64]


def matrix_brief(size: int, **changes: Any) -> Brief:
    """Return the brief of a task in -1 to 1 whose residual is the END of its observation."""
    goal = Centre(
        residual=tuple(range(2, 2 + size)),
        unit="mrad",
        tolerance=0.03,
        edges=((-1.0,) * size, (1.0,) * size),
        full_action=0.15,
    )
    brief = Brief(
        observation_space=Box(-5, 5, (2 + size,), np.float64),
        action_space=Box(-1, 1, (size,), np.float64),
        goal=goal,
        seed=0,
    )
    return attrs.evolve(brief, **changes)


@pytest.mark.parametrize(
    "matrix",
    [
        [[-0.2]],
        [[0.25, 0.02], [-0.01, 0.06]],
        [[0.15, 0.15], [0.0, 0.15]],
        [[0.0, 0.2, 0.0], [-0.2, 0.0, 0.0], [0.0, 0.05, 0.1]],
    ],
    ids=["one axis", "axes of unequal size", "shear of 45 degrees", "three axes"],
)
def test_responses_of_any_size_and_shape(matrix: list[list[float]]) -> None:
    response = np.array(matrix)
    size = len(response)
    policy = make_adaptive(AdaptiveConfig(), matrix_brief(size)).policy()
    rng = np.random.default_rng(17)
    for number in range(10):
        policy.reset(f"instrument {number}")
        residual = rng.uniform(-0.6, 0.6, size)
        for _ in range(60):
            action = policy.act(np.concatenate([rng.normal(size=2), residual]))
            residual = residual + response @ action + rng.normal(0, 0.002, size)
            assert np.abs(residual).max() < 1
            if np.linalg.norm(residual) < 0.03:
                break
        else:
            pytest.fail(f"not centred in 60 steps, residual {residual}")


def actions_for(residuals: npt.ArrayLike) -> FloatArray:
    """Return what a new policy does when it sees these residuals, one after the other."""
    policy = make_adaptive(AdaptiveConfig(), matrix_brief(2)).policy()
    policy.reset("instrument")
    seen = [np.concatenate([[3.0, -3.0], residual]) for residual in np.asarray(residuals)]
    return np.array([policy.act(observation) for observation in seen])


def test_repeats_a_probe_the_other_way_when_nothing_moves() -> None:
    actions = actions_for([[0.5, 0.2]] * 200)
    assert actions[0] @ actions[1] < 0
    sizes = np.abs(actions).max(axis=1)
    assert sizes[3] >= sizes[0]
    assert sizes.min() > 0.01


def test_residual_of_zero_is_no_trouble() -> None:
    assert np.isfinite(actions_for(np.zeros((5, 2)))).all()


def test_same_observations_give_the_same_actions() -> None:
    seen = np.random.default_rng(16).uniform(-0.5, 0.5, (12, 2))
    assert np.array_equal(actions_for(seen), actions_for(seen))


def other_goal(**changes: Any) -> Centre:
    goal = matrix_brief(2).goal
    assert goal is not None
    return attrs.evolve(goal, **changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"goal": None}, "goal"),
        ({"action_space": Discrete(4)}, "Discrete(4)"),
        ({"action_space": Box(-2, 2, (2,))}, "from -1 to 1"),
        ({"action_space": Box(-1, 1, (1, 2))}, "one axis"),
        ({"action_space": Box(-1, 1, (3,))}, "each of the 2 residual entries"),
        ({"observation_space": Box(-1, 1, (3,))}, "(2, 3)"),
        ({"observation_space": Dict({"a": Box(-1, 1, (4,))})}, "Dict"),
        ({"goal": other_goal(edges=((-1.0, -1.0), (1.0,)))}, "2 and 1"),
        ({"goal": other_goal(full_action=None, edges=((-1, -1), (1, np.inf)))}, "full_action"),
    ],
)
def test_refuses_tasks_it_cannot_centre(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        make_adaptive(AdaptiveConfig(), matrix_brief(2, **changes))
    assert len(caught.value.problems) == 1
    assert named in caught.value.problems[0]
    assert "adaptive" in caught.value.problems[0]


def test_lists_all_problems_at_once() -> None:
    brief = matrix_brief(2, action_space=Discrete(4), goal=None)
    with pytest.raises(IncompatibleError) as caught:
        make_adaptive(AdaptiveConfig(), brief)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    "values",
    [
        {"memory": "sometimes"},
        {"probe": 0.0},
        {"probe": 1.5},
        {"room": 1.1},
        {"forgetting": 1.0},
        {"skew": 0.0},
        {"change_odds": -0.1},
    ],
)
def test_options_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        build(AdaptiveConfig, values, section="agent")
