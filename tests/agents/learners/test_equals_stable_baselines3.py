"""The learners learn exactly what Stable-Baselines3 alone would, number for number."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from sb3_contrib import TQC, CrossQ
from stable_baselines3 import DQN, SAC

from stempilot_agents.learners.model_arrays import module_arrays

STEPS = 40
SHARED: dict[str, Any] = {
    "learning_rate": 0.003,
    "gamma": 0.8,
    "tau": 0.1,
    "batch_size": 8,
    "learning_starts": 10,
    "gradient_steps": 2,
}


class WithoutInfo(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Stable-Baselines3's own vector copies the info, which the test environment forbids."""

    def step(self, action: Any) -> Any:
        return *super().step(action)[:4], {}


def plain_sac(env: Any) -> Any:
    layers: dict[str, Any] = {"net_arch": [8, 8], "activation_fn": torch.nn.Tanh}
    # The fused Adam is the same formula in another order of rounding.
    layers["optimizer_kwargs"] = {"fused": True}
    return SAC("MlpPolicy", env, policy_kwargs=layers, ent_coef="auto_0.5", **SHARED)


def plain_tqc(env: Any) -> Any:
    layers: dict[str, Any] = {"net_arch": [8, 8], "activation_fn": torch.nn.Tanh}
    layers |= {"optimizer_kwargs": {"fused": True}, "n_critics": 3, "n_quantiles": 5}
    drop: dict[str, Any] = {"top_quantiles_to_drop_per_net": 1}
    return TQC("MlpPolicy", env, policy_kwargs=layers, ent_coef="auto_0.5", **drop, **SHARED)


def plain_crossq(env: Any) -> Any:
    layers: dict[str, Any] = {"net_arch": {"pi": [8, 8], "qf": [16, 8]}}
    # The betas are the library's default.
    layers |= {"optimizer_kwargs": {"fused": True, "betas": (0.5, 0.999)}}
    layers |= {"activation_fn": torch.nn.Tanh, "renorm_warmup_steps": 20}
    shared = {name: value for name, value in SHARED.items() if name != "tau"}
    return CrossQ("MlpPolicy", env, policy_kwargs=layers, ent_coef="auto_0.5", **shared)


def plain_dqn(env: Any) -> Any:
    layers: dict[str, Any] = {"net_arch": [8, 8], "activation_fn": torch.nn.Tanh}
    model = DQN("MlpPolicy", env, policy_kwargs=layers, train_freq=1, **SHARED)
    model.exploration_schedule = lambda _: 0.3
    model.target_update_interval = 3
    return model


@pytest.mark.parametrize(
    ("kind", "make", "options"),
    [
        ("sac", plain_sac, {"initial_entropy_coefficient": 0.5}),
        (
            "tqc",
            plain_tqc,
            {
                "initial_entropy_coefficient": 0.5,
                "critics": 3,
                "quantiles": 5,
                "dropped_quantiles": 1,
            },
        ),
        (
            "crossq",
            plain_crossq,
            {
                "initial_entropy_coefficient": 0.5,
                "critic_hidden_sizes": [16, 8],
                "renorm_from": 20,
            },
        ),
        (
            "dqn",
            plain_dqn,
            {
                "exploration_initial": 0.3,
                "exploration_final": 0.3,
                "target_update_interval": 3,
            },
        ),
    ],
)
def test_equals_plain_learning(
    kind: Any, make: Any, options: Any, new_learner: Any, point_env: Any
) -> None:
    shared = {name: value for name, value in SHARED.items() if (kind, name) != ("crossq", "tau")}
    options = options | shared | {"activation": "tanh", "reward_scale": 1.0}
    ours, twin = new_learner(kind, **options), new_learner(kind, **options)
    env, plain_env = (point_env(discrete=kind == "dqn") for _ in range(2))
    plain = make(WithoutInfo(plain_env))
    plain.policy.load_state_dict(ours._model.policy.state_dict(), strict=kind == "dqn")
    plain.action_space = twin._model.action_space

    ours.learn(env, steps=STEPS, report=lambda _: True)
    with twin._random.installed():
        plain.learn(STEPS)

    np.testing.assert_array_equal(np.array(env.actions), np.array(plain_env.actions))
    expected, found = module_arrays(plain.policy), module_arrays(ours._model.policy)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert plain._n_updates == ours._model.progress.updates == 2 * (STEPS - 10)
    assert len(env.ends) >= 3
