"""Frames with goal and measured centre drawn over them."""

import math
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap
from PIL import Image, ImageDraw

from stempilot.contract.values import Outcome
from stempilot.report.evidence import Evidence, Final, Marks
from stempilot.report.series import FloatArray
from stempilot.report.shown import legible
from stempilot.report.style import INK, Picture, finish, new_figure

GOAL_RGB, FOUND_RGB, OUTLINE_RGB = (46, 230, 120), (255, 64, 64), (8, 12, 20)
_MAP = LinearSegmentedColormap.from_list("night", ["#0a1120", "#142b4f", "#3a6fa5", "#d5e6f5"])
_CONTRAST = 30.0
"""How far the logarithm lifts faint pixels: with it a tenth of the maximum looks 40 % bright."""
_SIDE = 520
_FAILED = "#b3261e"


def tones(pixels: npt.NDArray[Any], low: float, high: float) -> FloatArray:
    """Return pixel values from 0 at ``low`` to 1 at ``high``, on a logarithmic scale."""
    share = np.clip((pixels.astype(np.float64) - low) / max(high - low, 1e-12), 0, 1)
    scaled: FloatArray = np.log1p(_CONTRAST * share) / math.log1p(_CONTRAST)
    return scaled


def coloured(tone: FloatArray) -> npt.NDArray[np.uint8]:
    """Return tones as colours, (rows, cols, 3)."""
    colours: npt.NDArray[np.uint8] = _MAP(tone, bytes=True)[..., :3]
    return colours


def enlarge(tone: FloatArray, side: int) -> tuple[Image.Image, int]:
    """Return tones as an image with a smaller side of about ``side`` px, and how often enlarged.

    The longer side gets at most twice as long.
    """
    zoom = max(1, min(side // min(tone.shape), 2 * side // max(tone.shape)))
    image = Image.fromarray(coloured(tone))
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST), zoom


def to_image(xy: tuple[float, float], block: int, zoom: int) -> tuple[float, float]:
    """Return where a position in a full frame lies in a shrunk and enlarged image.

    Integer coordinates are at pixel centres, before and after.
    """
    x, y = ((value + 0.5) / block * zoom - 0.5 for value in xy)
    return x, y


def draw_marks(image: Image.Image, marks: Marks, block: int, zoom: int) -> None:
    """Draw the goal as a green ring with ticks and the measured centre as a red cross.

    Any further mark is a red cross with the last word of its name beside it.

    Args:
        image: drawn on.
        marks: ``goal``, ``found`` and others, (x, y) in pixels of the full frame.
        block: side of the blocks that the full frame was averaged over.
        zoom: how often the average was enlarged.
    """
    pen, side = ImageDraw.Draw(image), min(image.size)
    width = max(1, round(side / 170))
    outline = width + 2 * max(1, width // 2)
    for colour, thickness in ((OUTLINE_RGB, outline), (GOAL_RGB, width)):
        if "goal" in marks:
            _goal(pen, to_image(marks["goal"], block, zoom), 0.055 * side, colour, thickness)
    for colour, thickness in ((OUTLINE_RGB, outline), (FOUND_RGB, width)):
        for name in sorted(marks.keys() - {"goal"}):
            x, y = to_image(marks[name], block, zoom)
            _cross(pen, (x, y), 0.014 * side, colour, thickness)
            if name != "found":
                beside = (x + 0.02 * side, y - 0.05 * side)
                pen.text(
                    beside, name.split()[-1], colour, font_size=0.05 * side,
                    stroke_width=outline // 2, stroke_fill=OUTLINE_RGB,
                )  # fmt: skip


def _goal(
    pen: ImageDraw.ImageDraw,
    xy: tuple[float, float],
    radius: float,
    colour: tuple[int, int, int],
    width: int,
) -> None:
    x, y = xy
    # Pillow draws the width of a ring inwards and that of a line to both sides.
    outer = radius + width / 2
    pen.ellipse((x - outer, y - outer, x + outer, y + outer), outline=colour, width=width)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        near, far = 0.8 * radius, 1.5 * radius
        pen.line((x + near * dx, y + near * dy, x + far * dx, y + far * dy), colour, width)


def _cross(
    pen: ImageDraw.ImageDraw,
    xy: tuple[float, float],
    arm: float,
    colour: tuple[int, int, int],
    width: int,
) -> None:
    x, y = xy
    for sign in (1, -1):
        pen.line((x - arm, y - sign * arm, x + arm, y + sign * arm), colour, width)


def marked(pixels: npt.NDArray[Any], marks: Marks, block: int) -> Image.Image:
    """Return a shrunk frame enlarged, coloured and with its marks."""
    level = float(np.median(pixels))
    image, zoom = enlarge(tones(pixels, level, float(pixels.max())), _SIDE)
    draw_marks(image, marks, block, zoom)
    return image


def finals_picture(evidence: Evidence) -> Picture | str:
    """Draw the last frames of the last episodes, source by source; or say why not."""
    finals = evidence.finals
    if not finals:
        return "Final frames: none were kept."
    groups = [list(group) for _, group in groupby(finals, key=lambda final: final.source)]
    count = max(map(len, groups))
    columns = min(4, max(count, len(groups)))
    panel = 2.4 if columns > 1 else 4.5
    if count == 1:
        # The sources of a single episode stand side by side.
        groups = [list(finals)]
    lines = [
        group[first : first + columns]
        for group in groups
        for first in range(0, len(group), columns)
    ]
    heights = [panel * max(_tall(final) for final in line) + 0.35 for line in lines]
    figure = new_figure(sum(heights), (panel + 0.1) * columns)
    grid = figure.subplots(len(lines), columns, squeeze=False, height_ratios=heights)
    several = any(final.source != finals[0].source for final in finals)
    for axes, line in zip(grid, lines, strict=True):
        for ax, final in zip(axes, line, strict=False):
            ax.imshow(np.asarray(marked(final.pixels, final.marks, final.block)))
            title = f"episode {final.episode}: {verdict(final.outcome)}"
            title += f"\n{legible(final.source)}" if several else ""
            colour = INK if final.outcome == Outcome.SUCCESS.value else _FAILED
            ax.set_title(title, loc="left", fontsize=9.5, color=colour, parse_math=False)
    for ax in grid.flat:
        ax.set_axis_off()
    caption = (
        "The last frame of "
        + ("the episode" if count == 1 else f"each of the last {count} episodes")
        + (" on each camera" if several else "")
        + ", with the goal (the middle of the green ring, whose size says nothing of the "
        "tolerance) and the measured position (red cross; where nothing is found, where it was "
        "last seen), as in the paper's Fig. 1. Brightness is logarithmic."
    )
    if not any(final.marks for final in finals):
        caption = (
            "The last frames of the last episodes, in logarithmic brightness. The task does not "
            "say where goal and measurement lie in them."
        )
    return finish("finals", "Final frames", caption, figure)


def _tall(final: Final) -> float:
    """Return the height of a picture over its width."""
    return float(np.divide(*final.pixels.shape))


def verdict(outcome: str) -> str:
    """Return how an episode ended in words; the file's own text never gets into a figure."""
    words = {
        Outcome.SUCCESS.value: "success",
        Outcome.FAILURE.value: "failure",
        Outcome.BLOCKED.value: "blocked",
        Outcome.AMBIGUOUS.value: "ambiguous",
        Outcome.RUNNING.value: "out of steps",
    }
    return words.get(outcome, "other outcome")
