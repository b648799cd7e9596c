"""Critics as one stack, and observations of order 1."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from stempilot_agents.sac_rapid.networks import Critics, RapidPolicy, Scaled, magnitudes

PAPER = Box(
    np.array([0, -131, -135, 0, 0], dtype=np.float32),
    np.array([100, 124, 120, 1, 1], dtype=np.float32),
)


def test_magnitudes_are_the_farther_bounds() -> None:
    np.testing.assert_array_equal(magnitudes(PAPER), np.float32([100, 131, 135, 1, 1]))


def test_magnitudes_of_what_has_no_bound_are_one() -> None:
    space = Box(np.float32([-np.inf, 0, -2]), np.float32([3, np.inf, 2]))
    np.testing.assert_array_equal(magnitudes(space), np.float32([1, 1, 2]))


def test_observations_come_out_of_order_one_and_zero_stays_zero() -> None:
    scaled = Scaled(PAPER)
    seen = torch.tensor([[100.0, -131.0, 67.5, 0.0, 1.0], [100.0, 0.0, 0.0, 1.0, 1.0]])
    expected = torch.tensor([[1.0, -1.0, 0.5, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0, 1.0]])
    torch.testing.assert_close(scaled(seen), expected)
    assert not scaled.state_dict(), "it follows from the space and is not saved"


def plain_copy(critic: Critics, which: int) -> torch.nn.Sequential:
    """Return one of the critics as ordinary layers."""
    layers: list[torch.nn.Module] = []
    for weight, bias in zip(critic.layers[::2], critic.layers[1::2], strict=True):
        layer = torch.nn.Linear(*weight.shape[1:])
        layer.weight.data = weight[which].T.clone()
        layer.bias.data = bias[which, 0].clone()
        norm = torch.nn.LayerNorm(layer.out_features, elementwise_affine=False)
        layers += [layer, *([norm] if critic.normalised else []), torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[: -2 if critic.normalised else -1])


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("hidden", [(8,), (8, 4, 6)])
def test_each_critic_is_an_ordinary_network(hidden: tuple[int, ...], *, normalised: bool) -> None:
    torch.manual_seed(1)
    critic = Critics(5, hidden, torch.nn.Tanh, count=3, normalised=normalised)
    features, actions = torch.randn(7, 3), torch.randn(7, 2)
    found = critic(features, actions)
    assert found.shape == (3, 7)
    for which in range(3):
        plain = plain_copy(critic, which)(torch.cat([features, actions], dim=1))
        torch.testing.assert_close(found[which], plain[:, 0])
    assert not torch.allclose(found[0], found[1])


def test_gradients_reach_the_actions_alone_when_asked() -> None:
    critic = Critics(5, (8, 8), torch.nn.ReLU, count=2, normalised=True)
    features, actions = torch.randn(7, 3), torch.randn(7, 2, requires_grad=True)
    critic(features, actions, learning=False).sum().backward()
    assert actions.grad is not None
    assert actions.grad.abs().sum() > 0
    assert all(layer.grad is None for layer in critic.layers)
    critic(features, actions).sum().backward()
    assert all(layer.grad is not None for layer in critic.layers)


def test_policy_has_our_critics_and_equal_targets() -> None:
    made: Any = RapidPolicy(
        PAPER,
        Box(-1, 1, (2,), np.float32),
        lambda _: 1e-3,
        net_arch=[8, 8],
        n_critics=3,
        normalised=True,
        features_extractor_class=Scaled,
    )
    assert isinstance(made.critic, Critics)
    assert isinstance(made.critic_target, Critics)
    assert made.critic.count == made.critic_target.count == 3
    assert made.critic.normalised
    for one, other in zip(made.critic.layers, made.critic_target.layers, strict=True):
        torch.testing.assert_close(one, other)
