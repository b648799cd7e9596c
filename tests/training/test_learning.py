"""Training from nothing: it improves, repeats with its seed, and what it hands out acts alike."""

from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from tests.agents.centring_plant import brief, goal
from training.actor import Actor
from training.imitation import Imitation
from training.learning import Lessons, train
from training.practice import Practice, Seen, steps_to_go
from training.regret import Improvement

from stempilot_agents.learners.saving import write_arrays
from stempilot_agents.universal.agent import UniversalConfig, make_universal
from stempilot_agents.universal.memory import Field, complexes
from stempilot_agents.universal.network import SHAPES, UniversalNetwork

EDGE, TOLERANCE = 499.6 / 520, 12.235 / 520
FULL = goal().full_action
SHAKE = 0.007
SMALL = Improvement(iterations=4, warm_up=2, horizon=8, parts=4)


def lessons(rounds: int = 8, iterations: int = 4, **others: Any) -> Lessons:
    improvement = evolve(SMALL, iterations=iterations, **others)
    return Lessons(imitation=Imitation(rounds=rounds), improvement=improvement)


class Plants:
    """Instruments whose response is a rotation and a scale, mirrored or not; some shake."""

    def __init__(self, count: int, seed: int, shake: float = 0.0) -> None:
        self._shake = shake
        self.field = Field.of(goal(), count)
        self._rng = np.random.default_rng(seed)
        self._position = np.zeros(count, complex)
        self._m1, self._m2 = np.zeros(count, complex), np.zeros(count, complex)
        self._ended = np.ones(count, np.bool_)

    def _begin(self, rows: Any) -> None:
        count = int(rows.sum())
        x, y = self._rng.uniform(-0.9, 0.9, (2, count))
        self._position[rows] = x + 1j * y
        gain = FULL * 4.0 ** self._rng.uniform(-1, 1, count)
        response = gain * np.exp(2j * np.pi * self._rng.random(count))
        mirrored = self._rng.random(count) < 0.5
        self._m1[rows] = np.where(mirrored, 0, response)
        self._m2[rows] = np.where(mirrored, response, 0)

    def reset(self) -> Seen:
        self._ended[:] = True
        return self.step(np.zeros((len(self._ended), 2), np.float32))

    def step(self, taken: Any) -> Seen:
        begun = self._ended.copy()
        action = taken[:, 0].astype(float) + 1j * taken[:, 1]
        assert np.abs(taken).max(initial=0) <= 1
        self._position += np.where(begun, 0, self._m1 * action + self._m2 * action.conj())
        if begun.any():
            self._begin(begun)
        p = self._position + self._shake * complexes(self._rng.standard_normal((len(taken), 2)))
        success = ~begun & (np.abs(p) <= TOLERANCE)
        failure = ~begun & (np.maximum(np.abs(p.real), np.abs(p.imag)) > EDGE)
        self._ended = success | failure
        residual = np.stack([p.real, p.imag], 1)
        return Seen(residual=residual, begun=begun, success=success, failure=failure)

    def needed(self) -> Any:
        wanted = -self._position
        power = np.abs(self._m1) ** 2 - np.abs(self._m2) ** 2
        needed = (self._m1.conj() * wanted - self._m2 * wanted.conj()) / power
        return needed.astype(np.complex64)

    def told(self) -> Any:
        return np.log(np.abs(self._m1) + np.abs(self._m2))[:, None].astype(np.float32)


def success_of(arrays: Any, steps: int = 100) -> tuple[float, float]:
    """Return the share of episodes that end well, and the mean regret of a step."""
    practice, network = Practice(Plants(64, 99, SHAKE)), UniversalNetwork(arrays)
    won, ended, regret = 0, 0, []
    for _ in range(steps):
        judged = practice.step(network.forward(practice.told), 50.0)
        won, ended = won + judged.success.sum(), ended + judged.ended.sum()
        regret.append(judged.regret[judged.live].mean())
    return won / max(ended, 1), float(np.mean(regret))


@pytest.fixture(scope="module")
def trained() -> Any:
    return train(Practice(Plants(128, 5, SHAKE)), lessons(), 3, lambda text: None)


def test_short_training_learns_to_centre(trained: Any) -> None:
    torch.manual_seed(3)
    _, untrained = success_of(Actor().arrays())
    success, regret = success_of(trained)
    assert success > 0.95
    assert regret < 0.8 * untrained


def test_training_repeats_with_its_seed(trained: Any) -> None:
    again = train(Practice(Plants(128, 5, SHAKE)), lessons(), 3, lambda text: None)
    assert again.keys() == trained.keys()
    for name, array in trained.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)


