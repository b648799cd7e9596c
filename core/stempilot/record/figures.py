"""When a learner has converged: one definition, and the paper's own.

``converged_at``: the deterministic policy is evaluated on a twin from fixed starts, every 10
timesteps below 500, every 100 from there, and at the end, over 100 episodes, stopping early at the
fifth failure. It is the first evaluation from which all later ones succeed in at least 96 %.

``reward_converged_at``: the first timestep from which the episode reward, exponentially weighted
over 25 episodes, stays above zero (Xu, Kumar and LeBeau 2022, figure 2). A task that raises a
value converges by this measure.
"""

import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from stempilot.contract.values import Outcome
from stempilot.record.quantities import RAISE

EPISODES = 100
MAX_FAILURES = 4
"""Of 100 episodes: at least 96 % succeed."""

PAPER_WINDOW = 25


@frozen
class Evaluation:
    """One evaluation during training: whether at least 96 % of its episodes succeeded."""

    timestep: int
    episodes: int
    successes: int

    @property
    def passed(self) -> bool:
        """Whether at least 96 % succeeded."""
        return self.episodes - self.successes <= MAX_FAILURES

    @property
    def rank(self) -> tuple[float, int]:
        """What the best one has most of: success, then timesteps."""
        return self.successes / max(self.episodes, 1), self.timestep


def is_due(timestep: int) -> bool:
    """Return whether an evaluation falls on this timestep."""
    return timestep > 0 and timestep % (10 if timestep < 500 else 100) == 0  # noqa: PLR2004


def converged_at(evaluations: Sequence[Evaluation]) -> int | None:
    """Return the first evaluated timestep from which all evaluations passed, else ``None``."""
    found = None
    for evaluation in reversed(evaluations):
        if not evaluation.passed:
            break
        found = evaluation.timestep
    return found


LASTING = 5
"""So many evaluations in a row that passed are taken for convergence while training goes on."""


def has_converged(evaluations: Sequence[Evaluation]) -> bool:
    """Return whether the last `LASTING` evaluations passed."""
    last = evaluations[-LASTING:]
    return len(last) == LASTING and all(evaluation.passed for evaluation in last)


class Smoothed:
    """The exponentially weighted average of what it was given so far.

    Args:
        window: points that it is over.
    """

    def __init__(self, window: int = PAPER_WINDOW) -> None:
        self._share = 2.0 / (window + 1)
        self._total = self._weight = 0.0

    def __call__(self, value: float) -> float:
        """Take a value and return the average."""
        self._total = (1 - self._share) * self._total + self._share * value
        self._weight = (1 - self._share) * self._weight + self._share
        return self._total / self._weight


def smoothed(values: Iterable[float], window: int = PAPER_WINDOW) -> list[float]:
    """Return the exponentially weighted averages over ``window`` points."""
    return list(map(Smoothed(window), values))


def reward_converged_at(timesteps: Sequence[int], rewards: Sequence[float]) -> int | None:
    """Return the timestep from which the smoothed episode reward stays above 0, else ``None``.

    Args:
        timesteps: the timestep at which each episode ended.
        rewards: the reward of each episode.
    """
    found = None
    for timestep, average in reversed(list(zip(timesteps, smoothed(rewards), strict=True))):
        if average <= 0:
            break
        found = timestep
    return found


def convergence(
    goal: str | None,
    evaluations: Sequence[Evaluation],
    timesteps: Sequence[int],
    rewards: Sequence[float],
) -> dict[str, int | None]:
    """Return ``converged_at`` and ``reward_converged_at``; the task's goal decides by which.

    Args:
        goal: see `stempilot.record.quantities.goal_kind`.
        evaluations: those during training.
        timesteps: the timestep at which each episode ended.
        rewards: the reward of each episode.
    """
    by_reward = reward_converged_at(timesteps, rewards)
    by_success = by_reward if goal == RAISE else converged_at(evaluations)
    return {"converged_at": by_success, "reward_converged_at": by_reward}


def episode_columns(events: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return what became of the episodes of a run that have ended, as columns.

    Args:
        events: those of a run directory; see `stempilot.record.recorder.read_events`.

    Returns:
        ``t``, the timestep at the end, ``steps``, ``reward`` and ``success``.
    """
    found: dict[str, list[Any]] = {"t": [], "steps": [], "reward": [], "success": []}
    reward = 0.0
    for event in events:
        if event["k"] == 0 or event.get("budget_spent"):
            continue
        if event.get("by") == "return":
            # The episode had ended, and is judged at its best place.
            for column in found.values():
                del column[-1:]
        reward = event["reward"] + (reward if event["k"] > 1 else 0.0)
        if event["outcome"] != Outcome.RUNNING.value or event["truncated"]:
            row = (event["t"], event["k"], reward, event["outcome"] == Outcome.SUCCESS.value)
            for column, value in zip(found.values(), row, strict=True):
                column.append(value)
    return found


PAPER_PER_S = 5.5
"""Corrections per second of the published loop on the microscope."""


class Pace:
    """Takes the time from timestep to timestep within episodes.

    A cycle runs from one timestep's observation (or the reset's) to the next one's, whatever is
    done in between: deciding, moving, settling, exposing, measuring, learning. Ways to new starts,
    evaluations and saving between episodes are not part of it.

    Args:
        clock: seconds since any fixed moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._cycles_s = array("d")

    def tick(self, step: int) -> None:
        """Take the time at timestep ``step`` of an episode; 0 is the reset."""
        now = self._clock()
        if step > 0 and self._since is not None:
            self._cycles_s.append(now - self._since)
        self._since = now

    def skip(self) -> None:
        """Leave the present cycle out: something else is done in it."""
        self._since = None

    def figures(self) -> dict[str, Any]:
        """Return corrections per second, and median and 95th percentile of the cycle in seconds.

        ``None`` where there was no cycle.
        """
        total = sum(self._cycles_s)
        if total <= 0:
            return dict.fromkeys(("corrections_per_s", "cycle_s_median", "cycle_s_p95"))
        median, late = np.percentile(self._cycles_s, [50, 95])
        return {
            "corrections_per_s": len(self._cycles_s) / total,
            "cycle_s_median": float(median),
            "cycle_s_p95": float(late),
        }
