"""Small multiples: which stretches of a run stand side by side, and how."""

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes

from stempilot.report.evidence import Evidence
from stempilot.report.intervals import Interval, chosen, intervals, whole, width_for
from stempilot.report.style import thousands

COLUMNS = 4


def parts(evidence: Evidence) -> tuple[tuple[Interval, ...], int]:
    """Return the stretches of a run to draw side by side, and how many there were."""
    if evidence.kind != "training":
        return (whole(evidence.series),), 1
    found = intervals(evidence.series, width_for(evidence.series))
    return chosen(found), len(found)


def title_of(evidence: Evidence, interval: Interval) -> str:
    """Return which timesteps an interval covers."""
    if evidence.kind != "training":
        return "all timesteps"
    return f"timesteps {thousands(interval.after + 1)}-{thousands(interval.until)}"


def grid_of(shown: Sequence[Interval]) -> tuple[int, int]:
    """Return (rows, columns) of the panels."""
    return math.ceil(len(shown) / COLUMNS), min(COLUMNS, len(shown))


def width_of(shown: Sequence[Interval]) -> float:
    """Return the width of a figure of that many panels in inches."""
    return {1: 6.0, 2: 6.5, 3: 8.0}.get(len(shown), 10.0)


def hide_rest(axes: Iterable[Axes], used: int) -> None:
    """Take away the axes that are left over in the last row."""
    for ax in list(axes)[used:]:
        ax.set_visible(False)
