"""What ``sac-rapid`` makes of the task's symmetry, and what it says of it."""

import logging
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from gymnasium.spaces import Box, Discrete
from tests.agents.conftest import SMALL, PointEnv

from stempilot.contract.agent import Brief
from stempilot.contract.goals import Centre
from stempilot.contract.values import Transitions
from stempilot.errors import ConfigError, IncompatibleError
from stempilot.plugins.options import build
from stempilot_agents.sac_rapid.agent import RapidLearner, make_rapid
from stempilot_agents.sac_rapid.config import WITHOUT_SYMMETRY, RapidConfig, suited

GOAL = Centre(
    residual=(0, 1),
    unit="1",
    tolerance=0.1,
    edges=((-1.0, -1.0), (1.0, 1.0)),
)


class BentPoint(PointEnv):
    """Moves the farther the farther out it is."""

    def step(self, action: Any) -> Any:
        return super().step(np.asarray(action) * (0.4 + 0.6 * np.float32(np.hypot(*self.point))))


def relabel(batch: Transitions, rng: np.random.Generator) -> Transitions:
    """Move all that goes on by the same random way, which `PointEnv` would allow."""
    way = rng.uniform(-0.2, 0.2, batch.observations.shape).astype(np.float32)
    way[batch.terminated] = 0
    return evolve(
        batch,
        observations=batch.observations + way,
        next_observations=batch.next_observations + way,
    )


def make(*, given: Any = relabel, goal: Any = GOAL, seed: int = 1, **options: Any) -> RapidLearner:
    env = PointEnv()
    brief = Brief(
        observation_space=env.observation_space,
        action_space=env.action_space,
        goal=goal,
        seed=seed,
        relabel=given,
    )
    values = SMALL | {"gradient_steps": 1} | options
    return make_rapid(build(RapidConfig, values, section="agent"), brief)


def learnt(learner: RapidLearner, env: Any = None, steps: int = 30) -> Any:
    return learner.learn(PointEnv() if env is None else env, steps=steps, report=lambda _: True)


def flat(learner: RapidLearner) -> Any:
    return np.concatenate([array.ravel() for array in learner.numbers.values()])


def test_defaults_are_the_recipe() -> None:
    config = RapidConfig()
    assert (config.learning_starts, config.gradient_steps, config.batch_size) == (20, 40, 128)
    assert (config.gamma, config.tau, config.reward_scale) == (0.9, 0.005, 0.01)
    assert config.hidden_sizes == (128, 128)
    assert config.initial_entropy_coefficient == 0.02


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("prior_p", 0.0),
        ("prior_p", 1.0),
        ("relearn_entropy_coefficient", -0.1),
        ("preset", "paper"),
        ("tau", 0.0),
        ("learning_starts", -1),
        ("relearn_gradient_steps", -1),
        ("relabel", "yes"),
    ],
)
def test_options_out_of_range_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=option):
        build(RapidConfig, {option: value}, section="agent")


def test_relearning_makes_other_numbers_of_updates() -> None:
    learner = make(relearn_gradient_steps=3, relearn_learning_starts=0, learning_starts=0)
    learnt(learner, steps=10)
    before = learner._model.progress.updates
    learner.relearn()
    learnt(learner, steps=10)
    assert 8 <= before <= 10
    # None before the first timestep of the new response.
    assert 3 * 8 <= learner._model.progress.updates - before <= 3 * 10


def test_symmetry_is_learnt_from_unless_turned_off() -> None:
    learners = [make(**WITHOUT_SYMMETRY), make(relabel=False), make(given=None)]
    for learner in learners:
        learnt(learner)
    with_it, turned_off, without = map(flat, learners)
    assert not np.allclose(with_it, without)
    np.testing.assert_array_equal(turned_off, without)


def test_without_a_symmetry_what_is_left_at_its_default_suits_that() -> None:
    assert suited(RapidConfig(tau=0.1), symmetric=True) == RapidConfig(tau=0.1)
    wanted = RapidConfig(**{**WITHOUT_SYMMETRY, "tau": 0.1})
    assert suited(RapidConfig(tau=0.1), symmetric=False) == wanted
    turned_off = suited(RapidConfig(relabel=False, critics=3), symmetric=True)
    assert turned_off == RapidConfig(**{**WITHOUT_SYMMETRY, "relabel": False, "critics": 3})


