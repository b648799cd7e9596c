"""Draws what a study found: curves, points against an option, states, actions or paths."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stempilot.contract.names import UNITS
from stempilot.errors import ConfigError, RunDirError
from stempilot.files import require_no_link
from stempilot.record.figures import PAPER_WINDOW, smoothed
from stempilot.report import style
from stempilot.report.actions import actions_picture
from stempilot.report.evidence import Evidence
from stempilot.report.loading import gather
from stempilot.report.paths import paths_picture
from stempilot.report.style import Picture
from stempilot.study.cells import DONE
from stempilot.study.file import Plot
from stempilot.study.findings import effect_of, number
from stempilot.study.folder import Episodes, Row, flat

_COLOURS = (style.BLUE, style.VERMILION, style.GREEN, style.ORANGE, style.PURPLE, style.SKY)
_STYLES = [
    (colour, marker, dashes)
    for dashes, markers in (("-", "osD^vP"), ("--", "D^vPos"))
    for colour, marker in zip(_COLOURS, markers, strict=True)
]
"""Colour, marker and dashes of each line; no two are alike."""

_POINTS = 400
_MOST_PANELS, _MOST_LINES, _LONGEST = 4, len(_STYLES), 100
"""So many panels, lines and letters are drawn: a study may come from a stranger."""
_LAST = 5_000
"""So many timesteps at the end of a training are drawn as states, as in Fig. 7 of the paper."""
_THRESHOLDS = {"steps": 100.0, "reward": 0.0}
"""Drawn in the paper's figures."""

_UNITS = {*UNITS, "px", "bins", "mrad", "deg", "nm"} - {"1", "index"}
"""Units at the end of a name, which a legend shows after the value."""
_LABELS = {"steps": "timesteps per episode", "reward": "episode reward"}
Group = tuple[str, list[Row]]


def draw(title: str, plot: Plot, rows: Iterable[Row]) -> Picture:
    """Draw a study.

    Raises:
        ConfigError: no cell is done.
        RunDirError: what is to be drawn is nothing that can be.
    """
    done = [row for row in rows if row.result.status == DONE]
    if not done:
        msg = "no cell is done yet, so that there is nothing to draw"
        raise ConfigError(msg)
    kinds: dict[str, Callable[[str, Plot, list[Row]], Picture]] = {
        "curves": _curves,
        "points": _points,
        "states": _states,
        "actions": partial(_of_first, actions_picture),
        "paths": partial(_of_first, paths_picture),
    }
    try:
        return kinds[plot.kind](title[:_LONGEST], plot, done)
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        msg = f"the study cannot be drawn as {plot.kind}: {type(error).__name__}: {error}"
        raise RunDirError(msg) from error


