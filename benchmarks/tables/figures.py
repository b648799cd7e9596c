"""One figure for each table: success and steps over the oracle's, by condition."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.tables.aggregate import ORACLE, Row
from benchmarks.tables.writing import CAPTIONS

_TICKS = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
_MARKERS = "osD^vPX*<>"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
_WIDTH = 0.7
_LARGEST_RATIO = 3.0


def draw(rows: Sequence[Row], table: str, file: Path) -> None:
    """Write the figure of one table as PNG.

    Args:
        rows: all rows.
        table: which table.
        file: where to write it.
    """
    chosen = [row for row in rows if row.table == table and row.agent != ORACLE]
    conditions = list(dict.fromkeys(row.condition for row in chosen))
    agents = list(dict.fromkeys(row.agent for row in chosen))
    figure = Figure(figsize=(1.6 + 1.15 * max(4, len(conditions)), 7.0), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    for index, agent in enumerate(agents):
        shift = _WIDTH * ((index + 0.5) / len(agents) - 0.5)
        style = {
            "color": _COLOURS[index % len(_COLOURS)],
            "marker": _MARKERS[index % len(_MARKERS)],
            "linestyle": "none",
            "markersize": 6,
        }
        own = {row.condition: row for row in chosen if row.agent == agent}
        places = [n + shift for n, condition in enumerate(conditions) if condition in own]
        present = [own[condition] for condition in conditions if condition in own]
        above.plot(places, [_visible(row) for row in present], label=agent, **style)
        below.plot(places, [_ratio(row) for row in present], **style)
    _finish(above, below, conditions)
    ratios = [row.ratio for row in chosen if row.ratio is not None]
    below.set_ylim(0.95, min(max(ratios, default=1.0), _LARGEST_RATIO) + 0.05)
    figure.suptitle(CAPTIONS[table][0])
    figure.savefig(file, dpi=120)


def _finish(above: Any, below: Any, conditions: Sequence[str]) -> None:
    above.set_yscale("logit")
    above.set_yticks(_TICKS, [f"{100 * tick:g} %" for tick in _TICKS])
    above.minorticks_off()
    above.set_ylim(0.0002, 0.9998)
    above.set_ylabel("success (ends: none and all)")
    above.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    below.axhline(1.0, color="0.4", linewidth=0.8)
    below.set_ylabel(f"steps / oracle's (at {_LARGEST_RATIO:g}: or more)")
    below.set_xticks(range(len(conditions)), conditions, rotation=30, ha="right")
    for axes in (above, below):
        axes.grid(axis="y", color="0.9")
        for border in range(1, len(conditions)):
            axes.axvline(border - 0.5, color="0.9", linewidth=0.8)
        axes.set_xlim(-0.5, len(conditions) - 0.5)


def _visible(row: Row) -> float:
    """Return the success rate, half an episode away from none and all, which have no logit."""
    least = 0.5 / row.episodes
    return min(max(row.success or 0.0, least), 1.0 - least)


def _ratio(row: Row) -> float:
    return float("nan") if row.ratio is None else min(row.ratio, _LARGEST_RATIO)
