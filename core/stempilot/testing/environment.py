"""An environment for a task or an agent under test."""

import contextlib
from collections.abc import Iterator
from typing import Any

from stempilot.contract.backend import Backend
from stempilot.contract.task import Task
from stempilot.instrument.envelope import open_envelope
from stempilot.operation.session import open_session
from stempilot.operation.task_env import TaskEnv

_NAME = "under-test"


@contextlib.contextmanager
def opened_env(
    task: Task[Any, Any],
    backend: Backend,
    *,
    seed: int = 0,
    max_timesteps: int = 8,
    first_episode: int = 0,
    first_timestep: int = 0,
) -> Iterator[TaskEnv]:
    """Open a session within all that the backend allows and yield the task's environment.

    Args:
        task: the operation.
        backend: a backend that is not open yet. It is moved, and put back at the end.
        seed: seed of all episodes.
        max_timesteps: the framework's budget of timesteps for an episode.
        first_episode: number of the first episode, to continue.
        first_timestep: timesteps before, to continue.

    Raises:
        IncompatibleError: the backend does not offer what the task needs.
        BackendError: the instrument failed or is not ready.
    """
    envelope = open_envelope(_NAME, backend.offers())
    with open_session(backend, [task], name=_NAME, envelope=envelope) as session:
        yield session.env(
            task,
            seed=seed,
            max_timesteps=max_timesteps,
            first_episode=first_episode,
            first_timestep=first_timestep,
        )
