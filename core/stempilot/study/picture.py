"""Draws what a study found: curves of learning, points against an option, actions or paths."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from stempilot.errors import ConfigError, RunDirError
from stempilot.record.figures import PAPER_WINDOW, smoothed
from stempilot.report import style
from stempilot.report.actions import actions_picture
from stempilot.report.evidence import Evidence
from stempilot.report.loading import gather
from stempilot.report.paths import paths_picture
from stempilot.report.style import Picture
from stempilot.study.cells import DONE
from stempilot.study.file import Plot
from stempilot.study.findings import effect_of
from stempilot.study.folder import Episodes, Row, flat

_COLOURS = (style.BLUE, style.VERMILION, style.GREEN, style.ORANGE, style.PURPLE, style.SKY)
_MARKERS = "osD^vP"
_POINTS = 400
_MOST_ROWS, _MOST_LINES, _LONGEST = 4, 12, 100
"""So many panels, lines and letters are drawn: a study may come from a stranger."""
_THRESHOLDS = {"steps": 100.0, "reward": 0.0}
"""Drawn in the paper's figures."""

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
        "actions": partial(_of_first, actions_picture),
        "paths": partial(_of_first, paths_picture),
    }
    try:
        return kinds[plot.kind](title[:_LONGEST], plot, done)
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        msg = f"the study cannot be drawn as {plot.kind}: {type(error).__name__}: {error}"
        raise RunDirError(msg) from error


def _groups(rows: Iterable[Row], axes: Sequence[str]) -> list[Group]:
    """Return the rows by what they have on the axes, in the order in which it first appears."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        swept = {**flat(row), **row.listed.swept}
        words = [f"{name.rpartition('.')[2].replace('_', ' ')} {swept.get(name)}" for name in axes]
        # No formula, whatever the words are.
        label = ", ".join(words).replace("$", r"\$")[:_LONGEST]
        found.setdefault(label, []).append(row)
    return list(found.items())[:_MOST_LINES]


def _curves(title: str, plot: Plot, rows: list[Row]) -> Picture:
    stages = [stage for stage in ("train", "relearn") if stage in rows[0].result.episodes]
    told_apart = [axis for axis in plot.axes if len(_groups(rows, (axis,))) > 1]
    by = (told_apart or plot.axes or ("",))[:_MOST_ROWS]
    lines = [(axis, stage) for axis in by for stage in stages]
    figure = style.new_figure(2.9 * len(lines))
    panels = figure.subplots(len(lines), 2, squeeze=False)
    for (axis, stage), line in zip(lines, panels, strict=True):
        groups = _groups(rows, (axis,) if axis else ())
        for ax, what in zip(line, ("steps", "reward"), strict=True):
            for (label, members), colour in zip(groups, _cycle(_COLOURS), strict=False):
                _draw_mean(ax, _columns(members, stage), what, label=label, colour=colour)
            ax.axhline(_THRESHOLDS[what], color=style.INK, linewidth=0.8)
            name = "relearning" if stage == "relearn" else ""
            style.dress(ax, title=name, x="timesteps", y=_LABELS[what])
            style.in_thousands(ax)
            ax.set_xlim(left=0)
        if axis:
            style.legend(line[-1], "beside")
    figure.suptitle(
        title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=style.INK, parse_math=False
    )
    caption = (
        f"Means over trainings, and one standard deviation. Each is weighted over {PAPER_WINDOW} "
        "episodes; the black lines are the paper's thresholds."
    )
    return style.finish("figure", title, caption, figure)


def _cycle(values: Sequence[Any]) -> Iterator[Any]:
    while True:
        yield from values


def _columns(rows: Iterable[Row], stage: str) -> list[Episodes]:
    found = [row.result.episodes.get(stage) for row in rows]
    return [one for one in found if one is not None and one.t]


def _draw_mean(ax: Axes, runs: list[Episodes], what: str, *, label: str, colour: str) -> None:
    if not runs:
        return
    t = np.linspace(0, max(run.t[-1] for run in runs), _POINTS)
    curves = np.array([_curve(run, what, t) for run in runs])
    # Before the first episode of a run has ended there is nothing to average.
    known = np.isfinite(curves).all(axis=0)
    mean, spread = curves[:, known].mean(axis=0), curves[:, known].std(axis=0)
    ax.plot(t[known], mean, color=colour, linewidth=1.6, label=f"{label} ({len(runs)})")
    ax.fill_between(t[known], mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)


def _curve(run: Episodes, what: str, t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values = smoothed([float(value) for value in getattr(run, what)])
    return np.interp(t, run.t, values, left=np.nan)


def _points(title: str, plot: Plot, rows: list[Row]) -> Picture:
    figure = style.new_figure(4.2, 6.5)
    ax = figure.subplots()
    x_name, others = plot.axes[0], plot.axes[1:]
    styles = zip(_cycle(_COLOURS), _cycle(_MARKERS), strict=False)
    for (label, members), (colour, marker) in zip(_groups(rows, others), styles, strict=False):
        xs, means, ends = [], [], []
        for _, alike in _groups(members, (x_name,)):
            columns = [flat(row) for row in alike]
            known = [float(one[plot.y]) for one in columns if one.get(plot.y) is not None]
            if known:
                mean, interval = effect_of([known])
                xs.append(float(columns[0][x_name]))
                means.append(mean)
                ends.append([mean - interval[0], interval[1] - mean])
        if xs:
            ax.errorbar(
                xs, means, np.array(ends).T, color=colour, marker=marker, capsize=3, label=label
            )
    style.dress(ax, title=title, x=plot.x_label, y=plot.y_label)
    ax.set_ylim(bottom=0)
    if others:
        style.legend(ax, "beside")
    caption = "Means over trainings with their 95 % intervals, bootstrapped."
    return style.finish("figure", title, caption, figure)


def _of_first(
    drawn: Callable[[Evidence], Picture | str], title: str, plot: Plot, rows: list[Row]
) -> Picture:
    """Draw the training of the first cell, as its own report does."""
    del title, plot
    picture = drawn(gather(rows[0].folder / "train"))
    if isinstance(picture, str):
        raise ConfigError(picture)
    return picture
