"""Many simulated instruments at once, over the most used vectorised environment there is.

Yardstick: Gymnasium's own vectorised CartPole (`vector_entry_point`), numpy alone like ours, the
same number of environments, random actions drawn beforehand, episodes that begin by themselves.
Ours is the published task on the published instrument; what the condition ``everything`` costs is
shown beside it, and `stigmator` on instruments with a film.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import gymnasium
import numpy as np

import stempilot
from stempilot.contract.backend import Opening
from stempilot.plugins.parts import part

COUNT = 4_096
STEPS = 200
ROUNDS = 15
_DRAWN = 16
"""How many steps' actions are drawn beforehand."""


def measure(rounds: int = ROUNDS, steps: int = STEPS, count: int = COUNT) -> dict[str, float]:
    """Return environment steps per second, medians over alternating rounds, and their ratio.

    ``share`` is the median of the ratios of each round: at least 0.3; of `stigmator` on films, at
    least 0.2.
    """
    contenders = {
        "CartPole": _stepper(
            gymnasium.make_vec("CartPole-v1", count, vectorization_mode="vector_entry_point")
        ),
        "paper": _stepper(vector("paper", count)),
        "everything": _stepper(vector("everything", count)),
        "film": _stepper(vector("film", count, "stigmator")),
    }
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run(20)
    for _ in range(rounds):
        for name, run in contenders.items():
            started = time.perf_counter()
            run(steps)
            seen[name].append(steps * count / (time.perf_counter() - started))
    ratios = np.divide(seen["paper"], seen["CartPole"])
    films = np.divide(seen["film"], seen["CartPole"])
    return {
        **{f"{name} [steps/s]": median(values) for name, values in seen.items()},
        "share": median(ratios.tolist()),
        "share of films": median(films.tolist()),
    }


def vector(
    preset: str, count: int, task_name: str = "bf-disk-centering"
) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    """Return a task on ``count`` instruments of a preset of the simulator."""
    registry = stempilot.discover()
    options = {"preset": "paper"} if task_name == "bf-disk-centering" else {}
    task_part = part(registry, "task", task_name, options)
    backend_part = part(registry, "backend", "simulator", {"preset": preset, "redraw": "episode"})
    task = task_part.load()
    backend = backend_part.load(Opening(purpose="train"))
    with stempilot.open_session(backend, [task], name="simulator") as session:
        made: gymnasium.vector.VectorEnv[Any, Any, Any] = session.env(task, seed=0).vector(count, 0)
    return made


def _stepper(env: gymnasium.vector.VectorEnv[Any, Any, Any]) -> Callable[[int], None]:
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(_DRAWN)]

    def run(steps: int) -> None:
        for step in range(steps):
            env.step(actions[step % _DRAWN])

    return run
