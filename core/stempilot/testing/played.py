"""Episodes of a task on a backend, played in the framework itself."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from attrs import field, frozen

from stempilot.contract.backend import Backend, Reseedable
from stempilot.contract.task import Reading, Scored, Task
from stempilot.contract.values import Snapshot, read_only
from stempilot.operation.task_env import TaskEnv
from stempilot.operation.timestep import Timestep
from stempilot.plugins.parts import DEFAULT_MAX_TIMESTEPS
from stempilot.testing.environment import opened_env
from stempilot.testing.fingerprint import fingerprint

_EPISODES = 3
_MAX_STEPS = 10


@frozen(kw_only=True, eq=False)
class Played:
    """One timestep.

    Attributes:
        state: the task's state after it.
        action: what was asked for.
        digest: differs when observation, reward, verdict or state differ.
        repeatable: the backend can be reseeded, so that the same seed must give the same again.
        true_error: as the task tells it from the truth; empty where it cannot.
    """

    state: Any
    action: Any
    digest: str
    repeatable: bool
    true_error: Mapping[str, float] = field(converter=read_only, factory=dict)


def play(task: Task[Any, Any], backend: Backend) -> list[Played]:
    """Return the timesteps of a few short episodes of random actions, always the same ones."""
    space = deepcopy(task.action_space)
    space.seed(0)
    # A reading ends by itself, and is looked at when it has.
    most = DEFAULT_MAX_TIMESTEPS if isinstance(task, Reading) else _MAX_STEPS
    with opened_env(task, backend, seed=3, max_timesteps=most) as env:
        return _episodes(env, space.sample, repeatable=isinstance(backend, Reseedable))


def play_oracle(task: Task[Any, Any], backend: Backend) -> list[Played]:
    """Return the timesteps of a few episodes of the best actions; none where they are unknown."""
    if not isinstance(task, Scored):
        return []
    with opened_env(task, backend, seed=3, max_timesteps=_MAX_STEPS) as env:
        env.reset()
        if env.last.truth is None:
            return []

        def best() -> Any:
            return task.oracle_action(env.last.state, env.last.truth or {})

        return _episodes(env, best, repeatable=isinstance(backend, Reseedable))


def _episodes(env: TaskEnv, choose: Callable[[], Any], *, repeatable: bool) -> list[Played]:
    found: list[Played] = []
    task = env.task

    class Watch:
        """Keeps what the environment tells of each timestep."""

        def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
            error: Mapping[str, float] = {}
            if isinstance(task, Scored) and step.truth is not None:
                error = task.true_error(step.state, step.truth)
            seen = (step.action, step.observation, step.reward, step.outcome, step.truncated)
            if step.step or isinstance(task, Reading):
                found.append(
                    Played(
                        state=step.state,
                        action=step.action,
                        digest=fingerprint(*seen, step.state),
                        repeatable=repeatable,
                        true_error=error,
                    )
                )

    env.recorder = Watch()
    for _ in range(_EPISODES):
        env.reset()
        while not env.last.ended:
            env.step(choose())
    return found
