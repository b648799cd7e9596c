"""Which ways the beam took over the camera."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from stempilot.report.evidence import Evidence
from stempilot.report.intervals import Interval
from stempilot.report.panels import grid_of, label_panels, parts, title_of, width_of
from stempilot.report.series import Episode, Series
from stempilot.report.style import (
    BLUE,
    GREEN,
    MUTED,
    VERMILION,
    Picture,
    dress_panel,
    finish,
    new_figure,
)

_MOST_PATHS = 100
_FEW = 4
"""Up to so many paths are drawn with every step."""
_PANEL_IN = 2.45


def paths_picture(evidence: Evidence) -> Picture | str:
    """Draw the paths of the beam, per interval, with the successes counted; or say why not."""
    series = evidence.series
    if not series.has_positions:
        return "Paths: the task's summary does not give x_px and y_px, a position in the frame."
    shown, count = parts(evidence)
    if not series.complete:
        return "Paths: no episode was completed."
    reach = _reach(evidence)
    columns = grid_of(shown)[1]
    single = columns == 1
    side = 4.6 if single else _PANEL_IN
    figure = new_figure(
        0.5 + (side + 0.1) * grid_of(shown)[0],
        6.0 if single else width_of(shown),
        fixed_aspect=True,
    )
    grid = figure.subplots(*grid_of(shown), sharex=True, sharey=True, squeeze=False)
    for ax, interval in zip(grid.flat, shown, strict=False):
        _draw_paths(ax, series, interval.episodes)
        dress_panel(ax, f"{title_of(evidence, interval)}\n{_count(interval)}")
        ax.locator_params(nbins=5)
        ax.set_aspect("equal")
        ax.set_xlim(-reach[0], reach[0])
        ax.set_ylim(reach[1], -reach[1])
    label_panels(grid.flat, shown, x="x (px)", y="y (px)")
    figure.legend(
        handles=_path_legend(), loc="outside upper center", ncols=4, fontsize=9, edgecolor="white"
    )
    caption = (
        "Where the disk was seen, episode by episode, in pixels from the frame's centre, y "
        "downward; "
        "counted are the successes among the episodes that ended"
        + (f", in {len(shown)} of {count} intervals of timesteps. " if count > 1 else ". ")
        + "Paths straighten and successes become more frequent as the agent learns "
        "(Fig. 4 of the paper)."
    )
    if any(len(interval.episodes) > _MOST_PATHS for interval in shown):
        caption += f" Of more than {_MOST_PATHS} episodes, {_MOST_PATHS} are drawn."
    return finish("paths", "Paths of the beam", caption, figure)


def _draw_paths(ax: Axes, series: Series, episodes: Sequence[Episode]) -> None:
    if len(episodes) > _MOST_PATHS:
        picks = np.linspace(0, len(episodes) - 1, _MOST_PATHS).round().astype(int)
        episodes = [episodes[pick] for pick in picks]
    drawn = [
        (path[np.isfinite(path).all(axis=1)], episode.success)
        for episode in episodes
        for path in (series.position_px[episode.rows],)
    ]
    few = len(drawn) <= _FEW
    width = 1.8 if few else 0.8
    for success, colour, line in ((False, VERMILION, ":"), (True, BLUE, "-")):
        lines = [path for path, succeeded in drawn if succeeded is success and len(path) > 1]
        ax.add_collection(
            LineCollection(lines, colors=colour, linestyles=line, linewidths=width, alpha=0.7)
        )
    if few:
        for path, success in drawn:
            ax.plot(*path.T, "o", color=BLUE if success else VERMILION, markersize=3)
    starts = np.array([path[0] for path, _ in drawn if len(path)]).reshape(-1, 2)
    ax.plot(*starts.T, "o", color=MUTED, markersize=6 if few else 2.5, markeredgewidth=0)
    goals = np.unique(series.goal_px[[episode.last for episode in episodes]].round(3), axis=0)
    ax.plot(*goals[np.isfinite(goals).all(axis=1)].T, "+", color="white", ms=11, mew=4)
    ax.plot(*goals[np.isfinite(goals).all(axis=1)].T, "+", color=GREEN, ms=10, mew=2.2)


def _path_legend() -> list[Line2D]:
    return [
        Line2D([], [], color=BLUE, linewidth=1.5, label="successful"),
        Line2D([], [], color=VERMILION, linewidth=1.5, linestyle=":", label="not successful"),
        Line2D([], [], color=MUTED, marker="o", ms=4, linestyle="", label="start"),
        Line2D([], [], color=GREEN, marker="+", ms=9, mew=2, linestyle="", label="goal"),
    ]


def _reach(evidence: Evidence) -> tuple[float, float]:
    """Return half the field in x and y, of the frames or else of what was seen."""
    if evidence.field_px is not None:
        rows, cols = evidence.field_px
        return cols / 2, rows / 2
    widest = 1.05 * max(1.0, float(np.nanmax(np.abs(evidence.series.position_px))))
    return widest, widest


def _count(interval: Interval) -> str:
    if not interval.episodes:
        return "no episode ended"
    return f"{interval.successes} of {len(interval.episodes)} successful"
