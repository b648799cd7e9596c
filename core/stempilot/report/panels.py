"""Small multiples: which stretches of a run stand side by side, and how."""

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes

from stempilot.report.evidence import Evidence
from stempilot.report.intervals import Interval, chosen, intervals, whole, width_for
from stempilot.report.style import INK, WIDTH_IN, thousands

COLUMNS = 4
_BETTER_BY_THREE = (5, 6)


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
    columns = 3 if len(shown) in _BETTER_BY_THREE else min(COLUMNS, len(shown))
    return math.ceil(len(shown) / columns), columns


def width_of(shown: Sequence[Interval]) -> float:
    """Return the width of a figure of that many panels in inches."""
    return {1: 6.0, 2: 6.5, 3: 8.0}.get(grid_of(shown)[1], WIDTH_IN)


def count_of(interval: Interval) -> str:
    """Return how many of the episodes that ended in an interval succeeded."""
    if not interval.episodes:
        return "no episode ended"
    return f"{interval.successes} of {len(interval.episodes)} successful"


def label_panels(axes: Iterable[Axes], shown: Sequence[Interval], *, x: str, y: str) -> None:
    """Label the left and lowest panels, and take away what is left over in the last row."""
    everything, columns = list(axes), grid_of(shown)[1]
    for ax in everything[len(shown) :]:
        ax.set_visible(False)
    for ax in everything[max(0, len(shown) - columns) : len(shown)]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(x, fontsize=10, color=INK, parse_math=False)
    for ax in everything[: len(shown) : columns]:
        ax.set_ylabel(y, fontsize=10, color=INK, parse_math=False)
