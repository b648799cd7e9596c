"""How the episodes of a maximiser raise their quantity."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from stempilot.report.evidence import Evidence
from stempilot.report.intervals import stretches
from stempilot.report.panels import count_of, grid_of, label_panels, parts, title_of, width_of
from stempilot.report.series import Series, Track
from stempilot.report.shown import label_of, name_of
from stempilot.report.style import (
    BLUE,
    INK,
    ORANGE,
    VERMILION,
    Picture,
    dress_panel,
    finish,
    new_figure,
)

_MOST_CURVES = 40


def rise_picture(evidence: Evidence) -> Picture | str:
    """Draw the quantity over the timesteps of each episode, per interval; or say why not."""
    series = evidence.series
    main = series.shown.main
    shown, count = parts(evidence)
    if main is None or not shown or not np.isfinite(series.value).any():
        return "Rise: no timestep was taken, or the task's summary does not give its quantity."
    rows, columns = grid_of(shown)
    figure = new_figure(0.8 + (3.2 if columns == 1 else 2.2) * rows, width_of(shown))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, interval in zip(grid.flat, shown, strict=False):
        _draw_curves(ax, series, list(stretches(series, interval)))
        dress_panel(ax, f"{title_of(evidence, interval)}\n{count_of(interval)}")
        ax.locator_params(axis="x", nbins=5, integer=True)
    label_panels(grid.flat, shown, x="step", y=label_of(main))
    handles = [
        Line2D([], [], color=BLUE, linewidth=1.5, label="successful"),
        Line2D([], [], color=VERMILION, linewidth=1.5, linestyle=":", label="not successful"),
        best_mark(),
    ]
    figure.legend(
        handles=handles, loc="outside upper center", ncols=3, fontsize=9, edgecolor="white"
    )
    caption = (
        f"Each curve is the {name_of(main)} over the steps of an episode, as far as they lie in "
        "the interval; higher is better."
        if count > 1
        else f"Each curve is the {name_of(main)} over the steps of an episode; higher is better."
    )
    if count > 1:
        caption += f" {len(shown)} of {count} intervals of timesteps are drawn."
    if any(sum(1 for _ in stretches(series, interval)) > _MOST_CURVES for interval in shown):
        caption += f" Of more than {_MOST_CURVES} curves, {_MOST_CURVES} are drawn."
    return finish("rise", f"{name_of(main).capitalize()} of each episode", caption, figure)


def _draw_curves(ax: Axes, series: Series, found: Sequence[tuple[Track, slice]]) -> None:
    picks = np.linspace(0, len(found) - 1, min(len(found), _MOST_CURVES)).round().astype(int)
    for episode, rows in (found[pick] for pick in picks):
        colour, line = (BLUE, "-") if episode.success else (VERMILION, ":")
        steps, values = series.k[rows], series.value[rows]
        ax.plot(steps, values, color=colour, linestyle=line, linewidth=1.1, alpha=0.6)
        mark_best(ax, series, episode, rows=rows, size=7)


def mark_best(ax: Axes, series: Series, episode: Track, *, rows: slice, size: float) -> None:
    """Mark where the quantity is highest in an episode, if that is one of the rows."""
    values = series.value[episode.rows]
    if not np.isfinite(values).any():
        return
    best = episode.first + int(np.nanargmax(values))
    if rows.start <= best < rows.stop:
        x, y = series.k[best], series.value[best]
        ax.plot(x, y, "*", color=ORANGE, ms=size, mec=INK, mew=0.5, zorder=3)


def best_mark() -> Line2D:
    """Return how a legend shows the best place."""
    return Line2D(
        [], [], color=ORANGE, marker="*", ms=10, mec=INK, mew=0.5, linestyle="", label="best place"
    )
