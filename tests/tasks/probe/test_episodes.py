"""Episodes of the tasks of the probe: whole loops, and what happens when frames tell nothing."""

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from tests.tasks.probe.film import NM, Film, quick

from stempilot import STEM_DEFOCUS, Outcome, StartError, discover, run_episode
from stempilot.plugins.no_agent import NO_AGENT
from stempilot.testing import opened_env
from stempilot_tasks.probe.seeing import Measured

REGISTRY = discover()
PLACES: dict[str, tuple[Any, ...]] = {
    "stigmator": (),
    "stigmate-and-focus": ((120.0, 300.0), 60.0, -1),
    "stem-focus": ((15.0, 450.0), 2.0),
}
AGENTS = {
    "stigmator": "adaptive",
    "stigmate-and-focus": "adaptive",
    "stem-focus": "proportional",
}


def episodes(task: Any, film: Film, agent: str, count: int, **more: Any) -> list[Any]:
    made = REGISTRY.agent(agent, task, seed=0)
    with opened_env(task, film, seed=5, max_timesteps=60, **more) as env:
        return [run_episode(env, made.policy()) for _ in range(count)]


@pytest.mark.parametrize("name", PLACES)
def test_first_episodes_succeed_on_unknown_instruments(name: str) -> None:
    task = quick(name)
    found = episodes(task, Film(*PLACES[name], drawn=False), AGENTS[name], 60)
    tolerance_nm = task.config.tolerance_m / NM
    assert sum(one.success for one in found) >= 59
    assert np.mean([one.steps + 1 for one in found]) < 10
    assert all(one.errors["error_nm"] < 2 * tolerance_nm for one in found if one.success)


@pytest.mark.parametrize("name", PLACES)
def test_a_whole_loop_on_drawn_frames(name: str) -> None:
    task = REGISTRY.task(name)
    found = episodes(task, Film(*PLACES[name]), AGENTS[name], 1)
    assert found[0].success
    assert found[0].errors["error_nm"] < 10
    assert {"C1", "C1_size"} & set(found[0].products)


def test_adaptive_and_the_disks_agent_are_one_and_the_same() -> None:
    for name in ("bf-disk-centering", "stigmator", "stigmate-and-focus"):
        assert REGISTRY.agent("adaptive", REGISTRY.task(name), seed=0)


@pytest.mark.parametrize("name", PLACES)
def test_the_oracle_is_there_in_a_few_steps(name: str) -> None:
    task = quick(name)
    with opened_env(task, Film(*PLACES[name], drawn=False), seed=3, max_timesteps=40) as env:
        for _ in range(10):
            env.reset()
            agents = 0
            while not env.last.ended:
                env.step(task.oracle_action(env.last.state, env.last.truth))
                agents += 1
            assert env.last.outcome is Outcome.SUCCESS
            assert agents <= 6


@pytest.mark.parametrize("name", ["stigmator", "stigmate-and-focus"])
def test_without_a_film_there_is_no_start_and_the_reason_is_told(name: str) -> None:
    task = quick(name)
    film = Film(film=False, drawn=False)
    with opened_env(task, film) as env, pytest.raises(StartError, match="amorphous film"):
        env.reset()


@pytest.mark.parametrize("name", PLACES)
def test_a_column_that_shows_no_ronchigram_has_no_true_error(name: str) -> None:
    task = quick(name)
    with opened_env(task, Film(*PLACES[name], drawn=False), seed=1) as env:
        env.reset()
        assert task.true_error(env.last.state, {"position_px": (0.0, 0.0)}) == {}


def test_focus_without_a_film_fails_and_the_knob_is_home() -> None:
    task, film = quick("stem-focus"), Film(film=False, drawn=False)
    with opened_env(task, film, max_timesteps=60) as env:
        env.reset()
        assert env.last.outcome is Outcome.FAILURE
        assert "film" in task.explain(env.last.state)
        assert film.read(STEM_DEFOCUS) == pytest.approx((0.0,), abs=1e-12)


def test_a_frame_that_tells_nothing_is_taken_again_and_the_second_one_fails() -> None:
    task, film = quick("stigmator"), Film(drawn=False)
    with opened_env(task, film, seed=1) as env:
        env.reset()
        film.at = NM * np.array([200.0, 190.0, 0.0])
        frames = film.clock
        env.step(np.zeros(2, np.float32))
        assert film.clock - frames == pytest.approx(0.4)
        assert env.last.outcome is Outcome.FAILURE
        assert env.last.by == "task"


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("c1_nm", [70.0, 200.0, 440.0])
def test_the_side_is_found_by_one_move(side: int, c1_nm: float) -> None:
    task, film = quick("stem-focus"), Film((c1_nm, c1_nm), 0.0, side, drawn=False)
    with opened_env(task, film, seed=2) as env:
        env.reset()
        assert env.last.step == 1
        assert float(env.last.observation[0]) == pytest.approx(film.at[0] / 1e-7, abs=0.02)


