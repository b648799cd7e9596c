"""Which actions the agent chose."""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from stempilot.report.evidence import Evidence
from stempilot.report.intervals import Interval
from stempilot.report.panels import draw_panels, parts
from stempilot.report.series import FloatArray, Series, as_number
from stempilot.report.style import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    PURPLE,
    Picture,
    finish,
)

_COMPONENTS: tuple[tuple[str, Literal["-", "--", "-.", ":"]], ...] = (
    (BLUE, "-"),
    (ORANGE, "--"),
    (GREEN, "-."),
    (PURPLE, ":"),
)
_MOST_CHOICES = 30
_BINS = 20


def action_table(series: Series) -> FloatArray | None:
    """Return the actions as (n, components), NaN at resets; ``None`` where they are not numbers.

    A discrete action has one component.
    """
    taken = [action for action in series.actions if action is not None]
    lists = [action if isinstance(action, list) else [action] for action in taken]
    numbers = [[as_number(value) for value in values] for values in lists]
    sizes = {len(values) for values in lists}
    if len(sizes) != 1 or not np.isfinite(np.array(numbers)).all():
        return None
    found = np.full((len(series.actions), sizes.pop()), np.nan)
    found[[action is not None for action in series.actions]] = numbers
    return found


def actions_picture(evidence: Evidence) -> Picture | str:
    """Draw how the actions were distributed, per interval; or say why not."""
    series = evidence.series
    actions = action_table(series)
    if actions is None:
        return "Actions: there are none, or they are not lists of numbers of one length."
    if not 1 <= actions.shape[1] <= len(_COMPONENTS):
        return f"Actions: {actions.shape[1]} components are more than can be drawn legibly."
    known = actions[np.isfinite(actions).all(axis=1)]
    discrete = all(isinstance(action, int | None) for action in series.actions)
    if discrete and not 0 <= known.min() <= known.max() < _MOST_CHOICES:
        return "Actions: there are too many different ones to be drawn."
    edges = _edges(known, discrete=discrete)
    shown, among = parts(evidence)

    def draw(ax: Axes, interval: Interval) -> None:
        inside = (series.k > 0) & (series.t > interval.after) & (series.t <= interval.until)
        _draw_actions(ax, actions[inside], edges, discrete=discrete)
        ax.locator_params(axis="x", nbins=10 if discrete else 3, integer=discrete)

    labels = ("action" if discrete else "component of the action", "share (%)")
    figure = draw_panels(evidence, shown, draw, heights=(0.7, 1.9), labels=labels, count=False)
    if actions.shape[1] > 1:
        handles = [
            Line2D([], [], color=colour, linestyle=line, linewidth=2, label=f"action[{index}]")
            for index, (colour, line) in enumerate(_COMPONENTS[: actions.shape[1]])
        ]
        figure.legend(
            handles=handles, loc="outside upper right", ncols=4, fontsize=9, edgecolor="white"
        )
    caption = (
        f"Which actions the agent chose{among}. The thin grey line is what choosing evenly at "
        "random would give."
    )
    if series.as_in_paper:
        caption += (
            " In the paper actions begin evenly spread and move to large magnitudes as the agent "
            "learns (Fig. 3)."
        )
    return finish("actions", "Actions", caption, figure)


def _edges(known: FloatArray, *, discrete: bool) -> FloatArray:
    if discrete:
        return np.arange(-0.5, known.max() + 1)
    reach = float(np.abs(known).max())
    low, high = (-1.0, 1.0) if reach <= 1 else (float(known.min()), float(known.max()))
    return np.linspace(low, max(high, low + 1e-9), _BINS + 1)


def _draw_actions(ax: Axes, actions: FloatArray, edges: FloatArray, *, discrete: bool) -> None:
    ax.axhline(100 / (len(edges) - 1), color=MUTED, linewidth=0.8)
    for values, (colour, line) in zip(actions.T, _COMPONENTS, strict=False):
        counts, _ = np.histogram(values, bins=edges)
        share = 100 * counts / max(len(values), 1)
        if discrete:
            ax.bar((edges[:-1] + edges[1:]) / 2, share, width=0.8, color=colour)
        else:
            ax.stairs(share, edges, color=colour, linewidth=1.6, linestyle=line)
            ax.stairs(share, edges, color=colour, fill=True, alpha=0.12)
    ax.set_xlim(edges[0], edges[-1])
