"""A watch says nothing while the response is what it was, and says so soon when it is not."""

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from gymnasium.spaces import Box, Dict, Discrete
from tests.agents.centring_plant import FULL_ACTION_PX, HALF_PX, Oracle, Plant, goal, turned

from stempilot.contract.agent import NoticesChange, Transitions
from stempilot_agents.response.fit import fit_response
from stempilot_agents.response.watch import Watch, normal_response, watched

UNIT = Box(-1, 1, (2,), np.float32)
BIN_PX = 1040 / 255


def coarse(residual: Any) -> Any:
    """Return a residual as the published observation has it: in whole bins."""
    return np.rint(residual * HALF_PX / BIN_PX)


COARSE = goal(
    unit="bins",
    tolerance=3.0,
    edges=((-122.4, -122.4), (122.4, 122.4)),
    resolution=1.0,
    full_action=10.0,
)


class Walks:
    """Plays an instrument as a trained agent would, and keeps what happens.

    Args:
        response: in px per full action.
        seen: what becomes of a residual in half fields before anybody sees it.
    """

    def __init__(self, response: Any, seed: int, seen: Any = np.asarray, **noises: Any) -> None:
        self.plant = Plant(response, **noises)
        self.steers = Oracle(response)
        self.rng = np.random.default_rng(seed)
        self.seen = seen
        self.position: Any = None

    def move(self, exploring: float = 0.0) -> tuple[Any, Any, Any, bool]:
        """Return before, action, after and whether the episode ended with it."""
        rng, plant = self.rng, self.plant
        if self.position is None:
            self.position = rng.uniform(-440, 440, 2)
            self.before = self._look()
        wanted = self.steers.act(self.position / HALF_PX) + exploring * rng.standard_normal(2)
        action = np.clip(wanted, -1, 1).astype(np.float32)
        slip = plant.action_noise * np.abs(action).max() * rng.standard_normal(2)
        self.position = self.position + plant.response @ (action + slip)
        before, after = self.before, self._look()
        over = np.hypot(*self.position) <= 12.235 or np.abs(self.position).max() > 499.6
        self.before, self.position = after, None if over else self.position
        return before, action, after, bool(over)

    def _look(self) -> Any:
        shaken = self.position + self.plant.vibration_px * self.rng.standard_normal(2)
        return self.seen(shaken / HALF_PX).astype(np.float32)

    def transitions(self, count: int) -> Transitions:
        rows = [self.move(exploring=0.5) for _ in range(count)]
        before, actions, after, over = (np.array(column) for column in zip(*rows, strict=True))
        return Transitions(
            observations=before,
            actions=actions,
            rewards=np.zeros(count),
            next_observations=after,
            terminated=over,
            truncated=np.zeros(count, dtype=bool),
        )

    def watch(self, watch: Watch, moves: int) -> list[int]:
        """Return after which moves something was found."""
        found = []
        for number in range(1, moves + 1):
            before, action, after, over = self.move()
            if watch.take(before, action, after):
                found.append(number)
            if over:
                watch.begin()
        return found


def trained(walks: Walks, count: int = 200, task_goal: Any = None) -> Watch:
    response = fit_response(walks.transitions(count), task_goal or goal(), UNIT)
    assert response is not None
    return Watch(response)


