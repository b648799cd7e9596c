"""The update of ``sac-rapid``: its losses, its batches and what it makes of a symmetry."""

from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution

from stempilot.contract.values import Transitions
from stempilot_agents.sac_rapid.update import Batch, sampled


@pytest.fixture(params=[2, 5])
def learner(request: Any, new_learner: Any, point_env: Any) -> Any:
    """A learner that met 40 timesteps and updated on some."""
    made = new_learner("sac-rapid", tau=0.3, critics=request.param)
    made.learn(point_env(), steps=40, report=lambda _: True)
    return made


def drawn(model: Any, count: int = 16) -> Batch:
    (batch,) = model._batches(1, count)
    return batch


def drawn_pair(values: torch.Tensor) -> torch.Tensor:
    """Return the smaller values of two critics: of both, or of two out of five."""
    one, other = [0, 1] if len(values) == 2 else torch.randperm(5)[:2].tolist()
    return torch.minimum(values[one], values[other])


def test_drawn_actions_have_the_density_that_they_say(learner: Any) -> None:
    actor = learner._model.actor
    features = torch.randn(200, 2)
    torch.manual_seed(3)
    actions, log_density = sampled(actor, features)
    torch.manual_seed(3)
    latent = actor.latent_pi(features)
    theirs = SquashedDiagGaussianDistribution(2)
    params = (actor.mu(latent), actor.log_std(latent))
    expected, their_density = theirs.log_prob_from_params(*params)
    torch.testing.assert_close(actions, expected)
    # Theirs adds a millionth against the logarithm of nothing.
    torch.testing.assert_close(log_density, their_density, atol=2e-3, rtol=1e-3)


def test_density_is_finite_where_actions_are_full() -> None:
    class Certain(torch.nn.Module):
        def latent_pi(self, features: torch.Tensor) -> torch.Tensor:
            return features

        def mu(self, features: torch.Tensor) -> torch.Tensor:
            return 60 * features

        def log_std(self, features: torch.Tensor) -> torch.Tensor:
            return -30 + 0 * features

    certain: Any = Certain()
    actions, log_density = sampled(certain, torch.tensor([[1.0, -1.0]]))
    assert actions.abs().min() == 1
    assert torch.isfinite(log_density).all()


def test_one_step_of_all_three_losses(learner: Any) -> None:
    """Against the same losses written down the long way, with three optimisers."""
    model = learner._model
    batch = drawn(model)
    state = torch.get_rng_state()
    actions, log_density = sampled(model.actor, batch.before)
    coefficient = model.log_ent_coef.exp().item()
    with torch.no_grad():
        following, density = sampled(model.actor, batch.after)
        worth = drawn_pair(model.critic_target(batch.after, following))
        target = batch.rewards + model.gamma * batch.going_on * (worth - coefficient * density)
    judged = model.critic(batch.before, batch.actions)
    critic_loss = sum(0.5 * ((one - target) ** 2).mean() for one in judged)
    worth = drawn_pair(model.critic(batch.before, actions))
    actor_loss = (coefficient * log_density - worth).mean()
    surplus = (log_density + model.target_entropy).mean().item()
    wanted = [
        *torch.autograd.grad(actor_loss, list(model.actor.parameters())),
        *torch.autograd.grad(critic_loss, list(model.critic.parameters())),
        torch.tensor([-surplus]),
    ]
    torch.set_rng_state(state)
    told = model._update(batch)
    found = [parameter.grad for parameter in model.optimiser.param_groups[0]["params"]]
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    assert told["critic_loss"].item() == pytest.approx(critic_loss.item(), rel=1e-5)
    assert told["actor_loss"].item() == pytest.approx(actor_loss.item(), rel=1e-5)
    assert told["ent_coef"].item() == pytest.approx(coefficient)


def test_targets_follow_the_critics(learner: Any) -> None:
    model = learner._model
    before = [layer.clone() for layer in model.critic_target.layers]
    model._update(drawn(model))
    for old, critic, target in zip(
        before, model.critic.layers, model.critic_target.layers, strict=True
    ):
        torch.testing.assert_close(target, 0.7 * old + 0.3 * critic)


def test_batches_are_what_was_met(learner: Any) -> None:
    model, buffer = learner._model, learner._model.buffer
    batch = drawn(model, 500)
    met = {
        tuple(np.float32(row).tolist()): index
        for index, row in enumerate(buffer.observations[:40, 0] / np.float32(2))
    }
    rows = np.array([met[tuple(row)] for row in batch.before.tolist()])
    assert len(set(rows)) == 40
    np.testing.assert_allclose(batch.actions, buffer.actions[rows, 0], atol=1e-6)
    np.testing.assert_allclose(batch.rewards, buffer.rewards[rows, 0], atol=1e-7)
    np.testing.assert_allclose(batch.after, buffer.next_observations[rows, 0] / 2, atol=1e-6)
    # A truncated episode would have gone on.
    ended = buffer.dones[rows, 0] * (1 - buffer.timeouts[rows, 0])
    np.testing.assert_array_equal(batch.going_on, 1 - ended)
    assert 0 < ended.sum() < len(ended)
    assert buffer.timeouts[:40].sum() > 0


def test_the_symmetry_gets_what_was_met_and_its_answer_is_learnt_from(learner: Any) -> None:
    model = learner._model
    given: list[Transitions] = []

    def relabel(batch: Transitions, rng: np.random.Generator) -> Transitions:
        given.append(batch)
        assert rng is model.action_space.np_random
        return evolve(
            batch,
            observations=np.full_like(batch.observations, 1.0),
            rewards=np.full_like(batch.rewards, 50.0),
            terminated=np.ones_like(batch.terminated),
        )

    model.relabel = relabel
    batch = drawn(model, 64)
    assert len(given[0]) == 64
    limit = np.abs(model.buffer.rewards[:40]).max() / 0.01
    assert np.abs(given[0].rewards).max() == pytest.approx(limit)
    assert model.action_space.contains(given[0].actions[0])
    assert (batch.before == 0.5).all()
    torch.testing.assert_close(batch.rewards, torch.full((64,), 0.5))
    assert (batch.going_on == 0).all()


def test_a_fixed_entropy_coefficient_is_not_learnt(new_learner: Any, point_env: Any) -> None:
    made = new_learner("sac-rapid", entropy_coefficient=0.125)
    numbers: list[Any] = []
    made.learn(point_env(), steps=14, report=lambda told: numbers.append(dict(told)) or True)
    assert {each["ent_coef"] for each in numbers[11:]} == {0.125}
