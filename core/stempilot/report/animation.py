"""The episodes as a moving picture, from the frames that a run kept."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from attrs import frozen
from PIL import Image, ImageDraw, ImageFont

from stempilot.errors import RunDirError
from stempilot.record.run_dir import FRAMES
from stempilot.report.evidence import Evidence, Marks
from stempilot.report.headline import plain
from stempilot.report.loading import load_array, require_drawable
from stempilot.report.pictures import (
    FOUND_RGB,
    GOAL_RGB,
    OUTLINE_RGB,
    coloured,
    draw_marks,
    enlarge,
    to_image,
    tones,
)
from stempilot.report.series import FloatArray
from stempilot.report.style import Picture

MOST_FRAMES = 150
_MOST_BYTES = 2**30
"""Of frames that are read; fewer frames of a larger camera are shown."""
_FEWEST = 3
_SIDE = 170
_SHOWN_SIDE = 360
WIDTH = 480
_STRIP = 26
_TEXT_RGB = (226, 232, 240)
_TRAIL_RGB = (150, 70, 80)
_FRAME_MS, _PAUSE_MS = 140, 900
KeptFrame = tuple[int, int, Path]
"""Episode, timestep of it, and file."""

_NAME = re.compile(r"e(\d{1,9})_k(\d{1,9})\.npy")


@frozen(kw_only=True, eq=False)
class Moment:
    """A kept frame: shrunk, and what the events say of it."""

    episode: int
    step: int
    pixels: npt.NDArray[np.float32]
    block: int
    marks: Marks
    value: str


def animation_picture(evidence: Evidence) -> Picture | str:
    """Return the kept frames as an animated GIF; or say why there is none.

    Raises:
        RunDirError: a frame is damaged.
    """
    kept = kept_frames(evidence)
    if isinstance(kept, str):
        return f"Animation: {kept}"
    picked = first_and_last(kept, MOST_FRAMES)
    caption = "The kept frames in order"
    if evidence.series.as_in_paper:
        caption += ", with the goal in green and the measured centre in red"
    if len(kept) > len(picked):
        caption += f"; the first and the last {len(picked) // 2} of {len(kept)} frames"
    return Picture(
        name="animation.gif",
        title="Animation",
        caption=f"{caption}. {_TRAIL if evidence.series.as_in_paper else ''}".strip(),
        content=_gif(list(moments(evidence, picked))),
        width=WIDTH,
    )


def kept_frames(evidence: Evidence) -> list[KeptFrame] | str:
    """Return the frames that a run kept, in order; or say why there are too few to move."""
    if not evidence.record.frames.every:
        return "the run was not told to keep its frames (--frames all)."
    kept = sorted(
        (int(found[1]), int(found[2]), path)
        for path in (evidence.folder / FRAMES).glob("*.npy")
        for found in (_NAME.fullmatch(path.name),)
        if found is not None
    )
    return kept if len(kept) >= _FEWEST else f"fewer than {_FEWEST} frames were kept."


def first_and_last(kept: Sequence[KeptFrame], most: int) -> list[KeptFrame]:
    """Return the frames, or the first and the last of them where they are too many to hold."""
    largest = max(path.lstat().st_size for _, _, path in kept)
    half = max(2, min(most, _MOST_BYTES // max(1, largest)) // 2)
    return list(kept) if len(kept) <= 2 * half else [*kept[:half], *kept[-half:]]


_TRAIL = "The thin line is the way of the measured centre since the episode began."


def moments(evidence: Evidence, picked: Iterable[KeptFrame]) -> Iterator[Moment]:
    """Read frames one by one.

    Raises:
        RunDirError: one is damaged, or of another shape.
    """
    series = evidence.series
    rows = {
        (episode, step): row
        for row, (episode, step) in enumerate(
            zip(series.number.tolist(), series.k.tolist(), strict=True)
        )
    }
    shape: tuple[int, ...] | None = None
    for episode, step, path in picked:
        frame = load_array(path, dimensions=2, run=evidence.folder)
        require_drawable(path, frame.shape)
        shape = frame.shape if shape is None else shape
        if frame.shape != shape:
            msg = f"{path} has shape {frame.shape}, the frames before it have {shape}"
            raise RunDirError(msg)
        marks: dict[str, tuple[float, float]] = {}
        value = ""
        row = rows.get((episode, step))
        if row is not None:
            main, number = series.shown.main, float(series.value[row])
            if main is not None and np.isfinite(number):
                value = f"{main.symbol} {plain(number)} {main.unit}"
            places = (("goal", series.goal[row]), ("found", series.position[row]))
            marks = {
                name: (float(xy[0]) + (shape[1] - 1) / 2, float(xy[1]) + (shape[0] - 1) / 2)
                for name, xy in places
                if series.shown.on_camera and np.isfinite(xy).all()
            }
        block = shown_block(shape)
        yield Moment(
            episode=episode,
            step=step,
            pixels=block_means(frame, block),
            block=block,
            marks=marks,
            value=value,
        )


def shown_block(shape: tuple[int, ...]) -> int:
    """Return how many pixels a side are averaged into one that is shown."""
    return max(1, min(shape) // _SIDE, max(shape) // (4 * _SIDE))


def block_means(pixels: npt.NDArray[Any], block: int) -> npt.NDArray[np.float32]:
    """Return the means of whole blocks; rows and columns that fill none are left out."""
    rows, cols = (length - length % block for length in pixels.shape)
    blocks = pixels[:rows, :cols].reshape(rows // block, block, cols // block, block)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float64), dtype=np.float32)


def brightness(sample: Sequence[Moment]) -> tuple[float, float]:
    """Return what is dark and what is bright, for one scale of which nothing flickers."""
    low = float(np.median([np.median(moment.pixels) for moment in sample]))
    return low, max(float(moment.pixels.max()) for moment in sample)


def images(shown: Iterable[Moment], low: float, high: float) -> Iterator[tuple[Image.Image, bool]]:
    """Draw moments one by one, and tell whether each is the last one of its episode."""
    trail: list[tuple[float, float]] = []
    for moment, after in pairwise(chain(shown, [None])):
        if moment is None:
            continue
        if "found" in moment.marks:
            trail.append(moment.marks["found"])
        ends = after is None or after.episode != moment.episode
        yield drawn(moment, tones(moment.pixels, low, high), trail), ends
        if ends:
            trail = []


def _gif(shown: Sequence[Moment]) -> bytes:
    palette, frames, durations = _palette(), [], []
    for image, ends in images(shown, *brightness(shown)):
        frames.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
        durations.append(_PAUSE_MS if ends else _FRAME_MS)
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
    )
    return buffer.getvalue()


@cache
def _font() -> ImageFont.FreeTypeFont:
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(fonts / "DejaVuSans.ttf"), 13)


def drawn(
    moment: Moment, tone: FloatArray, trail: Sequence[tuple[float, float]] = ()
) -> Image.Image:
    """Return a moment as an image, with what is known of it in a strip below."""
    field, zoom = enlarge(tone, _SHOWN_SIDE)
    if len(trail) > 1:
        way = [to_image(xy, moment.block, zoom) for xy in trail]
        ImageDraw.Draw(field).line(way, _TRAIL_RGB, 2)
    draw_marks(field, moment.marks, moment.block, zoom)
    image = Image.new("RGB", (field.width, field.height + _STRIP), OUTLINE_RGB)
    image.paste(field, (0, 0))
    text = f"episode {moment.episode}   step {moment.step}   {moment.value}"
    ImageDraw.Draw(image).text((8, field.height + 5), text, _TEXT_RGB, _font())
    return image


def _palette() -> Image.Image:
    """Return an image whose palette holds the greys of frames and text and the marks' colours."""
    greys = coloured(np.linspace(0, 1, 40)[None])[0].tolist()
    text = np.linspace(OUTLINE_RGB, _TEXT_RGB, 8).round().astype(int).tolist()
    colours = [*greys, *text, GOAL_RGB, FOUND_RGB, _TRAIL_RGB]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in colours for value in colour])
    return palette
