"""Which pixels of a camera are defective, by a few frames without light or evenly lit. Pure."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from stempilot.errors import ConfigError

Image = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FEWEST_FRAMES: Final = 3
"""The median of so many frames shows nothing that is in one of them alone."""

_SIDE: Final = 32
"""Of the blocks whose medians tell what sound pixels read."""

_CERTAIN: Final = 10.0
"""A defective pixel is off by so many standard deviations; in even light also by half."""

_LARGEST_PATCH: Final = 15
"""Side of the largest patch of defects in pixels; a small disk is larger."""

_MOST: Final = 0.05
"""Largest share of a sound camera that is defective."""

_UNLIKE, _MOST_UNLIKE = 8.0, 0.01
"""A frame is unlike the others where this share of it is off by so many standard deviations."""

_LINE: Final = 0.4
"""A column or row is defective where so much of it is: corners of a round screen are dark."""

_LEAST_LIT: Final = 0.4
"""Share of an evenly lit frame that is about as bright as its brightest quarter, for the same
reason."""


@frozen(kw_only=True)
class Defects:
    """What is defective.

    Attributes:
        mask: (rows, cols), true where a pixel is defective.
        dead: pixels that read too little, beside those of columns and rows.
        hot: pixels that are clipped or read too much, likewise.
        columns: those of which a large part is defective; all of them is masked.
        rows: likewise.
    """

    mask: Flags = field(repr=False, eq=False)
    dead: int
    hot: int
    columns: tuple[int, ...]
    rows: tuple[int, ...]


def find_defects(
    frames: Sequence[npt.NDArray[Any]],
    *,
    flat: bool,
    names: Sequence[str],
    saturation: float | None = None,
) -> Defects:
    """Return the defects that all frames agree on.

    Args:
        frames: at least three of (rows, cols), whole or real numbers.
        flat: they are evenly lit; without light when false.
        names: of the frames, for messages.
        saturation: value from which a pixel is clipped; the largest of its type when ``None``.

    Raises:
        ConfigError: too few frames, unlike each other, or not what `flat` says.
    """
    stack = _stacked(frames, names)
    image = np.median(stack, axis=0)
    spread = _require_alike(stack, image, names, flat=flat)
    medians = _block_medians(image)
    floor = 0.5 if stack[0].dtype.kind in "ui" else 1e-6 * abs(float(np.median(medians)))
    noise = max(_deviation(image - _spread_out(medians, image.shape)), floor)
    _require_light(medians, noise, spread, flat=flat)
    limit = saturation
    if limit is None:
        limit = np.iinfo(stack.dtype).max if stack.dtype.kind == "u" else np.inf
    usual, high = _neighbourhood(medians, image.shape)
    share = 0.5 if flat else 0.0
    dead = image < usual - np.maximum(_CERTAIN * noise, share * usual)
    if flat:
        dead &= _enclosed(image > 0.5 * np.median(medians))
    hot = (image >= limit) | (image > high + np.maximum(_CERTAIN * noise, share * high))
    return _counted(dead, hot, "flat" if flat else "dark")


def _stacked(frames: Sequence[npt.NDArray[Any]], names: Sequence[str]) -> npt.NDArray[Any]:
    if len(frames) < FEWEST_FRAMES:
        msg = f"{len(frames)} frames are too few; give at least {FEWEST_FRAMES} of one kind"
        raise ConfigError(msg)
    first = frames[0]
    for name, frame in zip(names, frames, strict=True):
        real = frame.dtype.kind in "uif" and bool(np.isfinite(frame).all())
        if frame.ndim != 2 or min(frame.shape) < 2 * _SIDE or not real:  # noqa: PLR2004
            msg = (
                f"{name} holds {frame.shape} {frame.dtype}; a frame is (rows, cols) of finite "
                f"numbers, at least {2 * _SIDE} x {2 * _SIDE}"
            )
            raise ConfigError(msg)
        if (frame.shape, frame.dtype) != (first.shape, first.dtype):
            msg = (
                f"{name} holds {frame.shape} {frame.dtype}, {names[0]} {first.shape} "
                f"{first.dtype}; give frames of one camera and one read-out"
            )
            raise ConfigError(msg)
    return np.stack(frames)


def _require_alike(
    stack: npt.NDArray[Any], image: Image, names: Sequence[str], *, flat: bool
) -> float:
    """Return the standard deviation of a pixel from frame to frame.

    Raises:
        ConfigError: a frame differs from the others.
    """
    levels = [float(np.percentile(frame, 75)) for frame in stack]
    level = float(np.median(levels))
    if flat and min(levels) <= 0:
        worst = int(np.argmin(levels))
        msg = f"{names[worst]} is no flat frame: three quarters of it read {levels[worst]:.4g}"
        raise ConfigError(msg)
    # A beam's current may differ from frame to frame.
    scales = [level / each if flat else 1.0 for each in levels]
    off = [np.abs(frame * scale - image) for frame, scale in zip(stack, scales, strict=True)]
    spread = max(float(np.median([_deviation(each) for each in off])), 1e-6 * abs(level), 1e-12)
    if stack.dtype.kind in "ui":
        spread = max(spread, 0.5)
    # Light is noisier than darkness.
    most = _UNLIKE * spread + (0.3 * np.abs(image) if flat else 0.0)
    shares = [float(np.mean(each > most)) for each in off]
    worst = int(np.argmax(shares))
    if shares[worst] > _MOST_UNLIKE or not all(0.5 <= scale <= 2.0 for scale in scales):  # noqa: PLR2004
        worst = worst if shares[worst] > _MOST_UNLIKE else int(np.argmax(np.abs(np.log(scales))))
        msg = (
            f"{names[worst]} is unlike the other frames: {shares[worst]:.0%} of its pixels differ, "
            f"and it reads about {levels[worst]:.4g} where they read {level:.4g}; "
            "give frames of one kind, taken one after the other"
        )
        raise ConfigError(msg)
    return spread


def _require_light(medians: Image, noise: float, spread: float, *, flat: bool) -> None:
    level, top = float(np.median(medians)), float(medians.max())
    if not flat:
        if top - level > _CERTAIN * max(noise, spread):
            row, col = (_SIDE * int(at) for at in np.unravel_index(medians.argmax(), medians.shape))
            msg = (
                f"these are no dark frames: near column {col}, row {row} they read {top:.4g}, "
                f"elsewhere {level:.4g}; blank the beam"
            )
            raise ConfigError(msg)
        return
    bright = float(np.percentile(medians, 75))
    lit = float(np.mean(medians > 0.5 * bright))
    if lit < _LEAST_LIT or top > 2 * bright:
        msg = (
            f"these are no flat frames: {lit:.0%} of them are about as bright as the brightest "
            f"quarter, which reads {bright:.4g}; the brightest spot reads {top:.4g}. Spread the "
            "beam over the whole screen"
        )
        raise ConfigError(msg)
    if _CERTAIN * noise > 0.5 * bright:
        msg = (
            f"these flat frames are too faint: they read {bright:.4g} with a noise of {noise:.3g}, "
            f"in which dead pixels hide; below {bright / (2 * _CERTAIN):.3g} they show. Expose "
            "longer, or give more frames"
        )
        raise ConfigError(msg)


def _counted(dead: Flags, hot: Flags, light: str) -> Defects:
    """Return the defects, with whole columns and rows where much of one is defective.

    Raises:
        ConfigError: more is defective than a camera has.
    """
    mask = dead | hot
    columns, rows = mask.mean(axis=0) > _LINE, mask.mean(axis=1) > _LINE
    lines = rows[:, None] | columns
    alone = mask & ~lines
    mask = mask | lines
    share = float(mask.mean())
    patch = _fullest(alone)
    if share > _MOST or patch is not None:
        found = f"a patch of them lies near column {patch[0]}, row {patch[1]}" if patch else ""
        what = found or f"{share:.0%} of the pixels stand out, of at most {_MOST:.0%}"
        msg = (
            f"these are no {light} frames, or the camera is broken: {what}. Is there a beam or a "
            "shadow in them?"
        )
        raise ConfigError(msg)
    return Defects(
        mask=mask,
        dead=int((dead & alone).sum()),
        hot=int((hot & alone).sum()),
        columns=tuple(np.flatnonzero(columns).tolist()),
        rows=tuple(np.flatnonzero(rows).tolist()),
    )


def _fullest(flags: Flags) -> tuple[int, int] | None:
    """Return column and row of a patch with more defects than one may have, if any."""
    side = _LARGEST_PATCH + 3
    sums = np.pad(flags, ((side, 0), (side, 0))).astype(np.int32).cumsum(0).cumsum(1)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    row, col = (int(at) - side // 2 for at in np.unravel_index(inside.argmax(), inside.shape))
    return (max(col, 0), max(row, 0)) if inside.max() > _LARGEST_PATCH**2 - 25 else None


def _block_medians(image: Image) -> Image:
    """Return the median of each block; the last ones take what is left of the frame."""
    rows, cols = (size // _SIDE for size in image.shape)
    stripes = np.split(image, [_SIDE * n for n in range(1, rows)])
    return np.array(
        [
            [np.median(block) for block in np.split(stripe, [_SIDE * n for n in range(1, cols)], 1)]
            for stripe in stripes
        ]
    )


def _spread_out(blocks: Image, shape: tuple[int, ...]) -> Image:
    """Return an image in which each pixel has the number of its block."""
    row, col = (np.minimum(np.arange(n) // _SIDE, n // _SIDE - 1) for n in shape)
    spread: Image = blocks[np.ix_(row, col)]
    return spread


def _neighbourhood(blocks: Image, shape: tuple[int, ...]) -> tuple[Image, Image]:
    """Return the middle and the largest number of a block and those about it, for each pixel."""
    near = _with_neighbours(blocks)
    return _spread_out(np.median(near, (2, 3)), shape), _spread_out(near.max((2, 3)), shape)


def _enclosed(lit: Flags) -> Flags:
    """Return which pixels lie between lit ones, in their row or column: those of a screen."""
    # A hot pixel beside the screen lights up nothing, and a dark one at its rim is not inside.
    lit = _with_neighbours(lit).sum((2, 3)) >= 5  # noqa: PLR2004 - most of nine
    between = np.zeros(lit.shape, np.bool_)
    for image, flags in ((lit, between), (lit.T, between.T)):
        before = np.logical_or.accumulate(image, axis=0)
        behind = np.logical_or.accumulate(image[::-1], axis=0)[::-1]
        flags[before & behind] = True
    return np.asarray(_with_neighbours(between).all((2, 3)))


def _with_neighbours(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (rows, cols, 3, 3), each number with those about it."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(image, 1, mode="edge"), (3, 3))


def _deviation(off: Image) -> float:
    """Return the standard deviation of what is off, whatever lies far off."""
    return 1.4826 * float(np.median(np.abs(off)))
