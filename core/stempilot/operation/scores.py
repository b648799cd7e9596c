"""How episodes ended, and the figures of an evaluation."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from stempilot.contract.goals import Product


@frozen(kw_only=True)
class Episode:
    """How one episode ended.

    Attributes:
        steps: timesteps taken.
        success: whether the task succeeded.
        reward: sum of the rewards.
        error_px: true distance from the goal at the end; NaN where there is no truth.
        error_mrad: the same as an angle; NaN where it is not calibrated.
        measured_error_px: measured distance from the goal at the end; NaN where the task does not
            summarise one.
        products: what the task hands on.
    """

    steps: int
    success: bool
    reward: float
    error_px: float = math.nan
    error_mrad: float = math.nan
    measured_error_px: float = math.nan
    products: Mapping[str, Product] = field(factory=dict)


def score(played: Sequence[Episode], best: Sequence[Episode]) -> dict[str, Any]:
    """Return the figures of an evaluation, ``None`` where there is nothing to say.

    Steps and frames are over successful episodes; the first exposure counts as a frame. Paired
    figures (``oracle_steps_mean``, ``paired_steps_mean``, their ratio) are over the starts that
    policy and oracle both solve. Errors are over all episodes, failures included.
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
        "error_px_rms": _rms([episode.error_px for episode in played]),
        "error_mrad_rms": _rms([episode.error_mrad for episode in played]),
        "measured_error_px_rms": _rms([episode.measured_error_px for episode in played]),
        "oracle_success_rate": _mean([float(episode.success) for episode in best]),
    }
    figures |= _paired("", played, best)
    figures |= _paired("_from_second", played[1:], best[1:])
    return figures


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
    known = [value for value in values if not math.isnan(value)]
    return float(np.sqrt(np.mean(np.square(known)))) if known else None