def test_focus_is_not_claimed_before_both_sides_were_seen() -> None:
    task, film = quick("stem-focus"), Film((200.0, 200.0), 0.0, -1, drawn=False)
    seen = []
    with opened_env(task, film, seed=2, max_timesteps=60) as env:
        observation, _ = env.reset()
        while not env.last.ended:
            start = env.last.step
            observation, *_ = env.step(-observation / task.goal.full_action)
            seen.append(env.last.step - start)
        assert env.last.outcome is Outcome.SUCCESS
    assert max(seen) >= 5, "to both sides and back, in short moves"


@pytest.mark.parametrize("side", ["under", "over"])
def test_the_wanted_side_is_kept(side: str) -> None:
    sign = -1 if side == "under" else 1
    task = quick("stigmate-and-focus", side=side)
    film = Film((120.0, 300.0), 60.0, sign, drawn=False)
    found = episodes(task, film, "adaptive", 5)
    assert all(one.success for one in found)
    assert all(one.products["C1"].value / NM == pytest.approx(sign * 150, abs=6) for one in found)
    assert all(one.errors["error_nm"] < 10 for one in found)


@pytest.mark.parametrize(("side", "other"), [("under", "over"), ("over", "under")])
@pytest.mark.parametrize("c1_nm", [120.0, 160.0, 300.0])
def test_on_the_other_side_it_fails_and_the_knobs_are_home(
    side: str, other: str, c1_nm: float
) -> None:
    task = quick("stigmate-and-focus", side=side)
    film = Film((c1_nm, c1_nm), 3.0, 1 if side == "under" else -1, drawn=False)
    with opened_env(task, film, seed=3) as env:
        env.reset()
        assert env.last.outcome is Outcome.FAILURE
        assert f'set the task\'s side = "{other}"' in task.explain(env.last.state)
        assert film.read(STEM_DEFOCUS) == pytest.approx((0.0,), abs=1e-12)


def test_success_waits_for_the_side_and_is_believed_where_the_envelope_refuses() -> None:
    task, standing = quick("stigmate-and-focus"), {STEM_DEFOCUS: (1e-6,)}
    unsure = (0.4 * NM,) * 3
    there = Measured(
        lit=True, c1_m=150 * NM, a1_m=(0.0, 0.0), uncertainty_m=unsure, trust=30.0, knob_m=1e-6
    )
    state = task.initial(there)
    assert not task.is_start(state), "there is nothing to do"
    assert task.outcome(state) is Outcome.RUNNING
    (move,) = task.own_moves(state, standing)
    assert move.value == pytest.approx((1e-6 - 40 * NM,)), "away from focus"
    believed = task.refused(state)
    assert task.own_moves(believed, standing) is None
    assert task.outcome(believed) is Outcome.SUCCESS
    in_play = evolve(there, knob_m=1e-6 - 40 * NM)
    state = task.advance(state, None, in_play)
    assert task.own_moves(state, standing), "nothing answered: one more"
    assert task.own_moves(task.advance(state, None, in_play), standing) is None


@pytest.mark.parametrize("side", [-1, 1])
def test_a_reading_tells_values_with_their_sign(side: int) -> None:
    task, film = quick("read-aberrations"), Film((200.0, 200.0), 80.0, side, drawn=False)
    made = REGISTRY.agent(NO_AGENT, task, seed=0)
    with opened_env(task, film, seed=4) as env:
        found = run_episode(env, made.policy())
    assert found.success
    values = [found.products[key].value for key in ("C1", "A1x", "A1y")]
    assert np.sign(values[0]) == side
    assert all(found.products[key].unit == "m" for key in ("C1", "A1x", "A1y"))
    assert np.abs(values[0]) == pytest.approx(200e-9, abs=3e-9)


def test_a_reading_moves_nothing_where_the_side_is_given() -> None:
    task = quick("read-aberrations", side="over")
    assert not task.needs.knobs
    with opened_env(task, Film((200.0, 200.0), 80.0, 1, drawn=False), seed=4) as env:
        found = run_episode(env, REGISTRY.agent(NO_AGENT, task, seed=0).policy())
    assert found.success
    assert found.steps == 0
    assert found.products["C1"].value > 0


def test_a_reading_of_vacuum_fails_with_the_reason() -> None:
    task = quick("read-aberrations")
    with opened_env(task, Film(film=False, drawn=False), seed=4) as env:
        found = run_episode(env, REGISTRY.agent(NO_AGENT, task, seed=0).policy())
        assert not found.success
        assert "no rings" in task.explain(env.last.state)
