"""The NumPy forward pass agrees with torch and is fast enough for any loop."""

import itertools
import timeit
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from stempilot_agents.learners.network_policy import ContinuousPolicy, GreedyPolicy, Network

ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}


def make(sizes: Any, activation: Any) -> Any:
    torch.manual_seed(1)
    layers = [torch.nn.Linear(*pair) for pair in itertools.pairwise(sizes)]
    arrays = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers]
    modules = [part for layer in layers for part in (layer, ACTIVATIONS[activation]())]
    return torch.nn.Sequential(*modules[:-1]), Network(arrays, activation)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(5, 3), (2, 16, 3), (4, 128, 128, 2)])
def test_agrees_with_torch(sizes: Any, activation: Any) -> None:
    module, network = make(sizes, activation)
    rng = np.random.default_rng(0)
    for _ in range(20):
        seen = rng.normal(0, 3, sizes[0])
        expected = module(torch.tensor(seen, dtype=torch.float32)).detach().numpy()
        np.testing.assert_allclose(network.forward(seen), expected, atol=1e-5)


def test_flattens_what_it_sees() -> None:
    _, network = make((6, 4), "relu")
    seen = np.arange(6, dtype=np.float64)
    np.testing.assert_array_equal(network.forward(seen.reshape(2, 3)), network.forward(seen))


def test_copies_its_weights_and_leaves_the_observation_alone() -> None:
    weight, bias = np.ones((1, 2), np.float32), np.zeros(1, np.float32)
    network = Network([(weight, bias)], "relu")
    weight[:] = 7
    seen = np.array([1, 2], np.float32)
    assert network.forward(seen) == [3]
    np.testing.assert_array_equal(seen, [1, 2])


def saturated(sign: Any, space: Any) -> Any:
    weight = np.zeros((2, 1), np.float32)
    return ContinuousPolicy(Network([(weight, np.full(2, sign * 50.0))], "relu"), space)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-0.3, 0.1), (0.7, 1.9), (-1e-3, 3e-3)])
def test_full_actions_stay_inside_the_action_space(bounds: Any, dtype: Any) -> None:
    space = Box(bounds[0], bounds[1], (2,), dtype=dtype)
    seen = np.zeros(1, np.float32)
    for sign, bound in ((1, space.high), (-1, space.low)):
        action = saturated(sign, space).act(seen)
        assert space.contains(action)
        assert action.dtype == dtype
        np.testing.assert_allclose(action, bound, rtol=1e-6)


def test_actions_have_the_shape_of_the_space() -> None:
    space = Box(-1, 1, (2, 2), np.float32)
    network = Network([(np.eye(4, dtype=np.float32), np.zeros(4, np.float32))], "relu")
    action = ContinuousPolicy(network, space).act(np.array([0.0, 1.0, -1.0, 0.5]))
    np.testing.assert_allclose(action, np.tanh(np.array([[0, 1], [-1, 0.5]])), atol=1e-6)


def test_greedy_policy_takes_the_largest_value() -> None:
    network = Network([(np.eye(3, dtype=np.float32), np.array([0, 0.5, 0]))], "relu")
    policy = GreedyPolicy(network)
    policy.reset("instrument")
    assert [policy.act(np.array(seen)) for seen in ([1, 0, 0], [0, 0, 0], [0, 0, 2])] == [0, 1, 2]


def test_acts_in_microseconds() -> None:
    _, network = make((5, 128, 128, 2), "tanh")
    policy = ContinuousPolicy(network, Box(-1, 1, (2,), np.float32))
    seen = np.ones(5, np.float32)
    # The target is 20 us; the margin is for machines that are slow or busy.
    assert min(timeit.repeat(lambda: policy.act(seen), number=100, repeat=30)) / 100 < 100e-6
