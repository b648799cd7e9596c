"""Every installed task that acts in Gymnasium's registry: import this module to register them.

``gymnasium.make("stempilot.gym:stempilot/BFDiskCentering-v0")`` does both. Gymnasium itself loads
no entry points since its version 1.0.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import gymnasium

from stempilot.plugins.registry import Registry, discover

_SHORT = 2


def env_id(task: str) -> str:
    """Return the id of a task, for example ``stempilot/StemFocus-v0`` of ``stem-focus``.

    Words of up to two letters are abbreviations and stay in capitals.
    """
    words = [word.capitalize() if len(word) > _SHORT else word.upper() for word in task.split("-")]
    return f"stempilot/{''.join(words)}-v0"


def register(registry: Registry | None = None) -> None:
    """Register an id for each installed task; importing this module does it for those installed.

    A task that only measures is registered too, because only loading it tells, and refused when
    made.
    """
    for task in (registry or discover()).names("task"):
        if env_id(task) not in gymnasium.registry:
            gymnasium.register(
                id=env_id(task), entry_point="stempilot.gym:make_env", kwargs={"name": task}
            )


def make_env(
    *,
    name: str,
    on: str | None = None,
    task: Mapping[str, Any] | None = None,
    backend: Mapping[str, Any] | None = None,
    max_timesteps: int | None = None,
    seed: int = 0,
) -> gymnasium.Env[Any, Any]:
    """Return a task on a simulated backend, opened for itself; close it when done.

    Args:
        name: name of the task.
        on: name of the backend; the default one when ``None``.
        task: options of the task, for example ``{"preset": "paper"}``.
        backend: options of the backend.
        max_timesteps: budget of timesteps for an episode.
        seed: which instrument is drawn, and the episodes until ``reset(seed=...)`` says another.

    Raises:
        ConfigError: an option is unknown or out of range.
        IncompatibleError: the task only measures, or the backend does not offer what it needs.
        EnvelopeError: the backend is a real instrument, which needs a session and an envelope.
    """
    from stempilot.contract.backend import Opening
    from stempilot.operation.session import open_session
    from stempilot.plugins.no_agent import require_agent
    from stempilot.plugins.parts import DEFAULT_MAX_TIMESTEPS, part

    registry = discover()
    operation = part(registry, "task", name, task or {}).load()
    require_agent(operation, name, "gymnasium")
    made = part(registry, "backend", on or registry.default("backend"), backend or {})
    opening = Opening(purpose="train", seed=seed, instrument_seed=seed)
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(open_session(made.load(opening), [operation], name=made.name))
        env = session.env(
            operation, seed=seed, max_timesteps=max_timesteps or DEFAULT_MAX_TIMESTEPS
        )
        env.closing = stack.pop_all()
    return env


register()
