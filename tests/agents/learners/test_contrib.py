"""What is particular to the learners of sb3-contrib, and what happens without it."""

import sys
from typing import Any

import numpy as np
import pytest
import torch

from stempilot.errors import ConfigError, PluginError, RunDirError
from stempilot.plugins.options import build, plain
from stempilot.plugins.parts import part
from stempilot.plugins.registry import discover
from stempilot_agents.learners.crossq import CrossqConfig
from stempilot_agents.learners.tqc import TqcConfig

CONFIGS: dict[str, type[Any]] = {"tqc": TqcConfig, "crossq": CrossqConfig}
SEEN = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)


def go_on(_: Any) -> bool:
    return True


@pytest.mark.parametrize("kind", CONFIGS)
def test_without_the_package_it_is_offered_and_the_extra_is_named(
    kind: Any, new_learner: Any, monkeypatch: Any
) -> None:
    new_learner(kind)
    for name in (
        "sb3_contrib",
        "stempilot_agents.learners.contrib",
        f"stempilot_agents.learners.{kind}",
    ):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    assert kind in discover(only="").names("agent")
    chosen = part(discover(only=""), "agent", kind, {})
    assert type(chosen.config) is CONFIGS[kind]
    with pytest.raises(PluginError, match=r"pip install \"stempilot\[contrib\]\""):
        chosen.load(None)


@pytest.mark.parametrize("kind", CONFIGS)
def test_config_is_plain_json(kind: Any) -> None:
    config = build(CONFIGS[kind], {"preset": "library"}, section="agent")
    assert build(CONFIGS[kind], plain(config), section="agent") == config


def test_library_presets_are_what_the_library_does_when_left_alone() -> None:
    tqc = build(TqcConfig, {"preset": "library"}, section="agent")
    assert (tqc.learning_rate, tqc.gamma, tqc.tau, tqc.batch_size) == (3e-4, 0.99, 0.005, 256)
    assert (tqc.critics, tqc.quantiles, tqc.dropped_quantiles) == (2, 25, 2)
    crossq = build(CrossqConfig, {"preset": "library"}, section="agent")
    assert (crossq.learning_rate, crossq.gamma, crossq.batch_size) == (1e-3, 0.99, 256)
    assert (crossq.hidden_sizes, crossq.critic_hidden_sizes) == ((256, 256), (1024, 1024))
    assert (crossq.policy_delay, crossq.renorm_momentum) == (3, 0.01)
    assert tqc.policy_tau == crossq.policy_tau == 1


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("tqc", {"critics": 0}, "critics"),
        ("tqc", {"quantiles": 0, "dropped_quantiles": 0}, "quantiles"),
        ("tqc", {"quantiles": 5, "dropped_quantiles": 5}, "must leave some of quantiles = 5"),
        ("tqc", {"preset": "paper"}, "known: default, library"),
        ("crossq", {"batch_size": 1}, "batch_size"),
        ("crossq", {"policy_delay": 0}, "policy_delay"),
        ("crossq", {"critic_hidden_sizes": []}, "critic_hidden_sizes"),
        ("crossq", {"renorm_momentum": 0.0}, "renorm_momentum"),
        ("crossq", {"renorm_from": -1}, "renorm_from"),
        ("crossq", {"tau": 0.1}, "tau"),
    ],
)
def test_options_out_of_range_are_refused(kind: Any, options: Any, said: Any) -> None:
    with pytest.raises(ConfigError, match=said):
        build(CONFIGS[kind], options, section="agent")


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("tqc", "quantiles", 9),
        ("tqc", "critics", 3),
        ("crossq", "policy_delay", 2),
        ("crossq", "critic_hidden_sizes", [4]),
    ],
)
def test_options_of_their_own_that_do_not_fit_are_refused(
    kind: Any, option: Any, value: Any, new_learner: Any, tmp_path: Any
) -> None:
    new_learner(kind).save(tmp_path)
    with pytest.raises(RunDirError, match=f"config.{option} = "):
        new_learner(kind, **{option: value}).load(tmp_path)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_numpy_policy_does_what_the_renormalising_layers_do(
    new_learner: Any, activation: Any
) -> None:
    learner = new_learner("crossq", policy_tau=1.0, activation=activation)
    model = learner._model
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in model.actor.state_dict().items():
            if name.rpartition(".")[2] in {"ra_mean", "ra_var", "scale", "bias"}:
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    before = np.array([learner.policy().act(seen) for seen in SEEN])
    model.follow(1)
    after = np.array([learner.policy().act(seen) for seen in SEEN])
    expected, _ = model.predict(SEEN, deterministic=True)
    np.testing.assert_allclose(after, expected, atol=1e-5)
    assert np.abs(after - before).max() > 0.01


def test_running_means_and_variances_are_averaged_too(new_learner: Any) -> None:
    model = new_learner("crossq", policy_tau=0.25)._model
    name = "latent_pi.0.ra_var"
    before = model.averaged_actor.state_dict()[name].clone()
    model.actor.state_dict()[name].add_(1.0)
    model.follow(2)
    found = model.averaged_actor.state_dict()[name] - before
    np.testing.assert_allclose(found.numpy(), 1 - 0.75**2, rtol=1e-6)


@pytest.mark.parametrize("updates", [1, 2, 3, 4])
def test_crossq_goes_on_whether_or_not_its_policy_was_updated_before(
    updates: Any, new_learner: Any, point_env: Any, tmp_path: Any
) -> None:
    learner = new_learner("crossq")
    learner.learn(point_env(), steps=10 + updates, report=go_on)
    learner.save(tmp_path)
    loaded = new_learner("crossq", seed=8)
    loaded.load(tmp_path)
    assert any("actor_optimiser" in name for name in loaded.numbers) == (updates >= 3)
    for each in (learner, loaded):
        with each._random.installed():
            each._model.train(gradient_steps=3, batch_size=8)
    assert learner.numbers.keys() == loaded.numbers.keys()
    for name, array in learner.numbers.items():
        np.testing.assert_array_equal(array, loaded.numbers[name], err_msg=name)
