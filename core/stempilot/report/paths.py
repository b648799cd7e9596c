"""Which ways the episodes took: the beam over the camera, or two other quantities."""

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from stempilot.report.evidence import Evidence
from stempilot.report.intervals import Interval, stretches
from stempilot.report.panels import draw_panels, explain, parts, thinned
from stempilot.report.series import FloatArray, Series
from stempilot.report.style import (
    BLUE,
    GREEN,
    MUTED,
    VERMILION,
    Picture,
    finish,
)

_MOST_PATHS = 100
_FEW = 4
"""Up to so many paths are drawn with every step."""


def paths_picture(evidence: Evidence) -> Picture | str:
    """Draw the paths of the episodes, per interval, with the successes counted; or say why not."""
    series = evidence.series
    plane = series.shown.plane
    if plane is None or not series.has_positions:
        return "Paths: the task's summary does not give two quantities of one unit to draw them in."
    shown, among = parts(evidence)
    if not shown:
        return "Paths: no timestep was taken."
    field = _field(evidence)

    def draw(ax: Axes, interval: Interval) -> None:
        _draw_paths(ax, thinned(pieces(series, interval), _MOST_PATHS))
        ax.locator_params(nbins=5)
        ax.set_aspect("equal")
        ax.set_xlim(*field[0])
        ax.set_ylim(*field[1])

    x, y = plane
    heights = (0.7, 4.7 if len(shown) == 1 else 2.55)
    figure = draw_panels(
        evidence, shown, draw, heights=heights, labels=(x.label, y.label), fixed_aspect=True
    )
    explain(
        figure,
        Line2D([], [], color=MUTED, marker="o", ms=4, linestyle="", label="start"),
        Line2D([], [], color=GREEN, marker="+", ms=9, mew=2, linestyle="", label="goal"),
    )
    where = ", in pixels from the frame's centre, y downward" if series.shown.on_camera else ""
    caption = (
        f"How {x.symbol} and {y.symbol} went{where}. Counted are the successes among the episodes "
        f"that ended{among}."
    )
    if series.as_in_paper:
        caption += (
            " In Fig. 4 of the paper paths straighten and successes become more frequent as the "
            "agent learns."
        )
    if any(len(interval.episodes) > _MOST_PATHS for interval in shown):
        caption += f" Of more than {_MOST_PATHS} paths, {_MOST_PATHS} are drawn."
    return finish("paths", "Paths", caption, figure)


@frozen(eq=False)
class Piece:
    """What an interval shows of an episode.

    Attributes:
        path: (n, 2) positions, with the one that the first step left from.
        success: whether the episode ended in success, in this interval or later.
        from_start: whether it shows where the episode began.
        goal: (2,) where it should lead.
    """

    path: FloatArray
    success: bool
    from_start: bool
    goal: FloatArray


def pieces(series: Series, interval: Interval) -> list[Piece]:
    """Return what happened in an interval, whether or not the episodes ended there."""
    found = []
    for episode, rows in stretches(series, interval):
        path = series.position[rows]
        found.append(
            Piece(
                path=path[np.isfinite(path).all(axis=1)],
                success=episode.success,
                from_start=rows.start == episode.first,
                goal=series.goal[episode.stop - 1],
            )
        )
    return found


def _draw_paths(ax: Axes, found: Sequence[Piece]) -> None:
    few = len(found) <= _FEW
    width = 1.8 if few else 0.8
    for success, colour, line in ((False, VERMILION, ":"), (True, BLUE, "-")):
        paths = [piece.path for piece in found if piece.success is success]
        ax.add_collection(
            LineCollection(paths, colors=colour, linestyles=line, linewidths=width, alpha=0.7)
        )
        if few and paths:
            ax.plot(*np.concatenate(paths).T, "o", color=colour, markersize=3)
    starts = [piece.path[:1] for piece in found if piece.from_start]
    if starts:
        size = 6 if few else 2.5
        ax.plot(*np.concatenate(starts).T, "o", color=MUTED, markersize=size, markeredgewidth=0)
    goals = {tuple(piece.goal.astype(np.float32).tolist()) for piece in found}
    for goal in goals:
        ax.plot(*goal, "+", color="white", markersize=11, markeredgewidth=4)
        ax.plot(*goal, "+", color=GREEN, markersize=10, markeredgewidth=2.2)


def _field(evidence: Evidence) -> FloatArray:
    """Return the limits in x and y: those of the frames, or else a square around the paths."""
    series = evidence.series
    if not series.shown.on_camera:
        seen = np.concatenate([series.position, series.goal])
        low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
        half = 0.55 * (float((high - low).max()) or 1.0)
        square: FloatArray = ((low + high) / 2)[:, np.newaxis] + half * np.array([-1.0, 1.0])
        return square
    widest = 2.1 * max(1.0, float(np.nanmax(np.abs(series.position))))
    rows, cols = evidence.field_px or (widest, widest)
    return np.array([[-cols / 2, cols / 2], [rows / 2, -rows / 2]])
