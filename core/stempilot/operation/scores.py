"""How episodes ended, and the figures of an evaluation."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from stempilot.contract.goals import Product, Quantity


@frozen(kw_only=True)
class Episode:
    """How one episode ended.

    Attributes:
        steps: timesteps taken.
        success: whether the task succeeded.
        reward: sum of the rewards.
        errors: true errors at the end by name; empty where there is no truth.
        measured: the task's quantities at the end, as far as it summarises them.
        products: what the episode hands on; empty unless it succeeded.
        reason: what the task says is wrong; empty where nothing is.
    """

    steps: int
    success: bool
    reward: float
    errors: Mapping[str, float] = field(factory=dict)
    measured: Mapping[str, float] = field(factory=dict)
    products: Mapping[str, Product] = field(factory=dict)
    reason: str = ""


def score(
    played: Sequence[Episode], best: Sequence[Episode], quantities: Sequence[Quantity]
) -> dict[str, Any]:
    """Return the figures of an evaluation, ``None`` where there is nothing to say.

    Steps and frames are over successful episodes; the first exposure counts as a frame. Paired
    figures (``oracle_steps_mean``, ``paired_steps_mean``, their ratio) are over the starts that
    policy and oracle both solve. Errors and quantities are those at the end of all episodes,
    failures included.
    """
    steps = [episode.steps for episode in played if episode.success]
    frames = [count + 1 for count in steps]
    figures = {
        "episodes": len(played),
        "success_rate": len(steps) / len(played) if played else None,
        "steps_mean": _mean(steps),
        "steps_std": float(np.std(steps)) if steps else None,
        "frames_mean": _mean(frames),
        "frames_median": float(np.median(frames)) if frames else None,
        "reward_mean": _mean([episode.reward for episode in played]),
    }
    figures |= {k: v for k, v in _of_task(played, quantities) if k not in figures}
    figures["oracle_success_rate"] = _mean([float(episode.success) for episode in best])
    figures |= _paired("", played, best)
    figures |= _paired("_from_second", played[1:], best[1:])
    return figures


def _of_task(
    played: Sequence[Episode], quantities: Sequence[Quantity]
) -> Iterator[tuple[str, float | None]]:
    """Yield the errors, and the quantities that have a better and a worse."""
    declared = [quantity.error for quantity in quantities if quantity.error]
    for name in dict.fromkeys([*declared, *(name for one in played for name in one.errors)]):
        yield f"{name}_rms", _rms([one.errors.get(name, math.nan) for one in played])
        reached = [one.errors.get(name, math.nan) for one in played if one.success]
        yield f"{name}_rms_success", _rms(reached)
    for quantity in quantities:
        ends = [one.measured.get(quantity.name, math.nan) for one in played]
        if not quantity.error and quantity.better != "neither":
            yield f"{quantity.name}_mean", _mean([end for end in ends if math.isfinite(end)])
        # A quantity that is itself the error is known from the truth alone.
        elif quantity.error not in {"", quantity.name}:
            yield f"measured_{quantity.error}_rms", _rms(ends)


def _paired(
    suffix: str, played: Sequence[Episode], best: Sequence[Episode]
) -> Iterator[tuple[str, Any]]:
    both = [
        (a.steps, b.steps) for a, b in zip(played, best, strict=False) if a.success and b.success
    ]
    mine, oracle = _mean([a for a, _ in both]), _mean([b for _, b in both])
    yield f"oracle_steps_mean{suffix}", oracle
    yield f"paired_steps_mean{suffix}", mine
    yield f"oracle_ratio{suffix}", mine / oracle if mine is not None and oracle else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _rms(values: Sequence[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return float(np.sqrt(np.mean(np.square(known)))) if known else None