CONDITIONS: dict[str, dict[str, Any]] = {
    "quiet": {},
    "action noise": {"action_noise": 0.1},
    "vibration": {"vibration_px": 4.0},
    "both": {"action_noise": 0.1, "vibration_px": 4.0},
    "bins": {"seen": coarse},
}
CHANGES = {
    "+60 deg": turned(90),
    "+90 deg": turned(120),
    "mirrored": turned(30, mirrored=True),
    "other camera length": turned(30, 1.6),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_nothing_is_found_where_nothing_changed(condition: str) -> None:
    noises = CONDITIONS[condition]
    walks = Walks(turned(30), 1, **noises)
    watch = trained(walks, task_goal=COARSE if "seen" in noises else None)
    assert walks.watch(watch, 2000) == []


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_within_a_handful_of_moves(condition: str, change: str) -> None:
    noises = CONDITIONS[condition]
    limit = 15 if change == "other camera length" else 6
    for seed in range(5):
        walks = Walks(turned(30), seed, **noises)
        watch = trained(walks, task_goal=COARSE if "seen" in noises else None)
        walks.watch(watch, 7)
        walks.plant = evolve(walks.plant, response=CHANGES[change])
        found = walks.watch(watch, limit)
        assert len(found) == 1, f"seed {seed}"


def test_forty_transitions_are_enough() -> None:
    walks = Walks(turned(30), 3, action_noise=0.05)
    watch = trained(walks, 40)
    assert walks.watch(watch, 500) == []
    walks.plant = evolve(walks.plant, response=turned(120))
    assert len(walks.watch(watch, 6)) == 1


def test_one_odd_frame_is_no_change() -> None:
    walks = Walks(turned(30), 4)
    watch = trained(walks)
    action, nothing = np.array([0.1, 0.0]), np.zeros(2)
    for odd in (0.05, 0.2, 0.8):
        there = np.array([odd, -odd])
        assert watch.take(nothing, action, there) == watch.take(there, action, nothing) == ""
        assert walks.watch(watch, 30) == []


def test_it_is_said_once_until_moves_are_as_they_were() -> None:
    walks = Walks(turned(30), 5)
    watch, known = trained(walks), walks.plant
    walks.plant = evolve(known, response=turned(120))
    assert len(walks.watch(watch, 200)) == 1
    walks.plant, walks.position = known, None
    assert walks.watch(watch, 100) == []
    walks.plant, walks.position = evolve(known, response=turned(-60)), None
    assert len(walks.watch(watch, 10)) == 1


def test_the_sentence_says_how_far_off_moves_end() -> None:
    watch = trained(Walks(turned(30), 6))
    said = ""
    for _ in range(4):
        led = turned(120) @ np.array([1.0, 0.0]) / HALF_PX
        said = said or watch.take(np.zeros(2), np.array([1.0, 0.0]), led)
    assert said.startswith("the response is no longer what it was: over 3 moves, a move ended 14")


def test_what_is_lost_at_the_edge_is_no_evidence() -> None:
    watch = trained(Walks(turned(0), 7))
    near = np.array([0.93, 0.0])
    for _ in range(20):
        watch.begin()
        # It would go over the edge, and where it is not seen it seems to stand still.
        assert watch.take(near, np.array([1.0, 0.0]), near) == ""


def test_what_was_not_measured_is_no_evidence() -> None:
    walks = Walks(turned(30), 10)
    seen, nowhere = walks.transitions(200), np.full(2, np.nan)
    seen.next_observations[7] = nowhere
    response = fit_response(seen, goal(), UNIT)
    assert response is not None
    watch = Watch(response)
    for _ in range(5):
        assert watch.take(np.zeros(2), np.array([1.0, 0.0]), nowhere) == ""
        watch.begin()
    assert walks.watch(watch, 100) == []


def test_moves_count_again_after_one_that_was_not_measured() -> None:
    walks = Walks(turned(30), 11)
    seen, nowhere = walks.transitions(200), np.full(2, np.nan)
    row = next(n for n in range(100) if not seen.terminated[n : n + 4].any())
    seen.next_observations[row] = seen.observations[row + 1] = nowhere
    response = fit_response(seen, goal(), UNIT)
    assert response is not None
    watch, nothing, action = Watch(response), np.zeros(2), np.array([1.0, 0.0])
    assert watch.take(nothing, action, nowhere) == watch.take(nowhere, action, nothing) == ""
    led = turned(120) @ action / HALF_PX
    assert any(watch.take(nothing, action, led) for _ in range(5))


def test_too_few_transitions_tell_nothing() -> None:
    walks = Walks(turned(30), 8)
    assert fit_response(walks.transitions(10), goal(), UNIT) is None


# --- the policy with a watch ------------------------------------------------------------------


class Still:
    def __init__(self) -> None:
        self.instruments: list[str] = []

    def reset(self, instrument_id: str) -> None:
        self.instruments.append(instrument_id)

    def act(self, observation: Any) -> Any:
        del observation
        return np.array([1.0, 0.0], np.float32)


def watching() -> Any:
    seen = Walks(turned(30), 9).transitions(100)
    return watched(Still(), normal_response(seen, goal=goal(), action_space=UNIT))


def lead(policy: Any, response: Any, moves: int) -> list[str]:
    """Return what is said after each move of one episode, its end included."""
    policy.reset("one")
    place, said = np.array([-0.5, -0.5]), []
    for _ in range(moves):
        action = policy.act(place.astype(np.float32))
        said.append(policy.changed())
        place = place + response @ action / HALF_PX
    policy.ended(place.astype(np.float32))
    return [*said, policy.changed()]


def test_a_watched_policy_acts_as_before_and_says_what_it_finds_once() -> None:
    policy = watching()
    assert isinstance(policy, NoticesChange)
    assert not any(lead(policy, turned(30), 6))
    said = lead(policy, turned(120), 6)
    assert sum(map(bool, said)) == 1
    assert policy.changed() == ""


def test_the_last_move_of_an_episode_counts() -> None:
    policy = watching()
    said = [lead(policy, turned(120), 1) for _ in range(3)]
    assert said[:2] == [["", ""]] * 2
    assert [bool(sentence) for sentence in said[2]] == [False, True]


def test_moves_are_not_compared_across_episodes() -> None:
    policy = watching()
    for place in (-0.5, 0.5, -0.2, 0.7, -0.9):
        policy.reset("one")
        policy.act(np.array([place, place], np.float32))
        assert policy.changed() == ""


def test_the_policy_itself_is_reset() -> None:
    inner = Still()
    seen = Walks(turned(30), 9).transitions(60)
    watched(inner, normal_response(seen, goal=goal(), action_space=UNIT)).reset("two")
    assert inner.instruments == ["two"]


@pytest.mark.parametrize(("task_goal", "space"), [(None, UNIT), (goal(), Dict({"move": UNIT}))])
def test_there_is_no_watch_without_hints_or_numbers(task_goal: Any, space: Any) -> None:
    policy, seen = Still(), Walks(turned(30), 9).transitions(30)
    assert watched(policy, normal_response(seen, goal=task_goal, action_space=space)) is policy


def test_where_too_little_was_met_nobody_pretends_to_notice() -> None:
    seen = Walks(turned(30), 9).transitions(1)
    assert not isinstance(
        watched(Still(), normal_response(seen, goal=goal(), action_space=UNIT)), NoticesChange
    )
    seen = Walks(turned(30), 9).transitions(60)
    assert isinstance(
        watched(Still(), normal_response(seen, goal=goal(), action_space=UNIT)), NoticesChange
    )


def test_an_instrument_that_does_not_answer_has_no_response_to_watch() -> None:
    seen = Walks(turned(30), 9).transitions(60)
    still = evolve(
        seen, next_observations=seen.observations, terminated=np.zeros_like(seen.terminated)
    )
    assert not isinstance(
        watched(Still(), normal_response(still, goal=goal(), action_space=UNIT)), NoticesChange
    )


# --- numbered actions -------------------------------------------------------------------------


def test_numbered_actions_are_watched_too() -> None:
    moves = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]) * FULL_ACTION_PX / HALF_PX
    rng = np.random.default_rng(0)
    numbers = rng.integers(4, size=120)
    places = np.vstack([np.zeros(2), np.cumsum(moves[numbers], axis=0)])
    count = len(numbers)
    seen = Transitions(
        observations=places[:-1],
        actions=numbers,
        rewards=np.zeros(count),
        next_observations=places[1:],
        terminated=np.zeros(count, dtype=bool),
        truncated=np.zeros(count, dtype=bool),
    )
    response = fit_response(seen, goal(), Discrete(4))
    assert response is not None
    watch, nothing = Watch(response), np.zeros(2)
    known = [watch.take(nothing, np.int64(n), moves[n]) for n in (0, 1, 2, 3) * 10]
    assert not any(known)
    turned_round = [watch.take(nothing, np.int64(n), moves[(n + 1) % 4]) for n in (0, 1, 2)]
    assert sum(map(bool, turned_round)) == 1
