"""Learning under observation: what a learner does with its environment, in which order."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy.typing as npt
from attrs import Factory, define, field

from stempilot.contract.agent import Learner, LearnReport
from stempilot.operation.task_env import TaskEnv

OnReport = Callable[[int], bool]
"""Called with the number of reports so far; returns whether to go on."""


def go_on(count: int) -> bool:
    """Answer every report by going on."""
    del count
    return True


@define(kw_only=True)
class Lesson:
    """What a learner did.

    Attributes:
        events: ``reset``, ``step`` and ``report`` in the order in which they happened.
        seeds: what resets were given as their seed.
        numbers: what was reported.
        result: what `Learner.learn` returned.
    """

    events: list[str] = Factory(list)
    seeds: list[int | None] = Factory(list)
    numbers: list[Mapping[str, float]] = Factory(list)
    result: LearnReport | None = field(default=None)

    @property
    def steps(self) -> int:
        """How many timesteps were taken."""
        return self.events.count("step")


class _Watched(gymnasium.Wrapper[npt.NDArray[Any], Any, npt.NDArray[Any], Any]):
    def __init__(self, env: TaskEnv, lesson: Lesson) -> None:
        super().__init__(env)
        self._lesson = lesson

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        self._lesson.events.append("reset")
        self._lesson.seeds.append(seed)
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        self._lesson.events.append("step")
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward), terminated, truncated, info


def watched_lesson(
    learner: Learner, env: TaskEnv, steps: int, on_report: OnReport = go_on
) -> Lesson:
    """Let a learner learn and return what it did.

    Args:
        learner: who learns.
        env: where.
        steps: how many timesteps it is asked to take.
        on_report: what to do at each report.
    """
    lesson = Lesson()

    def report(numbers: Mapping[str, float], /) -> bool:
        lesson.events.append("report")
        lesson.numbers.append(dict(numbers))
        return on_report(len(lesson.numbers))

    lesson.result = learner.learn(_Watched(env, lesson), steps=steps, report=report)
    return lesson