def test_another_seed_gives_another_network(trained: Any) -> None:
    short = lessons(rounds=2, iterations=0)
    one, other = (train(Practice(Plants(16, 5)), short, seed, lambda text: None) for seed in (1, 2))
    assert not np.array_equal(one["one.weight"], other["one.weight"])


def test_policy_stays_near_the_one_that_acted() -> None:
    def learnt(**others: Any) -> Any:
        short = lessons(rounds=2, **others)
        return train(Practice(Plants(32, 5, SHAKE)), short, 3, lambda text: None)["one.weight"]

    def changed(one: Any, other: Any) -> float:
        return float(np.abs(one - other).max())

    imitates, once = learnt(iterations=0), learnt(farthest=0.0)
    assert changed(learnt(farthest=-1.0), imitates) == 0
    # One update of each iteration is always near enough; here there are two of four.
    assert 0 < changed(once, imitates) < changed(learnt(farthest=np.inf), imitates)


@pytest.mark.slow
def test_ppo_lowers_the_regret_of_what_imitates(trained: Any) -> None:
    imitates = train(Practice(Plants(128, 5, SHAKE)), lessons(iterations=0), 3, lambda text: None)
    longer = train(Practice(Plants(128, 5, SHAKE)), lessons(iterations=40), 3, lambda text: None)
    assert success_of(longer)[1] < success_of(imitates)[1]


def test_what_is_handed_out_is_what_was_trained(trained: Any) -> None:
    assert {name: array.shape for name, array in trained.items()} == dict(SHAPES)
    torch.manual_seed(0)
    actor = Actor()
    with torch.no_grad():
        for each in actor.parameters():
            each.add_(0.1 * torch.randn_like(each))
    told = Practice(Plants(256, seed=1)).told
    found = UniversalNetwork(actor.arrays()).forward(told)
    np.testing.assert_allclose(found, actor.answers(told), rtol=1e-4, atol=1e-5)


def test_policy_acts_as_it_did_in_training(trained: Any, tmp_path: Any) -> None:
    write_arrays(tmp_path / "trained.safetensors", trained)
    config = UniversalConfig(weights=str(tmp_path / "trained.safetensors"))
    policies = [make_universal(config, brief()).policy() for _ in range(8)]
    practice, network = Practice(Plants(8, seed=7)), UniversalNetwork(trained)
    for policy in policies:
        policy.reset("one")
    for _ in range(12):
        seen = practice.memory.before * practice.memory.field.unit
        over = practice.over.copy()
        practice.step(network.forward(practice.told), 0.0)
        for row in np.flatnonzero(~over):
            action = policies[row].act(np.array([seen[row].real, seen[row].imag], np.float32))
            assert complexes(action) == pytest.approx(practice.memory.last[row], abs=0.01)
        for row in np.flatnonzero(over):
            policies[row].reset("next")


def test_what_is_right_brings_the_feature_to_the_goal() -> None:
    practice = Practice(Plants(64, seed=2))
    won = lost = 0
    for _ in range(60):
        judged = practice.step(practice.best(), 50.0)
        won, lost = won + judged.success.sum(), lost + (judged.ended & ~judged.success).sum()
    assert lost == 0
    assert won > 64


def test_regret_counts_steps_beyond_the_best() -> None:
    practice = Practice(Plants(64, seed=2))
    for _ in range(3):
        practice.step(practice.best(), 50.0)
    # The first move of an episode is a probe: nobody could know better.
    far = (practice.left > 3) & (practice.memory.count > 0)
    before = practice.left
    judged = practice.step(practice.best(), 50.0)
    kept = judged.live & far & ~judged.ended
    expected = 1 + practice.left - before
    np.testing.assert_allclose(judged.regret[kept], expected[kept], rtol=1e-4, atol=1e-4)
    assert np.abs(judged.regret[kept]).max() < 0.2
    idle = Practice(Plants(64, seed=2))
    for _ in range(3):
        idle.step(idle.best(), 50.0)
    judged = idle.step(np.zeros((64, 2), np.float32), 50.0)
    np.testing.assert_allclose(judged.regret[kept], 1.0, atol=1e-4)


def test_steps_to_go() -> None:
    needed = np.array([5 + 2j, -1j, 0.1 + 0j], np.complex64)
    residual = np.array([0.5, 0.1, 0.02], np.complex64)
    found = steps_to_go(needed, residual, np.full(3, 0.02, np.float32))
    np.testing.assert_allclose(found, [5 * (0.5 - 0.014) / 0.5 + 0.5, 0.86 + 0.5, 1.0], rtol=1e-5)
