"""The environment: what is sent and priced, what stops a run, what an episode depends on."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from attrs import evolve, field, frozen
from gymnasium.utils.env_checker import check_env as check_gymnasium
from stable_baselines3.common.env_checker import check_env as check_stable_baselines
from tests.core.fakes import Desk, blank

from stempilot.env import MAX_STARTS, TaskEnv, Timestep, instrument_id
from stempilot.envelope import Envelope, KnobLimits, open_envelope
from stempilot.errors import (
    BackendError,
    EnvelopeError,
    FrameError,
    HandsOffError,
    IncompatibleError,
    StartError,
)
from stempilot.model import Frame, Needs, Outcome, Reading, SetPoint, Snapshot
from stempilot.session import open_session
from stempilot.testing.toys import ToyBackend, ToyCentring, ToyState
from stempilot.vocabulary import BEAM_SHIFT

FULL = np.array([1.0, 0.0], np.float32)
BACK = np.array([-1.0, 0.0], np.float32)
REST = np.zeros(2, np.float32)


@frozen
class Kept:
    """A recorder that keeps all."""

    steps: list[Timestep] = field(factory=list)
    snapshots: list[Snapshot | None] = field(factory=list)

    def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
        self.steps.append(step)
        self.snapshots.append(snapshot)


def envelope(desk: Desk, **row: Any) -> Envelope:
    made = open_envelope("desk", desk.capabilities())
    limits = made.knobs[BEAM_SHIFT]
    reach = row.pop("reach", None)
    return evolve(
        made, knobs={BEAM_SHIFT: KnobLimits(spec=evolve(limits.spec, **row), reach=reach)}
    )


@contextlib.contextmanager
def on_desk(
    desk: Desk, task: ToyCentring | None = None, limits: Envelope | None = None, **options: Any
) -> Iterator[TaskEnv]:
    task = task or ToyCentring(tolerance=0.01)
    with open_session(desk, [task], name="desk", envelope=limits or envelope(desk)) as session:
        yield session.env(task, **options)


@contextlib.contextmanager
def on_toy(serial: int = 0, task: ToyCentring | None = None, **options: Any) -> Iterator[TaskEnv]:
    task = task or ToyCentring()
    with open_session(ToyBackend(serial), [task], name="toy") as session:
        yield session.env(task, **options)


# --- the checkers --------------------------------------------------------------------------------


def make_toy(actions: Any) -> TaskEnv:
    """Return an environment that owns its session."""
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(on_toy(task=ToyCentring(actions)))
        env.closing = stack.pop_all()
    return env


@pytest.mark.parametrize("actions", ["box", "discrete"])
def test_the_checkers_are_content(actions: Any) -> None:
    name = f"stempilot-test/{actions}-v0"
    gymnasium.register(name, entry_point=lambda **_: make_toy(actions))
    try:
        env = gymnasium.make(name, disable_env_checker=True)
        check_gymnasium(env.unwrapped)
        check_stable_baselines(env.unwrapped)
        env.close()
    finally:
        del gymnasium.registry[name]


# --- a timestep ----------------------------------------------------------------------------------


def test_a_step_writes_looks_and_tells() -> None:
    desk = Desk()
    kept = Kept()
    with on_desk(desk, recorder=kept, seed=3) as env:
        first, info = env.reset()
        assert info["outcome"] == "running"
        before = desk.toy.read(BEAM_SHIFT)
        desk.log.clear()
        calls: list[str] = []
        desk.before = lambda what, name: calls.append(what)
        second, reward, terminated, truncated, info = env.step(FULL)
        desk.before = lambda what, name: None
        assert desk.log == [(before[0] + 3.2e-7, before[1])]
        assert calls.index("write") < calls.index("acquire")
    assert np.hypot(*(second - first)) == pytest.approx(0.4, abs=0.05)
    assert reward == pytest.approx(np.hypot(*first) - np.hypot(*second), abs=1e-6)
    assert (terminated, truncated) == (False, False)
    assert info["is_success"] is False
    last = kept.steps[-1]
    assert (last.episode, last.step, last.timestep) == (0, 1, 1)
    assert [(w.knob, w.before) for w in last.writes] == [(BEAM_SHIFT, before)]
    assert kept.snapshots[-1] is not None


def test_success_terminates() -> None:
    with on_toy(seed=5) as env:
        env.reset()
        terminated = False
        while not terminated:
            assert env.last.truth is not None
            action = ToyCentring().oracle_action(env.last.state, env.last.truth)
            _, reward, terminated, truncated, info = env.step(action)
    assert (reward, truncated) == (10.0, False)
    assert (info["outcome"], info["is_success"]) == ("success", True)


def test_failure_terminates() -> None:
    desk = Desk()
    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.develop = lambda frame: evolve(frame, pixels=frame.pixels % 7)
        _, reward, terminated, truncated, info = env.step(REST)
    assert (reward, terminated, truncated) == (-10.0, True, False)
    assert info["outcome"] == "failure"


def test_the_budget_of_timesteps_truncates_and_is_not_priced() -> None:
    kept = Kept()
    with on_desk(Desk(), seed=3, max_steps=3, recorder=kept) as env:
        env.reset()
        ends = [env.step(REST)[1:4] for _ in range(3)]
    assert [(terminated, truncated) for _, terminated, truncated in ends] == [
        (False, False),
        (False, False),
        (False, True),
    ]
    assert abs(ends[-1][0]) < 0.1, "only the task's own price of a step"
    assert kept.steps[-1].outcome is Outcome.RUNNING
    assert kept.steps[-1].ended


def test_an_end_within_the_last_timestep_is_the_tasks_and_not_the_budgets() -> None:
    desk = Desk()
    with on_desk(desk, seed=3, max_steps=1) as env:
        env.reset()
        desk.develop = lambda frame: evolve(frame, pixels=frame.pixels % 7)
        assert env.step(REST)[2:4] == (True, False)


@pytest.mark.parametrize(
    "action",
    [
        np.array([1.5, 0.0], np.float32),
        np.array([np.nan, 0.0], np.float32),
        np.array([np.inf, 0.0], np.float32),
        np.zeros(3, np.float32),
        np.array(0.0, np.float32),
        np.array(["up", "down"]),
    ],
)
def test_actions_outside_the_space_are_refused_and_nothing_is_sent(action: Any) -> None:
    desk = Desk()
    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.log.clear()
        with pytest.raises(IncompatibleError, match="lies outside Box"):
            env.step(action)
        assert desk.log == []


# --- BLOCKED -------------------------------------------------------------------------------------


def test_a_plan_that_the_envelope_refuses_is_blocked() -> None:
    desk, kept = Desk(), Kept()
    limits = envelope(desk, reach=(3e-7, 3e-7))
    task = HomeTask(tolerance=0.01)
    with on_desk(desk, task, limits, recorder=kept, seed=3) as env:
        first, _ = env.reset()
        state = env.last.state
        desk.log.clear()
        second, reward, terminated, truncated, info = env.step(FULL)
        assert desk.log == []
        assert (reward, terminated, truncated) == (-10.0, True, False)
        assert info["outcome"] == "blocked"
        assert info["is_success"] is False
        assert "outside" in info["reason"]
        np.testing.assert_array_equal(first, second)
        assert env.last.state is state
        assert env.timestep == 1
        assert kept.snapshots[-1] is None, "nothing was sent, so nothing was looked at"
        assert kept.steps[-1].outcome is Outcome.BLOCKED
        env.reset()
        assert env.step(0.5 * FULL)[4]["outcome"] == "running"


class HomeTask(ToyCentring):
    """Starts at home."""

    def scramble(
        self, home: Mapping[str, Reading], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        return ()


def test_a_scramble_that_the_envelope_refuses_is_an_error_and_not_blocked() -> None:
    desk = Desk()
    limits = envelope(desk, reach=(1e-9, 1e-9))
    with pytest.raises(EnvelopeError, match="outside"), on_desk(desk, limits=limits) as env:
        env.reset()
    assert desk.log == []


# --- what stops a run ----------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["read", "write", "acquire", "state"])
def test_a_failing_instrument_is_never_a_reward(call: str) -> None:
    desk, kept = Desk(), Kept()

    def fail(what: str, _: str) -> None:
        if what == call:
            desk.before = lambda what, name: None
            msg = f"{what} timed out"
            raise BackendError(msg)

    with pytest.raises(BackendError, match=f"{call} timed out"):
        with on_desk(desk, recorder=kept, seed=3) as env:
            env.reset()
            desk.before = fail
            env.step(FULL)
    assert [step.step for step in kept.steps] == [0]
    desk.toy.open()
    assert desk.toy.read(BEAM_SHIFT) == pytest.approx((0, 0), abs=1e-12)


def test_hands_off_stops_the_run_and_nothing_is_sent() -> None:
    desk, kept = Desk(), Kept()
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(on_desk(desk, recorder=kept, seed=3))
        env.reset()
        env.step(REST)
        desk.toy.write(BEAM_SHIFT, (1e-7, 1e-7))
        desk.log.clear()
        with pytest.raises(HandsOffError, match="somebody else moved it"):
            env.step(FULL)
        with pytest.raises(HandsOffError):
            env.reset()
        assert desk.log == []
    assert len(kept.steps) == 2


def stale(frame: Frame) -> Frame:
    return evolve(frame, pixels=np.full_like(frame.pixels, 7))


def malformed(frame: Frame) -> Frame:
    return evolve(frame, pixels=frame.pixels[:-1])


def of_floats(frame: Frame) -> Frame:
    return evolve(frame, pixels=frame.pixels.astype(float))


@pytest.mark.parametrize("develop", [stale, malformed, of_floats, blank])
def test_a_camera_that_fails_after_the_dot_was_seen_stops_the_run(develop: Any) -> None:
    desk = Desk()
    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.develop = develop
        with pytest.raises(FrameError):
            env.step(FULL)


def test_a_frozen_camera_stops_the_run() -> None:
    desk, frozen_frame = Desk(), []

    def freeze(frame: Frame) -> Frame:
        frozen_frame.append(frame)
        return frozen_frame[0]

    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.develop = freeze
        env.step(FULL)
        with pytest.raises(FrameError, match="the same frame twice"):
            env.step(REST)


def test_a_dark_field_at_the_start_is_the_tasks_affair() -> None:
    desk = Desk()
    desk.develop = blank
    with on_desk(desk, plain=True) as env:
        _, info = env.reset()
        assert info["outcome"] == "failure"
        _, info = env.reset()
        assert info["outcome"] == "failure"


def test_a_mode_that_somebody_changes_stops_the_run() -> None:
    desk = Desk()
    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.toy.park()
        with pytest.raises(BackendError, match="beam_blanker is blanked, set it to open"):
            env.step(FULL)


# --- the run budget ------------------------------------------------------------------------------


class Dear(ToyCentring):
    """Has a price for everything."""

    def reward(self, before: ToyState, action: Any, after: ToyState, outcome: Outcome) -> float:
        return -7.0


def test_the_run_budget_ends_the_episode_unpriced_and_nothing_more_is_sent() -> None:
    desk, kept = Desk(), Kept()
    limits = evolve(envelope(desk), max_writes=2)
    task = Dear(tolerance=0.01)
    with on_desk(desk, task, limits, recorder=kept, seed=3) as env:
        env.reset()
        assert env.step(0.1 * FULL)[1] == -7.0
        env.step(0.1 * BACK)
        assert not env.budget_spent
        desk.log.clear()
        before = env.last.state
        _, reward, terminated, truncated, info = env.step(FULL)
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert "leaves 0 writes" in info["reason"]
        assert bool(env.budget_spent)
        assert env.last.state is before
        env.reset()
        assert env.step(FULL)[1:4] == (0.0, False, True)
        assert desk.log == []
    assert kept.steps[2].outcome is Outcome.RUNNING
    desk.toy.open()
    assert desk.toy.read(BEAM_SHIFT) == (0.0, 0.0)


# --- starts --------------------------------------------------------------------------------------


def test_resets_go_home_in_steps_that_the_limits_allow() -> None:
    desk = Desk()
    task = HomeTask(tolerance=0.01)
    with on_desk(desk, task, seed=3) as env:
        env.reset()
        home = desk.toy.read(BEAM_SHIFT)
        for _ in range(3):
            env.step(FULL)
            if env.last.ended:
                break
        start = desk.toy.read(BEAM_SHIFT)
        desk.log.clear()
        env.reset()
        way = [start, *desk.log]
        assert way[-1] == home
        assert len(way) > 2
        assert max(abs(b[0] - a[0]) for a, b in zip(way, way[1:], strict=False)) <= 4e-7 * (
            1 + 1e-9
        )


def test_a_plain_run_starts_where_the_instrument_stands() -> None:
    desk = Desk()
    desk.toy.open()
    desk.toy.write(BEAM_SHIFT, (2e-7, 1e-7))
    with on_desk(desk, plain=True) as env:
        env.reset()
        env.reset()
        assert desk.log == []
        assert desk.toy.read(BEAM_SHIFT) == (2e-7, 1e-7)


class Choosy(ToyCentring):
    """Refuses the first starts, and counts."""

    def __init__(self, refuse: int) -> None:
        super().__init__()
        self.refuse = refuse
        self.asked = 0

    def is_start(self, state: ToyState) -> bool:
        self.asked += 1
        return self.asked > self.refuse


def test_refused_starts_are_drawn_again() -> None:
    task = Choosy(refuse=MAX_STARTS - 1)
    with on_toy(task=task) as env:
        env.reset()
    assert task.asked == MAX_STARTS


def test_after_a_hundred_refused_starts_the_run_stops() -> None:
    task = Choosy(refuse=MAX_STARTS)
    with on_toy(task=task) as env, pytest.raises(StartError, match="in 100 attempts") as caught:
        env.reset()
    assert task.asked == MAX_STARTS == 100
    assert caught.value.exit_code == 1


# --- what an episode depends on ------------------------------------------------------------------

Episode = list[tuple[list[float], float, str]]
ACTIONS = [0.5 * FULL, 0.2 * BACK, np.array([0.1, -0.7], np.float32)]


def play(env: TaskEnv, actions: list[npt.NDArray[np.float32]], **reset: Any) -> Episode:
    observation, info = env.reset(**reset)
    told = [(observation.tolist(), 0.0, info["outcome"])]
    for action in actions:
        if env.last.ended:
            break
        observation, reward, _, _, info = env.step(action)
        told.append((observation.tolist(), reward, info["outcome"]))
    return told


def test_the_same_seed_gives_the_same_episodes() -> None:
    with on_toy(seed=7) as one, on_toy(seed=7) as other:
        for _ in range(3):
            assert play(one, ACTIONS) == play(other, ACTIONS)


def test_another_seed_or_episode_starts_elsewhere() -> None:
    with on_toy(seed=7) as one, on_toy(seed=8) as other:
        starts = [play(env, [])[0][0] for env in (one, other, one, other)]
    assert len({tuple(start) for start in starts}) == 4


def test_an_episode_does_not_depend_on_what_was_before() -> None:
    with on_toy(seed=7) as idle, on_toy(seed=7) as busy:
        play(idle, [])
        play(busy, ACTIONS * 4)
        idle.timestep = busy.timestep = 0
        assert play(idle, ACTIONS) == play(busy, ACTIONS)


def test_a_run_can_be_continued_at_any_episode() -> None:
    with on_toy(seed=7) as whole:
        play(whole, ACTIONS)
        play(whole, ACTIONS)
        timestep = whole.timestep
        expected = play(whole, ACTIONS)
    with on_toy(seed=7, first_episode=2, first_timestep=timestep) as rest:
        assert play(rest, ACTIONS) == expected
        assert rest.last.episode == 2
        assert rest.timestep == timestep + len(expected) - 1


def test_reset_with_a_seed_begins_anew() -> None:
    with on_toy(seed=99) as one, on_toy(seed=7) as other:
        play(one, ACTIONS)
        for episode in range(2):
            seed = {"seed": 7} if episode == 0 else {}
            assert play(one, ACTIONS, **seed) == play(other, ACTIONS)
            assert one.last.episode == other.last.episode == episode
            assert one.timestep == other.timestep


def test_scrambles_of_a_real_instrument_are_seeded_too() -> None:
    starts = []
    for seed in (7, 7, 8):
        desk = Desk()
        with on_desk(desk, seed=seed) as env:
            env.reset()
            first = desk.toy.read(BEAM_SHIFT)
            env.reset()
            starts.append((first, desk.toy.read(BEAM_SHIFT)))
    assert starts[0] == starts[1]
    assert starts[0] != starts[2]
    assert starts[0][0] != starts[0][1]


class Reseeded(ToyBackend):
    """Notes what it is reseeded with."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[Any, tuple[int, ...], int, Reading]] = []

    def reseed(self, seed: np.random.SeedSequence, *, timestep: int = 0) -> None:
        where = self.read(BEAM_SHIFT)
        self.noted.append((seed.entropy, seed.spawn_key, timestep, where))
        super().reseed(seed, timestep=timestep)


