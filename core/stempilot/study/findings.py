"""Judges published findings: an effect with its 95 % interval, and a verdict."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from attrs import frozen

from stempilot.study.cells import DONE
from stempilot.study.file import Finding
from stempilot.study.folder import Row, flat

FEWEST = 5
"""With fewer cells on a side an interval says little, and the verdict is undecided."""

_RESAMPLES, _Z = 4_000, 1.959964
Verdict = Literal["reproduced", "not reproduced", "undecided"]


@frozen(kw_only=True)
class Judged:
    """A finding with what was found.

    Attributes:
        says: the finding.
        effect: the mean, or the difference of means; ``None`` without cells.
        interval: its 95 % interval.
        cells: how many cells counted, on each side.
        verdict: reproduced, not reproduced or undecided.
    """

    says: str
    effect: float | None
    interval: tuple[float, float] | None
    cells: tuple[int, ...]
    verdict: Verdict

    @property
    def text(self) -> str:
        """Effect, interval and verdict in a line."""
        counted = " and ".join(map(str, self.cells))
        if self.effect is None or self.interval is None:
            return f"undecided ({counted} cells)"
        low, high = self.interval
        return f"{self.verdict}: {self.effect:.4g} [{low:.4g}, {high:.4g}] ({counted} cells)"


def judge(finding: Finding, rows: Iterable[Row]) -> Judged:
    """Judge a finding by the cells that are done."""
    done = [row for row in rows if row.result.status == DONE]
    sides = [finding.cells] if finding.against is None else [finding.cells, finding.against]
    values = [_values(finding, done, wanted) for wanted in sides]
    counted = tuple(map(len, values))
    effect, interval = None, None
    verdict: Verdict = "undecided"
    if min(counted) > 0:
        effect, interval = effect_of(values, shares=finding.within is not None)
    if interval is not None and min(counted) >= FEWEST:
        verdict = _verdict(finding, *interval)
    return Judged(
        says=finding.says, effect=effect, interval=interval, cells=counted, verdict=verdict
    )


def _values(finding: Finding, rows: Iterable[Row], wanted: Mapping[str, Any]) -> list[float]:
    found: list[float] = []
    for row in rows:
        columns = flat(row)
        if any(columns.get(name) != value for name, value in wanted.items()):
            continue
        value: Any = columns.get(finding.of)
        missing = not isinstance(value, int | float)
        if finding.within is not None:
            found.append(float(not missing and value <= finding.within))
        elif not missing:
            found.append(float(value))
        elif finding.of.endswith("_at"):
            # It had not converged by then.
            relearn = row.listed.cell.relearn if finding.of.startswith("relearn.") else None
            found.append(float(row.listed.cell.steps if relearn is None else relearn.steps))
    return found


def effect_of(
    sides: Sequence[Sequence[float]], *, shares: bool = False
) -> tuple[float, tuple[float, float]]:
    """Return a mean or a difference of two, with the 95 % interval.

    Args:
        sides: the values of one side, or of two.
        shares: whether they are 0 and 1: then the interval is Wilson's, and Newcombe's for a
            difference. Otherwise it is bootstrapped.
    """
    means = [float(np.mean(values)) for values in sides]
    effect = means[0] - (means[1] if len(sides) > 1 else 0.0)
    if shares:
        ends = [wilson(sum(values), len(values)) for values in sides]
        if len(sides) == 1:
            return effect, ends[0]
        (low, high), (other_low, other_high) = ends
        return effect, (
            effect - math.hypot(means[0] - low, other_high - means[1]),
            effect + math.hypot(high - means[0], means[1] - other_low),
        )
    rng = np.random.default_rng(0)
    drawn = [rng.choice(values, (_RESAMPLES, len(values))).mean(axis=1) for values in sides]
    effects = drawn[0] - (drawn[1] if len(sides) > 1 else 0.0)
    low, high = np.percentile(effects, [2.5, 97.5])
    return effect, (float(low), float(high))


def wilson(successes: float, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    share, z2 = successes / count, _Z**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _verdict(finding: Finding, low: float, high: float) -> Verdict:
    sign, bound = (1.0, finding.above) if finding.above is not None else (-1.0, finding.below)
    worst, best = sorted((sign * low, sign * high))
    if worst > sign * (bound or 0.0):
        return "reproduced"
    return "not reproduced" if best <= sign * (bound or 0.0) else "undecided"
