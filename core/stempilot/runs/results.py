"""What train, relearn, run and an evaluation return to a script."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from attrs import field, fields, frozen


@frozen(kw_only=True)
class Result:
    """What all results have.

    Attributes:
        seed: seed of the run.
        run_dir: where it was recorded.
        budget_spent: the sentence that the run budget ended it; ``None`` where it did not.
        figures: everything that the command prints, by name.
    """

    seed: int
    run_dir: Path = field(converter=Path)
    budget_spent: str | None
    figures: Mapping[str, Any] = field(repr=False)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return what `stempilot.execute` returns, with types."""
        names = [each.name for each in fields(cls) if each.name != "figures"]
        return cls(**{name: content[name] for name in names}, figures=dict(content))

    def to_json(self) -> dict[str, Any]:
        """Return what the command prints with ``--json``, but for the report that it writes."""
        return dict(self.figures)


@frozen(kw_only=True)
class TrainResult(Result):
    """How a training or relearning went.

    Attributes:
        timesteps: timesteps learnt in all.
        episodes: how many ended.
        converged_at: timesteps at convergence; ``None`` before, or without evaluations.
        reward_converged_at: the same by the paper's own measure.
        best_at: timesteps of the agent that did best in an evaluation; ``None`` without any.
        interrupted: whether a clean stop was asked for.
        wall_s: how long it took.
    """

    timesteps: int
    episodes: int
    converged_at: int | None
    reward_converged_at: int | None
    best_at: int | None
    interrupted: bool
    wall_s: float


@frozen(kw_only=True)
class RunResult(Result):
    """How a single run ended.

    Attributes:
        success: whether the task succeeded; the knobs are back at the start where it did not.
        outcome: how it ended, in a word or two.
        reason: what is wrong, also with a success; empty where nothing is.
    """

    success: bool
    outcome: str
    reason: str


@frozen(kw_only=True)
class EvaluationResult(Result):
    """The figures of an evaluation; further ones are in `figures`.

    Attributes:
        episodes: how many were played to their end.
        success_rate: of these; ``None`` where there was none.
        steps_mean: timesteps of the successful ones.
        frames_mean: frames of the successful ones.
        reward_mean: reward of all.
        interrupted: whether a clean stop was asked for.
    """

    episodes: int
    success_rate: float | None
    steps_mean: float | None
    frames_mean: float | None
    reward_mean: float | None
    interrupted: bool
