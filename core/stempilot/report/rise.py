"""How the episodes of a maximiser raise their quantity."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from stempilot.report.evidence import Evidence
from stempilot.report.intervals import Interval, stretches
from stempilot.report.panels import draw_panels, explain, parts, thinned
from stempilot.report.series import Series, Track
from stempilot.report.style import (
    BLUE,
    INK,
    ORANGE,
    VERMILION,
    Picture,
    finish,
)

_MOST_CURVES = 40
_FAILED = {"color": VERMILION, "linestyle": ":"}


def rise_picture(evidence: Evidence) -> Picture | str:
    """Draw the quantity over the timesteps of each episode, per interval; or say why not."""
    series = evidence.series
    main = series.shown.main
    shown, among = parts(evidence)
    if main is None or not shown or not np.isfinite(series.value).any():
        return "Rise: no timestep was taken, or the task's summary does not give its quantity."

    def draw(ax: Axes, interval: Interval) -> None:
        for episode, rows in thinned(list(stretches(series, interval)), _MOST_CURVES):
            style: dict[str, Any] = {"color": BLUE} if episode.success else _FAILED
            ax.plot(series.k[rows], series.value[rows], linewidth=1.1, alpha=0.6, **style)
            mark_best(ax, series, episode, rows=rows, size=7)
        ax.locator_params(axis="x", nbins=5, integer=True)

    heights = (0.8, 3.2 if len(shown) == 1 else 2.2)
    figure = draw_panels(evidence, shown, draw, heights=heights, labels=("step", main.label))
    star = Line2D([], [], color=ORANGE, marker="*", ms=10, mec=INK, mew=0.5, linestyle="")
    star.set_label("best place")
    explain(figure, star)
    caption = (
        f"Each curve is the {main.symbol} over the steps of an episode{among}; higher is better. "
        f"At most {_MOST_CURVES} curves are drawn in a panel."
    )
    return finish("rise", f"{main.symbol.capitalize()} of each episode", caption, figure)


def mark_best(ax: Axes, series: Series, episode: Track, *, rows: slice, size: float) -> None:
    """Mark where the quantity is highest in an episode, if that is one of the rows."""
    values = series.value[episode.rows]
    if not np.isfinite(values).any():
        return
    best = episode.first + int(np.nanargmax(values))
    if rows.start <= best < rows.stop:
        x, y = series.k[best], series.value[best]
        ax.plot(x, y, "*", color=ORANGE, ms=size, mec=INK, mew=0.5, zorder=3)
