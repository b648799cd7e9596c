"""The adaptive agent, on a screen simulated at the level of measured positions."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.spaces import Box

from stempilot.contract.agent import Brief, NoticesChange, Policy
from stempilot.contract.goals import Centre
from stempilot_agents.classical.adaptive import AdaptiveConfig, make_adaptive

FloatArray = npt.NDArray[np.float64]

HALF_PX = 520.0
LOST_PX = 499.6
FULL_PX = 40.78
TOLERANCE_PX = 12.235
BIN_PX = 4.078
STEP_LIMIT = 200


def turn(angle_rad: float) -> FloatArray:
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[cos, -sin], [sin, cos]])


@attrs.frozen(kw_only=True, eq=False)
class Instrument:
    """A linear response in px per action, and what makes it less than that."""

    matrix: FloatArray
    action_noise: float = 0.001
    vibration_px: float = 0.005
    lag: float = 0.0
    play: float = 0.0
    distortion: float = 0.0
    drift_px: float = 0.0


PUBLISHED = Instrument(matrix=FULL_PX * turn(math.pi / 6))


def random_instrument(
    rng: np.random.Generator, full_px: float = FULL_PX, **extra: float
) -> Instrument:
    shear = math.tan(rng.uniform(-1, 1) * math.radians(5))
    ratio = math.exp(rng.uniform(math.log(0.9), math.log(1.1)))
    size = full_px * math.exp(rng.uniform(math.log(0.25), math.log(4)))
    bent = np.array([[1, shear], [0, 1]]) @ np.diag([math.sqrt(ratio), 1 / math.sqrt(ratio)])
    hand = np.diag([1.0, rng.choice([-1.0, 1.0])])
    values = {"action_noise": rng.uniform(0, 0.1), "vibration_px": rng.uniform(0, 4)} | extra
    return Instrument(matrix=size * turn(rng.uniform(0, 2 * math.pi)) @ bent @ hand, **values)


@attrs.frozen(kw_only=True)
class Screen:
    """How positions become observations, and when an episode ends."""

    full_px: float = FULL_PX
    told: bool = True
    tolerance_px: float = TOLERANCE_PX
    bin_px: float = 0.0
    goal_px: tuple[float, float] = (0.0, 0.0)

    @property
    def unit_px(self) -> float:
        return self.bin_px or HALF_PX

    @property
    def goal(self) -> Centre:
        goal = np.array(self.goal_px)
        return Centre(
            residual=(0, 1),
            unit="bins" if self.bin_px else "half fields",
            tolerance=self.tolerance_px / self.unit_px,
            edges=((-LOST_PX - goal) / self.unit_px, (LOST_PX - goal) / self.unit_px),
            resolution=1.0 if self.bin_px else 0.0,
            full_action=self.full_px / self.unit_px if self.told else None,
        )

    def residual(self, seen_px: FloatArray) -> FloatArray:
        goal = np.array(self.goal_px)
        if self.bin_px:
            rounded: FloatArray = np.round(seen_px / self.bin_px) - goal / self.bin_px
            return rounded
        scaled: FloatArray = (seen_px - goal) / HALF_PX
        return scaled


class Episode:
    """Moves the disk; ``step`` returns None while the episode goes on."""

    def __init__(
        self, instrument: Instrument, screen: Screen, start_px: FloatArray, rng: np.random.Generator
    ) -> None:
        self.instrument, self.screen, self.rng = instrument, screen, rng
        self.knob, self.held, self.settled = np.zeros(2), np.zeros(2), np.zeros(2)
        self.base = start_px
        for _ in range(50):
            self.base = self.base + start_px - self.distorted(self.base)
        self.way = turn(rng.uniform(0, 2 * math.pi))[0]
        self.steps = 0
        self.look()

    def distorted(self, place: FloatArray) -> FloatArray:
        bend = self.instrument.distortion * float(place @ place) / HALF_PX**2
        moved: FloatArray = (1 + bend) * (turn(bend) @ place)
        return moved

    def look(self) -> None:
        where = self.distorted(self.base + self.instrument.matrix @ self.settled)
        self.seen = where + self.rng.normal(0, self.instrument.vibration_px, 2)
        self.residual = self.screen.residual(self.seen)

    def step(self, action: FloatArray) -> bool | None:
        made = self.instrument
        scatter = made.action_noise * float(np.abs(action).max())
        self.knob = self.knob + action + self.rng.normal(0, scatter, 2)
        self.held = np.clip(self.held, self.knob - made.play, self.knob + made.play)
        self.settled = self.settled + (1 - made.lag) * (self.held - self.settled)
        self.base = self.base + made.drift_px * (self.way + 2 * self.rng.normal(size=2))
        self.look()
        self.steps += 1
        if np.abs(self.seen).max() > LOST_PX:
            return False
        close = np.hypot(*self.residual) * self.screen.unit_px <= self.screen.tolerance_px
        return bool(close) or (None if self.steps < STEP_LIMIT else False)

    def change(self, matrix: FloatArray) -> None:
        """Put another response in, without a jump."""
        self.base = self.base + (self.instrument.matrix - matrix) @ self.settled
        self.instrument = attrs.evolve(self.instrument, matrix=matrix)


def observation(residual: FloatArray) -> npt.NDArray[np.float32]:
    return np.array([*residual, 7.0, -7.0], dtype=np.float32)


def new_policy(screen: Screen, **options: Any) -> Policy:
    brief = Brief(
        observation_space=Box(-np.inf, np.inf, (4,), np.float32),
        action_space=Box(-1, 1, (2,), np.float32),
        goal=screen.goal,
        seed=0,
    )
    return make_adaptive(AdaptiveConfig(**options), brief).policy()


def play(policy: Policy, episode: Episode) -> bool:
    ended = None
    while ended is None:
        action = policy.act(observation(episode.residual))
        assert np.abs(action).max() <= 1
        assert action.dtype == np.float32
        ended = episode.step(np.asarray(action, dtype=float))
    return ended


def oracle_steps(episode: Episode) -> int:
    """Return the steps of a controller that knows the matrix, or 0 if that fails."""
    inverse = np.linalg.inv(episode.instrument.matrix) * episode.screen.unit_px
    ended = None
    while ended is None:
        ended = episode.step(np.clip(-inverse @ episode.residual, -1, 1))
    return episode.steps if ended else 0


def starts(rng: np.random.Generator, screen: Screen, reach_px: float) -> Iterator[FloatArray]:
    while True:
        start = rng.uniform(-reach_px, reach_px, 2)
        if np.hypot(*(start - screen.goal_px)) > screen.tolerance_px + BIN_PX:
            yield start


@attrs.frozen
class Score:
    success: float
    steps: float
    ratio: float


def compare(
    policy: Policy,
    screen: Screen,
    instruments: Callable[[np.random.Generator], Instrument],
    *,
    episodes: int,
    seed: int,
    reach_px: float = LOST_PX,
    same: bool = False,
) -> Score:
    """Play episodes next to the oracle; steps are of those that both solve."""
    rng = np.random.default_rng(seed)
    instrument = instruments(rng)
    begin = starts(rng, screen, reach_px)
    solved, both = 0, []
    for number in range(episodes):
        if not same:
            instrument = instruments(rng)
        start = next(begin)
        policy.reset("instrument" if same else f"instrument {number}")
        episode = Episode(instrument, screen, start, np.random.default_rng([seed, number, 0]))
        success = play(policy, episode)
        solved += success
        twin = Episode(instrument, screen, start, np.random.default_rng([seed, number, 1]))
        best = oracle_steps(twin)
        if success and best:
            both.append((episode.steps, best))
    steps, best_steps = np.mean(both, axis=0)
    return Score(solved / episodes, float(steps), float(steps / best_steps))


def test_published_response_without_memory_is_close_to_the_oracle() -> None:
    screen = Screen()
    policy = new_policy(screen, memory="fresh")
    score = compare(policy, screen, lambda _: PUBLISHED, episodes=100, seed=1)
    assert score.success == 1
    assert score.ratio < 1.18


def test_kept_response_is_as_good_as_the_oracle() -> None:
    screen = Screen()
    policy = new_policy(screen)
    compare(policy, screen, lambda _: PUBLISHED, episodes=1, seed=2, same=True)
    score = compare(policy, screen, lambda _: PUBLISHED, episodes=100, seed=3, same=True)
    assert score.success == 1
    assert score.ratio < 1.02


def test_random_instruments() -> None:
    screen = Screen()
    score = compare(
        new_policy(screen), screen, random_instrument, episodes=100, seed=4, reach_px=0.85 * HALF_PX
    )
    assert score.success == 1
    assert score.ratio < 1.2


@pytest.mark.parametrize("full_px", [1040.0, 4160.0])
def test_crosses_the_screen_in_few_frames(full_px: float) -> None:
    screen = Screen(full_px=full_px)
    made = attrs.evolve(PUBLISHED, matrix=full_px * turn(math.pi / 6))
    score = compare(
        new_policy(screen, memory="fresh"), screen, lambda _: made, episodes=100, seed=5
    )
    # What starts within a few pixels of the edge may be lost.
    assert score.success >= 0.97
    assert score.steps + 1 < 4.5


def test_crosses_the_screen_of_random_instruments_in_few_frames() -> None:
    screen = Screen(full_px=1040.0)

    def made(rng: np.random.Generator) -> Instrument:
        return random_instrument(rng, 1040.0)

    score = compare(new_policy(screen), screen, made, episodes=100, seed=6, reach_px=0.85 * HALF_PX)
    assert score.success >= 0.99
    assert score.steps + 1 < 5


@pytest.mark.parametrize("memory", ["kept", "fresh"])
def test_small_tolerance(memory: str) -> None:
    screen = Screen(tolerance_px=0.1)
    policy = new_policy(screen, memory=memory)
    score = compare(policy, screen, lambda _: PUBLISHED, episodes=50, seed=7, same=True)
    assert score.success == 1


def test_rounded_observation() -> None:
    screen = Screen(bin_px=BIN_PX, goal_px=(4 * BIN_PX, 8 * BIN_PX), tolerance_px=3 * BIN_PX)
    policy = new_policy(screen, memory="fresh")
    score = compare(policy, screen, lambda _: PUBLISHED, episodes=100, seed=8)
    assert score.success >= 0.98
    assert score.ratio < 1.22


@pytest.mark.parametrize(
    ("condition", "most"),
    [
        ({"lag": 0.4}, 1.2),
        ({"play": 0.05}, 1.25),
        ({"distortion": 0.2}, 1.25),
        ({"drift_px": 0.5}, 1.25),
    ],
    ids=["lagged", "backlash", "distorted", "drifting"],
)
def test_conditions_beyond_the_model(condition: dict[str, float], most: float) -> None:
    """The oracle here knows the matrix alone, and under lag it overshoots."""
    screen = Screen()

    def made(rng: np.random.Generator) -> Instrument:
        return random_instrument(rng, **condition)

    score = compare(new_policy(screen), screen, made, episodes=50, seed=9, reach_px=0.8 * HALF_PX)
    assert score.success >= 0.98
    assert score.ratio < most


CHANGES = {
    "rotated": turn(math.pi / 3),
    "mirrored": np.diag([-1.0, 1.0]),
    "reversed": -np.eye(2),
    "twice the size": 2 * np.eye(2),
    "a quarter of the size": 0.25 * np.eye(2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_notices_a_change_in_the_middle_of_an_episode(name: str) -> None:
    screen = Screen()
    changed = CHANGES[name] @ PUBLISHED.matrix
    for seed in range(6):
        policy = new_policy(screen)
        compare(policy, screen, lambda _: PUBLISHED, episodes=3, seed=seed, same=True)
        policy.reset("instrument")
        rng = np.random.default_rng(seed)
        episode = Episode(PUBLISHED, screen, np.array([300.0, -200.0]), rng)
        for _ in range(2):
            episode.step(policy.act(observation(episode.residual)).astype(float))
        episode.change(changed)
        least = float(np.abs(np.linalg.inv(changed) @ episode.seen).max())
        assert play(policy, episode)
        assert episode.steps - 2 <= math.ceil(least) + 7


@pytest.mark.parametrize("name", CHANGES)
def test_says_what_it_noticed_once(name: str) -> None:
    screen = Screen()
    policy = new_policy(screen)
    assert isinstance(policy, NoticesChange)
    compare(policy, screen, lambda _: PUBLISHED, episodes=3, seed=1, same=True)
    assert policy.changed() == ""
    policy.reset("instrument")
    episode = Episode(PUBLISHED, screen, np.array([300.0, -200.0]), np.random.default_rng(1))
    episode.step(policy.act(observation(episode.residual)).astype(float))
    episode.change(CHANGES[name] @ PUBLISHED.matrix)
    assert play(policy, episode)
    policy.ended(observation(episode.residual))
    assert policy.changed().endswith("probing again")
    assert policy.changed() == ""


def test_notices_a_change_between_episodes() -> None:
    screen = Screen()
    policy = new_policy(screen)
    compare(policy, screen, lambda _: PUBLISHED, episodes=5, seed=10, same=True)
    turned = attrs.evolve(PUBLISHED, matrix=turn(2.0) @ PUBLISHED.matrix)
    score = compare(
        policy, screen, lambda _: turned, episodes=8, seed=11, same=True, reach_px=300.0
    )
    assert score.success == 1
    assert score.ratio < 1.15


def test_a_lost_disk_is_not_blamed_on_chance() -> None:
    """The end of a lost episode is never observed, only that it ended far from the goal."""
    screen = Screen()
    policy = new_policy(screen)
    compare(policy, screen, lambda _: PUBLISHED, episodes=5, seed=12, same=True)
    start = observation(np.array([0.8, 0.5]))
    policy.reset("instrument")
    trusting = policy.act(start)
    assert np.abs(trusting).max() == 1
    policy.reset("instrument")
    assert np.array_equal(policy.act(start), first_action(screen, start))


def first_action(screen: Screen, seen: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    policy = new_policy(screen)
    policy.reset("new")
    return np.asarray(policy.act(seen))


@pytest.mark.parametrize(
    ("memory", "instrument", "forgets"),
    [("kept", "instrument", False), ("kept", "other", True), ("fresh", "instrument", True)],
)
def test_memory(memory: str, instrument: str, forgets: bool) -> None:
    screen = Screen()
    policy = new_policy(screen, memory=memory)
    compare(policy, screen, lambda _: PUBLISHED, episodes=3, seed=13, same=True)
    start = observation(np.array([-0.6, 0.3]))
    policy.reset(instrument)
    assert np.array_equal(policy.act(start), first_action(screen, start)) is forgets


@pytest.mark.parametrize("angle", np.linspace(0, 2 * math.pi, 16, endpoint=False))
def test_first_probe_cannot_lose_the_disk_under_the_largest_response(angle: float) -> None:
    screen = Screen()
    rng = np.random.default_rng(14)
    for start in rng.uniform(-LOST_PX, LOST_PX, (30, 2)):
        action = first_action(screen, observation(start / HALF_PX)).astype(float)
        moved = start + 4 * FULL_PX * turn(angle) @ action
        # A disk within a tenth of the tolerance of the edge has to be moved all the same.
        assert np.abs(moved).max() < LOST_PX + 0.1 * TOLERANCE_PX


def test_unknown_scale_starts_tiny_and_grows() -> None:
    screen = Screen(told=False)
    policy = new_policy(screen)
    policy.reset("instrument")
    made = attrs.evolve(PUBLISHED, vibration_px=0.5)
    episode = Episode(made, screen, np.array([-300.0, 100.0]), np.random.default_rng(15))
    lengths = []
    for _ in range(5):
        action = policy.act(observation(episode.residual)).astype(float)
        lengths.append(float(np.abs(action).max()))
        episode.step(action)
    assert lengths[0] <= 0.01
    assert lengths[-1] == 1
    assert play(policy, episode)
