"""The environment in Gymnasium's registry: import this module, and Gymnasium knows it by name.

``gymnasium.make("stempilot.gym:stempilot/BFDiskCentering-v0")`` does both. Gymnasium itself loads
no entry points since its version 1.0.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import gymnasium

ENV_ID = "stempilot/BFDiskCentering-v0"


def register() -> None:
    """Register the environment, once; importing this module does it."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(id=ENV_ID, entry_point="stempilot.gym:make_env")


def make_env(
    *,
    task: Mapping[str, Any] | None = None,
    backend: Mapping[str, Any] | None = None,
    max_timesteps: int | None = None,
    seed: int = 0,
) -> gymnasium.Env[Any, Any]:
    """Return the default task on the default backend, opened for itself; close it when done.

    Args:
        task: options of the task, for example ``{"preset": "paper"}``.
        backend: options of the backend.
        max_timesteps: budget of timesteps for an episode.
        seed: which instrument is drawn, and the episodes until ``reset(seed=...)`` says another.

    Raises:
        ConfigError: an option is unknown or out of range.
    """
    from stempilot.contract.backend import Opening
    from stempilot.operation.session import open_session
    from stempilot.plugins.parts import DEFAULT_MAX_STEPS, part
    from stempilot.plugins.registry import discover

    registry = discover()
    task_part = part(registry, "task", registry.default("task"), task or {})
    backend_part = part(registry, "backend", registry.default("backend"), backend or {})
    opening = Opening(purpose="train", seed=seed, instrument_seed=seed)
    operation = task_part.load()
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(
            open_session(backend_part.load(opening), [operation], name=backend_part.name)
        )
        env = session.env(operation, seed=seed, max_timesteps=max_timesteps or DEFAULT_MAX_STEPS)
        env.closing = stack.pop_all()
    return env


register()