def test_says_so_where_the_task_has_none(caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        learnt(make(relabel=False), steps=1)
        learnt(make(), steps=1)
        assert not caplog.records
        learnt(make(given=None), steps=1)
    (record,) = caplog.records
    assert record.name == "stempilot_agents.sac_rapid.agent"
    assert "declares no symmetry" in record.getMessage()


def test_says_when_the_prior_does_not_hold(caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        report = learnt(make(gradient_steps=0, learning_starts=500), BentPoint(limit=200), 300)
    assert report.numbers["prior_p"] == 0.001
    assert report.numbers["prior_holds"] == 0
    assert report.numbers["prior_share"] > 0.1
    (record,) = caplog.records
    assert "depend on where they begin (p = 0.001)" in record.getMessage()


def test_says_nothing_when_it_holds(caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        report = learnt(make(gradient_steps=0, learning_starts=500), PointEnv(limit=200), 300)
    assert report.numbers["prior_p"] >= 0.01
    assert report.numbers["prior_holds"] == 1
    assert not caplog.records


def test_how_sure_it_must_be_is_an_option() -> None:
    options = {"gradient_steps": 0, "learning_starts": 500}
    p = learnt(make(**options), PointEnv(limit=200), 200).numbers["prior_p"]
    for limit, holds in ((p * 0.9, 1), (min(0.999, p * 1.1), 0)):
        report = learnt(make(prior_p=limit, **options), PointEnv(limit=200), 200)
        assert report.numbers["prior_holds"] == holds


@pytest.mark.parametrize("without", [{"goal": None}, {"given": None}, {"relabel": False}])
def test_judges_no_prior_that_it_did_not_use(without: dict[str, Any]) -> None:
    report = learnt(make(gradient_steps=0, **without), PointEnv(limit=200), 200)
    assert not {name for name in report.numbers if name.startswith("prior")}


def test_relearning_raises_the_entropy_coefficient() -> None:
    learner = make(initial_entropy_coefficient=0.001, relearn_entropy_coefficient=0.05)
    learnt(learner)
    assert learner.relearn()[-1] == "Raised the entropy coefficient to 0.05."
    assert learner.numbers["log_entropy_coefficient"] == pytest.approx(np.log(0.05))
    lowered = make(initial_entropy_coefficient=0.3, relearn_entropy_coefficient=0.05)
    learnt(lowered)
    before = lowered.numbers["log_entropy_coefficient"]
    assert not any("entropy" in sentence for sentence in lowered.relearn())
    assert lowered.numbers["log_entropy_coefficient"] == before


def test_a_fixed_entropy_coefficient_stays(new_learner: Any) -> None:
    learner = make(entropy_coefficient=0.001)
    learnt(learner)
    assert not any("entropy" in sentence for sentence in learner.relearn())


def test_relearns_and_learns_again_in_the_same_process() -> None:
    learner = make()
    assert learnt(learner, steps=20).timesteps == 20
    for count in (1, 2):
        learner.relearn()
        assert learner._model.buffer.size() == 0
        before = flat(learner)
        assert learnt(learner, PointEnv(first_episode=9 * count), 15).timesteps == 20 + 15 * count
        assert learner._model.buffer.size() == 15
        assert not np.allclose(before, flat(learner))


def test_policy_takes_observations_as_they_are() -> None:
    """Its first layer has the magnitudes in it, so it divides nothing."""
    learner = make(policy_tau=1.0)
    learnt(learner)
    seen = np.float32([0.3, -0.8])
    expected, _ = learner._model.predict(seen, deterministic=True)
    np.testing.assert_allclose(learner.policy().act(seen), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("seen", "acts"),
    [(Discrete(3), Box(-1, 1, (2,))), (Box(-1, 1, (2,)), Discrete(3))],
)
def test_refuses_spaces_that_it_cannot_use(seen: Any, acts: Any) -> None:
    brief = Brief(observation_space=seen, action_space=acts, goal=None, seed=1)
    with pytest.raises(IncompatibleError, match="sac-rapid needs"):
        make_rapid(RapidConfig(), brief)