def test_a_simulator_is_reseeded_at_home_by_seed_episode_attempt_and_timestep() -> None:
    toy = Reseeded()
    task = Choosy(refuse=1)
    with open_session(toy, [task], name="toy") as session:
        env = session.env(task, seed=7, first_episode=4, first_timestep=30)
        env.reset()
        env.step(0.1 * FULL)
        env.reset()
    home = (0.0, 0.0)
    assert toy.noted == [(7, (4, 0), 30, home), (7, (4, 1), 30, home), (7, (5, 0), 31, home)]


# --- what is told --------------------------------------------------------------------------------


def test_the_truth_is_recorded_and_never_told_to_an_agent() -> None:
    kept = Kept()
    with on_toy(recorder=kept) as env:
        _, first = env.reset()
        *_, second = env.step(0.1 * FULL)
    assert set(first) == {"episode_number", "instrument", "outcome", "is_success"}
    assert set(second) == set(first)
    assert kept.steps[-1].truth is not None
    assert "position_px" in kept.steps[-1].truth


def test_the_instrument_is_told_and_changes_with_its_identity() -> None:
    names = []
    for serial in (0, 1, 1):
        with on_toy(serial) as env:
            names.append(env.reset()[1]["instrument"])
    assert names[0] != names[1] == names[2]
    assert names[0] == instrument_id(ToyBackend(0).identity())
    assert instrument_id({"a": "1", "b": "2"}) == instrument_id({"b": "2", "a": "1"})


class Nosy(ToyCentring):
    """Also records another knob where it is offered."""

    @property
    def needs(self) -> Needs:
        return evolve(super().needs, reads=("camera_length_index", "beam_shift"))


def test_further_knobs_are_recorded_only_where_they_are_offered() -> None:
    kept = Kept()
    with on_toy(task=Nosy(), recorder=kept) as env:
        env.reset()
    assert kept.snapshots[0] is not None
    assert set(kept.snapshots[0].knobs) == {BEAM_SHIFT}


def test_no_pixels_outlive_their_timestep() -> None:
    with on_toy() as env:
        env.reset()
        env.step(0.1 * FULL)
        kept = attrs.asdict(env.last, recurse=False).values()
        assert not [value for value in kept if isinstance(value, Snapshot | Frame)]


def test_it_is_a_gymnasium_environment_that_closes_only_its_own() -> None:
    closed: list[str] = []
    with on_toy() as env:
        assert isinstance(env, gymnasium.Env)
        env.closing.callback(closed.append, "own")
        env.reset()
        env.close()
        assert closed == ["own"]
        env.reset()
        env.close()
