"""What one update costs: ``sac-rapid``'s, relabelling included, over Stable-Baselines3's SAC.

Equal sizes: the paper's observation of five numbers, two hidden layers of 128, batches of 128, on
one thread. ``update share`` is to be at most 0.7.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

import stempilot
from benchmarks.pixel_free import PixelFree
from stempilot.contract.agent import Brief
from stempilot.plugins.parts import part

BATCH = 128
AT_ONCE = 40
"""Updates of one timestep."""
UPDATES = 400
ROUNDS = 5


def ours() -> OffPolicyAlgorithm:
    """Return what ``sac-rapid`` learns with."""
    registry = stempilot.discover()
    task = part(registry, "task", "bf-disk-centering", {"preset": "paper"})
    agent = part(registry, "agent", "sac-rapid", {"hidden_sizes": [128, 128]})
    brief = Brief.of(task.load(), seed=0)
    model: OffPolicyAlgorithm = agent.load(brief)._model
    return model


def theirs() -> OffPolicyAlgorithm:
    """Return Stable-Baselines3's own, as it comes."""
    policy = {"net_arch": [128, 128], "activation_fn": torch.nn.ReLU}
    model = SAC("MlpPolicy", PixelFree(), policy_kwargs=policy, batch_size=BATCH, device="cpu")
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def lived(model: OffPolicyAlgorithm, steps: int = 500) -> OffPolicyAlgorithm:
    """Return the model with so many random timesteps in its replay buffer."""
    env = PixelFree()
    seen, _ = env.reset(seed=0)
    env.action_space.seed(0)
    buffer = model.replay_buffer
    assert buffer is not None
    for _ in range(steps):
        action = env.action_space.sample()
        after, reward, terminated, _, _ = env.step(action)
        scaled = np.array(0.01 * reward, dtype=np.float32)
        buffer.add(seen, after, action, scaled, np.array(terminated), [{}])
        seen = env.reset()[0] if terminated else after
    return model


def update_s(model: OffPolicyAlgorithm, updates: int) -> float:
    """Return seconds per update, made as many at once as in a timestep."""
    started = time.perf_counter()
    for _ in range(updates // AT_ONCE):
        model.train(gradient_steps=AT_ONCE, batch_size=BATCH)
    return (time.perf_counter() - started) / updates


def measure(rounds: int = ROUNDS, updates: int = UPDATES) -> dict[str, Any]:
    """Return medians over alternating rounds, in seconds per update, and their ratio."""
    torch.set_num_threads(1)
    makers: dict[str, Callable[[], OffPolicyAlgorithm]] = {
        "rapid_update_s": ours,
        "sb3_update_s": theirs,
    }
    models = {name: lived(make()) for name, make in makers.items()}
    seen: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        for name, model in models.items():
            taken = update_s(model, updates)
            if number:
                seen[name].append(taken)
    figures = {name: median(values) for name, values in seen.items()}
    return {**figures, "update_share": figures["rapid_update_s"] / figures["sb3_update_s"]}
