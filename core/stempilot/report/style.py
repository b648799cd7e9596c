"""How every figure looks; nothing here changes matplotlib's global settings."""

import io
from typing import Literal

from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

# Okabe and Ito's colours, told apart by colour-blind people too.
BLUE, VERMILION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
PURPLE, SKY = "#cc79a7", "#56b4e9"
INK, MUTED, GRID = "#1f2933", "#66717e", "#e4e7eb"
WIDTH_IN = 10.0
DPI = 144
CSS_DPI = 96
"""Pixels of a page to an inch, so that letters have the size that they were given."""


@frozen(kw_only=True)
class Picture:
    """A drawn figure.

    Attributes:
        name: file name without folder, with its ending.
        title: its heading.
        caption: what it shows, a few sentences.
        content: the file, PNG or GIF.
        width: how wide it is shown at most, in pixels of a page.
    """

    name: str
    title: str
    caption: str
    content: bytes
    width: int


def new_figure(
    height_in: float,
    width_in: float = WIDTH_IN,
    *,
    fixed_aspect: bool = False,
) -> Figure:
    """Return an empty white figure; ``fixed_aspect`` moves axes of one together."""
    engine = ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.07, compress=fixed_aspect)
    return Figure(figsize=(width_in, height_in), dpi=DPI, layout=engine, facecolor="white")


def dress(ax: Axes, *, title: str = "", x: str = "", y: str = "", grid: bool = True) -> None:
    """Give axes their labels and the look that all share."""
    ax.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK, parse_math=False)
    ax.set_xlabel(x, fontsize=10, color=INK, parse_math=False)
    ax.set_ylabel(y, fontsize=10, color=INK, parse_math=False)
    ax.tick_params(labelsize=9, colors=MUTED, length=3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(MUTED)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(visible=True, color=GRID, linewidth=0.8)


def dress_panel(ax: Axes, title: str) -> None:
    """Give one of many small axes its title."""
    dress(ax)
    ax.set_title(title, loc="left", fontsize=9.5, color=INK)


def legend(
    ax: Axes, where: Literal["best", "upper right", "lower right", "beside"] = "best"
) -> None:
    """Add a legend with a frame that keeps it legible over lines; or beside the axes."""
    ax.legend(
        loc="upper left" if where == "beside" else where,
        bbox_to_anchor=(1.02, 1.0) if where == "beside" else None,
        fontsize=9,
        labelcolor=INK,
        framealpha=0.9,
        edgecolor="white",
        borderpad=0.3,
    )


def thousands(value: float, _: object = None) -> str:
    """Return a number with commas between thousands; as a tick's label."""
    return f"{value:,.10g}"


def in_thousands(ax: Axes) -> None:
    """Write the ticks of the x axis with commas."""
    ax.xaxis.set_major_formatter(FuncFormatter(thousands))


def finish(name: str, title: str, caption: str, figure: Figure) -> Picture:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    # No version of matplotlib in the file: the same data give the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return Picture(
        name=f"{name}.png",
        title=title,
        caption=caption,
        content=buffer.getvalue(),
        width=round(CSS_DPI * figure.get_figwidth()),
    )
