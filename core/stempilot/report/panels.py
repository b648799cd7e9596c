"""Small multiples: which stretches of a run stand side by side, and how."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stempilot.report.evidence import Evidence
from stempilot.report.intervals import Interval, chosen, intervals, whole, width_for
from stempilot.report.style import (
    BLUE,
    INK,
    VERMILION,
    WIDTH_IN,
    dress_panel,
    new_figure,
    thousands,
)

COLUMNS = 4
_BETTER_BY_THREE = (5, 6)
T = TypeVar("T")


def parts(evidence: Evidence) -> tuple[tuple[Interval, ...], str]:
    """Return the stretches of a run to draw side by side, and how many of all those are."""
    if evidence.kind != "training":
        return (whole(evidence.series),), ""
    found = intervals(evidence.series, width_for(evidence.series))
    shown = chosen(found)
    many = len(found) > 1
    return shown, f", in {len(shown)} of {len(found)} intervals of timesteps" if many else ""


def draw_panels(
    evidence: Evidence,
    shown: Sequence[Interval],
    draw: Callable[[Axes, Interval], object],
    *,
    heights: tuple[float, float],
    labels: tuple[str, str],
    count: bool = True,
    fixed_aspect: bool = False,
) -> Figure:
    """Return a figure with a panel for each interval.

    Args:
        evidence: what the run left behind.
        shown: the intervals.
        draw: draws one.
        heights: of all that is not panels, and of a row of panels. Inches.
        labels: of the axes, x and y.
        count: whether titles count the successes.
        fixed_aspect: see `new_figure`.
    """
    columns = 3 if len(shown) in _BETTER_BY_THREE else min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    width = {1: 6.0, 2: 6.5, 3: 8.0}.get(columns, WIDTH_IN)
    figure = new_figure(heights[0] + heights[1] * rows, width, fixed_aspect=fixed_aspect)
    axes = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for ax, interval in zip(axes, shown, strict=False):
        draw(ax, interval)
        dress_panel(ax, _title(evidence, interval) + (f"\n{_count(interval)}" if count else ""))
    for ax in axes[len(shown) :]:
        ax.set_visible(False)
    for ax in axes[max(0, len(shown) - columns) : len(shown)]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(labels[0], fontsize=10, color=INK, parse_math=False)
    for ax in axes[: len(shown) : columns]:
        ax.set_ylabel(labels[1], fontsize=10, color=INK, parse_math=False)
    return figure


def _title(evidence: Evidence, interval: Interval) -> str:
    if evidence.kind != "training":
        return "all timesteps"
    return f"timesteps {thousands(interval.after + 1)}-{thousands(interval.until)}"


def _count(interval: Interval) -> str:
    if not interval.episodes:
        return "no episode ended"
    return f"{interval.successes} of {len(interval.episodes)} successful"


def explain(figure: Figure, *handles: Line2D) -> None:
    """Add a legend above the panels: successful, not successful, and more."""
    ends = [
        Line2D([], [], color=BLUE, linewidth=1.5, label="successful"),
        Line2D([], [], color=VERMILION, linewidth=1.5, linestyle=":", label="not successful"),
    ]
    figure.legend(
        handles=[*ends, *handles],
        loc="outside upper center",
        ncols=4,
        fontsize=9,
        edgecolor="white",
    )


def thinned(found: Sequence[T], most: int) -> list[T]:
    """Return at most so many, evenly picked."""
    picks = np.linspace(0, len(found) - 1, min(len(found), most)).round().astype(int)
    return [found[pick] for pick in picks]