def _groups(rows: Iterable[Row], axes: Sequence[str]) -> list[Group]:
    """Return the rows by what they have on the axes, in order, and one of each key."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        swept = flat(row)
        words = [_worded(name, swept.get(name)) for name in axes]
        # No formula, whatever the words are.
        label = ", ".join(words).replace("$", r"\$")[:_LONGEST]
        found.setdefault(label, {})[row.listed.key] = row
    return [(label, list(members.values())) for label, members in found.items()]


def _worded(name: str, value: object) -> str:
    """Return an option and its value in words: ``task.tolerance_m`` at 0.1 is tolerance 0.1 m."""
    words = name.rpartition(".")[2].split("_")
    unit = [words.pop()] if words[1:] and words[-1] in _UNITS else []
    return " ".join([*words, str(value), *unit])


def _left_out(count: int, most: int, what: str) -> str:
    """Return what a caption says of groups that are not drawn."""
    return f" {count - most} of {count} {what} are not drawn." if count > most else ""


def _curves(title: str, plot: Plot, rows: list[Row]) -> Picture:
    stages = [stage for stage in ("train", "relearn") if stage in rows[0].result.episodes]
    told_apart = [axis for axis in plot.axes if len(_groups(rows, (axis,))) > 1]
    by = (told_apart or plot.axes or ("",))[:_MOST_PANELS]
    lines = [(axis, stage) for axis in by for stage in stages]
    figure = style.new_figure(2.9 * len(lines))
    panels = figure.subplots(len(lines), 2, squeeze=False)
    counts = {axis: len(_groups(rows, (axis,) if axis else ())) for axis in by}
    left_out = "".join(
        _left_out(count, _MOST_LINES, f"lines of {axis}") for axis, count in counts.items()
    )
    for (axis, stage), line in zip(lines, panels, strict=True):
        groups = _groups(rows, (axis,) if axis else ())
        for ax, what in zip(line, ("steps", "reward"), strict=True):
            for (label, members), (colour, _, dashes) in zip(groups, _STYLES, strict=False):
                named = {"label": label, "color": colour, "linestyle": dashes}
                _draw_mean(ax, _columns(members, stage), what, named)
            ax.axhline(_THRESHOLDS[what], color=style.INK, linewidth=0.8)
            name = "relearning" if stage == "relearn" else ""
            style.dress(ax, title=name, x="timesteps", y=_LABELS[what])
            style.in_thousands(ax)
            ax.set_xlim(left=0)
        if axis:
            style.legend(line[-1], "beside")
    _head(figure, title)
    caption = (
        f"Means over trainings, and one standard deviation. Each is weighted over {PAPER_WINDOW} "
        "episodes; the black lines are the paper's thresholds."
    )
    return style.finish(plot.kind, title, caption + left_out, figure)


def _head(figure: Figure, title: str) -> None:
    figure.suptitle(
        title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=style.INK, parse_math=False
    )


def _columns(rows: Iterable[Row], stage: str) -> list[tuple[Episodes, float]]:
    """Return the episodes of each training, and how many timesteps it had."""
    found = [(row.result.episodes.get(stage), flat(row).get(f"{stage}.timesteps")) for row in rows]
    return [
        (one, max(number(timesteps) or 0.0, one.t[-1]))
        for one, timesteps in found
        if one is not None and one.t
    ]


def _draw_mean(
    ax: Axes, runs: list[tuple[Episodes, float]], what: str, named: dict[str, str]
) -> None:
    if not runs:
        return
    t = np.linspace(0, max(timesteps for _, timesteps in runs), _POINTS)
    curves = np.array([_curve(run, what, t, timesteps) for run, timesteps in runs])
    # Before the first episode of a run has ended, and after its end, there is nothing to average.
    known = np.isfinite(curves).all(axis=0)
    mean, spread = curves[:, known].mean(axis=0), curves[:, known].std(axis=0)
    named = {**named, "label": f"{named['label']} ({len(runs)})".strip()}
    (line,) = ax.plot(t[known], mean, linewidth=1.6, **named)  # type: ignore[arg-type]
    low, high = mean - spread, mean + spread
    ax.fill_between(t[known], low, high, color=line.get_color(), alpha=0.15, linewidth=0)


def _curve(
    run: Episodes, what: str, t: npt.NDArray[np.float64], timesteps: float
) -> npt.NDArray[np.float64]:
    values = smoothed([float(value) for value in getattr(run, what)])
    # After its last episode a training has the value that it had then, for as long as it lasts.
    return np.where(t > timesteps, np.nan, np.interp(t, run.t, values, left=np.nan))


def _points(title: str, plot: Plot, rows: list[Row]) -> Picture:
    figure = style.new_figure(4.2, 6.5)
    ax = figure.subplots()
    x_name, others = plot.axes[0], plot.axes[1:]
    groups, lowest, seen = _groups(rows, others), 0.0, False
    for (label, members), (colour, marker, dashes) in zip(groups, _STYLES, strict=False):
        named: Any = {"label": label, "color": colour, "marker": marker, "linestyle": dashes}
        xs, means, ends = [], [], []
        for _, alike in _groups(members, (x_name,)):
            columns = [flat(row) for row in alike]
            known = [y for y in (number(one.get(plot.y)) for one in columns) if y is not None]
            if known:
                mean, interval = effect_of([known])
                low, high = interval or (mean, mean)
                xs.append(float(columns[0][x_name]))
                means.append(mean)
                ends.append([mean - low, high - mean])
        if xs:
            ax.errorbar(xs, means, np.array(ends).T, capsize=3, **named)
            lowest, seen = min(lowest, *means), True
    if not seen:
        msg = f"no finished cell has a number {plot.y}"
        raise ValueError(msg)
    style.dress(ax, title=title, x=plot.x_label, y=plot.y_label)
    if not lowest:
        ax.set_ylim(bottom=0)
    if others:
        style.legend(ax, "beside")
    caption = "Means over trainings with their 95 % intervals."
    caption += _left_out(len(groups), _MOST_LINES, "lines")
    return style.finish(plot.kind, title, caption, figure)


def _states(title: str, plot: Plot, rows: list[Row]) -> Picture:
    groups = _groups(rows, plot.axes)
    drawn = groups[:_MOST_PANELS]
    figure = style.new_figure(3.4, fixed_aspect=True)
    panels = figure.subplots(1, len(drawn), squeeze=False, sharex=True, sharey=True)[0]
    for ax, (label, members) in zip(panels, drawn, strict=True):
        series = _evidence(members[0]).series
        if series.shown.plane is None or not series.has_positions:
            msg = "the task does not give two quantities of one unit to draw states in"
            raise ConfigError(msg)
        since = series.timesteps - _LAST
        x, y = series.shown.plane
        ax.plot(*series.position[series.t > since].T, ".", color=style.BLUE, ms=2, alpha=0.25)
        ax.plot(*series.goal[-1], "+", color=style.GREEN, ms=10, mew=2.2)
        ended = [each for each in series.complete if series.t[each.last] > since]
        succeeded = sum(each.success for each in ended)
        style.dress_panel(ax, f"{label}\n{succeeded} of {len(ended)} episodes succeed")
        ax.set_xlabel(x.label)
        ax.set_aspect("equal", adjustable="box")
    panels[0].set_ylabel(y.label)
    _head(figure, title)
    if series.shown.on_camera:
        panels[0].invert_yaxis()
    caption = (
        f"What was observed in the last {_LAST:,} timesteps of the first training of each kind; "
        "the cross is the goal."
    )
    caption += _left_out(len(groups), _MOST_PANELS, "kinds")
    return style.finish(plot.kind, title, caption, figure)


def _evidence(row: Row) -> Evidence:
    """Return what the training of a cell left, from inside the study's folder alone."""
    run = row.folder / "train"
    require_no_link(run, row.folder)
    return gather(run)


def _of_first(
    drawn: Callable[[Evidence], Picture | str], title: str, plot: Plot, rows: list[Row]
) -> Picture:
    """Draw the training of the first cell, as its own report does."""
    del title, plot
    picture = drawn(_evidence(rows[0]))
    if isinstance(picture, str):
        raise ConfigError(picture)
    return picture
