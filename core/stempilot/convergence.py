"""When a learner has converged: one definition, and the paper's own beside it.

``converged_at``: the deterministic policy is evaluated on a twin from fixed starts, every 10
timesteps below 500, every 100 from there, and at the end, over 100 episodes, stopping early at the
fifth failure. It is the first evaluation from which all later ones succeed in at least 96 %.

``reward_converged_at``: the first timestep from which the episode reward, exponentially weighted
over 25 episodes, stays above zero (Xu, Kumar and LeBeau 2022, figure 2).
"""

from collections.abc import Iterable, Sequence

from attrs import frozen

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


def smoothed(values: Iterable[float], window: int = PAPER_WINDOW) -> list[float]:
    """Return the exponentially weighted averages over ``window`` points."""
    share = 2.0 / (window + 1)
    total = weight = 0.0
    averages = []
    for value in values:
        total = (1 - share) * total + share * value
        weight = (1 - share) * weight + share
        averages.append(total / weight)
    return averages


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
