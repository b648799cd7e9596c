"""Whether displacements depend on the place, told from transitions alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from attrs import evolve
from gymnasium.spaces import Box

from stempilot.contract.goals import Centre
from stempilot.contract.values import Transitions
from stempilot_agents.sac_rapid.prior import Dependence, dependence_on_place

Floats = npt.NDArray[np.float64]
GOAL = Centre(
    residual=(1, 2),
    unit="half fields",
    tolerance=0.03,
    edges=((-1.0, -1.0), (1.0, 1.0)),
)
ACTIONS = Box(-1, 1, (2,), np.float32)
TURNED = 0.08 * np.array([[0.5, -0.9], [0.8, 0.6]])


def same(place: Floats) -> Floats:
    return np.ones((len(place), 1))


def bent(place: Floats) -> Floats:
    """Return the gain of a distorted instrument."""
    gain: Floats = 1 + 0.2 * np.sum(place**2, axis=1, keepdims=True)
    return gain


def lived(
    seed: int,
    gain: Callable[[Floats], Floats] = same,
    *,
    noise: float = 0.0005,
    lag: float = 0.0,
    drift: float = 0.0,
    count: int = 150,
) -> Transitions:
    """Return what an agent met that acts towards the goal, with some noise."""
    rng = np.random.default_rng(seed)
    rows: list[Any] = []
    place, before = rng.uniform(-0.9, 0.9, 2), np.zeros(2)
    while len(rows) < count:
        wanted = -np.linalg.solve(TURNED, place) + 0.4 * rng.normal(size=2)
        action = np.clip(wanted, -1, 1)
        moved = (gain(place[np.newaxis])[0] * (TURNED @ action)) * (1 - lag) + lag * before
        before = moved + noise * rng.normal(size=2) + drift
        after = place + before
        lost, centred = bool((np.abs(after) > 1).any()), bool(np.hypot(*after) < 0.03)
        rows.append((np.append(1.0, place), action, np.append(1.0, after), lost or centred))
        place = after
        if lost or centred:
            place, before = rng.uniform(-0.9, 0.9, 2), np.zeros(2)
    seen, actions, later, ended = map(np.array, zip(*rows, strict=True))
    return Transitions(
        observations=seen,
        actions=actions,
        rewards=np.zeros(count),
        next_observations=later,
        terminated=ended,
        truncated=np.zeros(count, dtype=bool),
    )


def judged(met: Transitions) -> Dependence:
    found = dependence_on_place(met, GOAL, ACTIONS)
    assert found is not None
    return found


def test_a_distorted_response_is_found() -> None:
    found = [judged(lived(seed, bent)) for seed in range(5)]
    assert all(each.p == 0.001 for each in found)
    assert all(0.01 < each.share < 0.2 for each in found)


def test_a_distorted_response_is_found_behind_noise() -> None:
    assert judged(lived(1, bent, noise=0.004, count=300)).p < 0.01


@pytest.mark.parametrize(
    "options", [{}, {"noise": 0.01}, {"lag": 0.4}, {"drift": 0.002}, {"noise": 0.0}]
)
def test_an_even_response_seldom_counts_as_bent(options: dict[str, float]) -> None:
    found = [judged(lived(seed, **options)) for seed in range(20)]
    assert sum(each.p < 0.01 for each in found) <= 2
    assert np.mean([each.p for each in found]) > 0.25
    assert all(each.share < 0.03 + 0.5 * options.get("noise", 0) / 0.08 for each in found)


def test_what_was_lost_says_nothing_of_displacements() -> None:
    met = lived(3)
    lost = met.observations[:, 1] > 0.3
    assert lost.sum() > 5
    beyond, still = met.next_observations.copy(), met.next_observations.copy()
    beyond[lost, 1:] = 1.2
    still[lost] = met.observations[lost]
    plain = judged(met).share
    for unseen in (beyond, still):
        ended = evolve(met, next_observations=unseen, terminated=met.terminated | lost)
        assert judged(ended).share < plain + 0.01
    assert judged(evolve(met, next_observations=still)).share > plain + 0.1


def test_an_end_of_an_episode_is_no_displacement_before() -> None:
    """Nothing of the last move of an episode is left in the first of the next."""
    met = lived(4, lag=0.4, noise=0.0)
    first = np.flatnonzero(met.terminated[:-1]) + 1
    assert len(first) > 5
    # Joined end to end, the second episode would lag behind a move that was never seen.
    assert judged(met).share < 1e-6


@pytest.mark.parametrize("count", [0, 1, 20])
def test_too_few_transitions_say_nothing(count: int) -> None:
    met = lived(5, count=max(count, 1))
    columns = ("observations", "actions", "rewards", "next_observations", "terminated", "truncated")
    few = Transitions(**{name: getattr(met, name)[:count] for name in columns})
    assert dependence_on_place(few, GOAL, ACTIONS) is None


def test_an_instrument_that_does_not_move_says_nothing() -> None:
    met = lived(6)
    assert (
        dependence_on_place(evolve(met, next_observations=met.observations), GOAL, ACTIONS) is None
    )


def test_the_same_transitions_give_the_same_answer() -> None:
    assert judged(lived(7, noise=0.01)) == judged(lived(7, noise=0.01))


def test_observations_of_any_shape_are_judged_alike() -> None:
    met = lived(3, bent)
    folded = evolve(
        met,
        observations=met.observations[:, np.newaxis],
        next_observations=met.next_observations[:, np.newaxis],
    )
    assert judged(folded) == judged(met)


@pytest.mark.parametrize("edge", [(), (np.inf, np.inf)])
def test_without_edges_there_is_no_saying(edge: tuple[float, ...]) -> None:
    goal = evolve(
        GOAL,
        edges=(tuple(-at for at in edge), edge),
    )
    assert dependence_on_place(lived(3), goal, ACTIONS) is None
