"""Judges published findings: an effect with its 95 % interval, and a verdict."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy import stats

from stempilot.plugins.suggest import nearest
from stempilot.study.cells import DONE
from stempilot.study.file import Finding
from stempilot.study.folder import Row, flat

FEWEST = 5
"""With fewer cells on a side an interval says little, and the verdict is undecided."""

_CONVERGED = "_at"
"""How figures end that say after how many timesteps something was reached, or ``None``."""

_LARGEST = 1e50
Interval = tuple[float, float]
_Tabled = tuple[Row, Mapping[str, Any]]
"""A cell with its row of the table."""
Verdict = Literal["reproduced", "not reproduced", "undecided"]


@frozen(kw_only=True)
class Judged:
    """A finding with what was found.

    Attributes:
        says: the finding.
        effect: the mean, or the difference of means; ``None`` without cells.
        interval: its 95 % interval; ``None`` where there is no telling.
        cells: how many cells counted, on each side.
        not_converged: how many of them count as all their timesteps.
        not_done: how many cells failed, ran out of time or were not run, and do not count.
        verdict: reproduced, not reproduced or undecided.
        remark: what a person should know of it.
    """

    says: str
    effect: float | None
    interval: Interval | None
    cells: tuple[int, ...]
    not_converged: int = 0
    not_done: int = 0
    verdict: Verdict
    remark: str = ""

    @property
    def text(self) -> str:
        """Effect, interval and verdict in a line."""
        counted = " and ".join(map(str, self.cells)) + " cells"
        counted += f", {self.not_converged} not converged" if self.not_converged else ""
        counted += f"; {self.not_done} not done" if self.not_done else ""
        counted += f"; {self.remark}" if self.remark else ""
        effect = "" if self.effect is None else f": {self.effect:.4g}"
        interval = "" if self.interval is None else " [{:.4g}, {:.4g}]".format(*self.interval)
        return f"{self.verdict}{effect}{interval} ({counted})"


@frozen
class _Side:
    """The values of one side, and how many of them are all the timesteps of their cell."""

    values: list[float]
    not_converged: int


def judge(finding: Finding, rows: Iterable[Row]) -> Judged:
    """Judge a finding by the cells that are done; those with one key count once on a side."""
    tabled = [(row, flat(row)) for row in rows]
    wanted = [finding.cells] if finding.against is None else [finding.cells, finding.against]
    chosen = [_chosen(tabled, each) for each in wanted]
    done = [(row, columns) for row, columns in tabled if row.result.status == DONE]
    sides = [_side(finding, each) for each in chosen]
    values = [side.values for side in sides]
    counted = tuple(map(len, values))
    effect, interval = None, None
    verdict: Verdict = "undecided"
    if min(counted) > 0:
        effect, interval = effect_of(values, shares=finding.within is not None)
    if interval is not None and min(counted) >= FEWEST:
        verdict = _verdict(finding, *_known(interval, sides))
    return Judged(
        says=finding.says,
        effect=effect,
        interval=interval,
        cells=counted,
        not_converged=sum(side.not_converged for side in sides),
        not_done=sum(row.result.status != DONE for side in chosen for row, _ in side),
        verdict=verdict,
        remark=_remark(finding, [columns for _, columns in done]),
    )


def _chosen(tabled: Iterable[_Tabled], wanted: Mapping[str, Any]) -> list[_Tabled]:
    """Return the rows that have these swept values, one of each key."""
    found = {
        row.listed.key: (row, columns)
        for row, columns in tabled
        if all(columns.get(name) == value for name, value in wanted.items())
    }
    return list(found.values())


def _side(finding: Finding, chosen: Iterable[_Tabled]) -> _Side:
    found: list[float] = []
    not_converged = 0
    for row, columns in chosen:
        if row.result.status != DONE or finding.of not in columns:
            continue
        value, steps = number(columns[finding.of]), _steps(row, finding.of)
        if finding.within is not None:
            # A shorter training does not tell what would have been by then.
            if not finding.of.endswith(_CONVERGED) or steps >= finding.within:
                found.append(float(value is not None and value <= finding.within))
        elif value is not None:
            found.append(value)
        elif finding.of.endswith(_CONVERGED):
            found.append(float(steps))
            not_converged += 1
    return _Side(found, not_converged)


def number(value: Any) -> float | None:
    """Return a figure as a number; ``None`` for any other, which a stranger's study may have."""
    # Squares of larger ones are no numbers any more.
    return float(value) if isinstance(value, int | float) and abs(value) < _LARGEST else None


def _steps(row: Row, figure: str) -> int:
    """Return the timesteps of the stage that a figure is of."""
    relearn = row.listed.cell.relearn if figure.startswith("relearn.") else None
    return row.listed.cell.steps if relearn is None else relearn.steps


def _remark(finding: Finding, done: Sequence[Mapping[str, Any]]) -> str:
    names = {name for columns in done for name in columns}
    if not done or finding.of in names:
        return ""
    return f"no finished cell has {finding.of}. {nearest(finding.of, names)}".rstrip()


def effect_of(
    sides: Sequence[Sequence[float]], *, shares: bool = False
) -> tuple[float, Interval | None]:
    """Return a mean or a difference of two, with the 95 % interval.

    Args:
        sides: the values of one side, or of two.
        shares: whether they are 0 and 1: then the interval is Wilson's, and Newcombe's for a
            difference. Otherwise it is Student's, and Welch's for a difference: ``None`` with a
            single value on a side.
    """
    means = [float(np.mean(values)) for values in sides]
    effect = means[0] - (means[1] if len(sides) > 1 else 0.0)
    if not shares:
        half = _half_width([np.asarray(values, float) for values in sides])
        return effect, None if half is None else (effect - half, effect + half)
    ends = [wilson(sum(values), len(values)) for values in sides]
    if len(sides) == 1:
        return effect, ends[0]
    (low, high), (other_low, other_high) = ends
    return effect, (
        effect - math.hypot(means[0] - low, other_high - means[1]),
        effect + math.hypot(high - means[0], means[1] - other_low),
    )


def _half_width(sides: Sequence[npt.NDArray[np.float64]]) -> float | None:
    """Return Student's or Welch's half width; the degrees of freedom are Satterthwaite's."""
    if min(map(len, sides)) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    squared = [values.var(ddof=1) / len(values) for values in sides]
    if not sum(squared):
        return 0.0
    weights = [each**2 / (len(values) - 1) for each, values in zip(squared, sides, strict=True)]
    return float(stats.t.ppf(0.975, sum(squared) ** 2 / sum(weights)) * math.sqrt(sum(squared)))


def wilson(successes: float, count: int) -> Interval:
    """Return Wilson's 95 % interval of a share."""
    found = stats.binomtest(round(successes), count).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _known(interval: Interval, sides: Sequence[_Side]) -> Interval:
    """Return what an interval says where some have not converged.

    These count as the timesteps that there were, and may take any number more. So the first side
    leaves no upper end, and one that is subtracted no lower one.
    """
    low, high = interval
    if sides[0].not_converged:
        high = math.inf
    if len(sides) > 1 and sides[1].not_converged:
        low = -math.inf
    return low, high


def _verdict(finding: Finding, low: float, high: float) -> Verdict:
    sign, bound = (1.0, finding.above) if finding.above is not None else (-1.0, finding.below)
    worst, best = sorted((sign * low, sign * high))
    if worst > sign * (bound or 0.0):
        return "reproduced"
    return "not reproduced" if best <= sign * (bound or 0.0) else "undecided"
