"""Makes a file of a camera's defective pixels: from frames on disk, or from a camera."""

import contextlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot.contract.backend import Backend
from stempilot.errors import ConfigError
from stempilot.files import recording, write_file
from stempilot.instrument.opening import look_at
from stempilot.runs.defects import Defects, Flags, find_defects

Frames = list[tuple[str, npt.NDArray[Any]]]
"""Each with its name for messages."""

_GREY = ("L", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Modes in which Pillow reads a picture of one number for each pixel."""


def make_mask(
    taken: Frames,
    out: Path,
    *,
    flat: bool,
    add: Path | None = None,
    replace: bool = False,
    saturation: float | None = None,
) -> tuple[Defects, float]:
    """Write the mask of what is defective in frames, whole or not at all.

    Args:
        taken: the frames.
        out: the file, as `numpy.save` writes it: (rows, cols) booleans, true where a pixel is bad.
        flat: the frames are evenly lit; without light when false.
        add: a mask whose pixels are masked too.
        replace: write over a file that is there.
        saturation: value from which a pixel is clipped; the largest of its type when ``None``.

    Returns:
        What was found in the frames, and the share of the camera that is masked.

    Raises:
        ConfigError: the frames or the other mask are not usable, or there is a file already.
        RecordError: it cannot be written.
    """
    require_room(out, replace=replace)
    names, frames = [name for name, _ in taken], [frame for _, frame in taken]
    found = find_defects(frames, flat=flat, names=names, saturation=saturation)
    mask = found.mask if add is None else found.mask | _other(add, found.mask.shape)
    content = io.BytesIO()
    np.save(content, mask, allow_pickle=False)
    require_room(out, replace=replace)
    write_file(out, content.getvalue())
    return found, float(mask.mean())


def require_room(out: Path, *, replace: bool) -> None:
    """Check that no file would be lost.

    Raises:
        ConfigError: there is one.
    """
    with recording():
        exists = out.exists()
    if exists and not replace:
        msg = f"{out} exists already; choose another --out, or write over it with --replace"
        raise ConfigError(msg)


def _other(path: Path, shape: tuple[int, ...]) -> Flags:
    mask = _array(path)
    if mask.shape != shape or mask.dtype != np.bool_:
        msg = f"{path} holds {mask.shape} {mask.dtype}; the frames' mask is {shape} booleans"
        raise ConfigError(msg)
    return mask


def read_frames(paths: Sequence[Path]) -> Frames:
    """Return the frames of files: NPY, or what Pillow reads in grey, such as PNG and TIFF.

    Raises:
        ConfigError: a file cannot be read, or is no grey picture.
    """
    frames: Frames = []
    for path in dict.fromkeys(paths):
        stack = [_array(path)] if path.suffix.lower() == ".npy" else _pictures(path)
        if stack[0].ndim == 3:  # noqa: PLR2004 - frames, rows, cols
            stack = list(stack[0])
        named = [str(path)] if len(stack) == 1 else [f"{path}[{n}]" for n in range(len(stack))]
        frames += zip(named, stack, strict=True)
    return frames


def _array(path: Path) -> npt.NDArray[Any]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        msg = f"{path} cannot be read: {error}; give a file that numpy.save wrote"
        raise ConfigError(msg) from error
    if not isinstance(found, np.ndarray):
        msg = f"{path} holds {type(found).__name__}; give a file that numpy.save wrote"
        raise ConfigError(msg)
    return found


def _pictures(path: Path) -> list[npt.NDArray[Any]]:
    from PIL import Image, ImageSequence

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            modes = [page.mode for page in ImageSequence.Iterator(picture)]
            if set(modes) <= set(_GREY):
                return [np.array(page) for page in ImageSequence.Iterator(picture)]
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        msg = f"{path} cannot be read: {error}; give frames as NPY, TIFF or PNG in grey"
        raise ConfigError(msg) from error
    msg = f"{path} is a picture in colours ({modes[0]}); save the frame itself, in grey"
    raise ConfigError(msg)


def take_frames(
    backend: Backend, name: str, count: int, source: str | None
) -> tuple[Frames, float | None]:
    """Return frames of a camera, and from which value on its pixels are clipped; moves nothing.

    Args:
        backend: not open yet.
        name: its name.
        count: how many frames.
        source: the camera; the only one when ``None``.

    Raises:
        ConfigError: it has no such camera, or several.
        BackendError: it does not answer, or a run drives it.
    """
    sources = backend.offers().sources
    wanted = source or (next(iter(sources)) if len(sources) == 1 else "")
    if wanted not in sources:
        msg = f"{name} has no source {source!r}" if source else f"{name} has {len(sources)} sources"
        msg = f"{msg}; choose with --source one of: {', '.join(sorted(sources)) or 'none'}"
        raise ConfigError(msg)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(look_at(backend, name))
        # Backends may use the memory of a frame again.
        frames = [np.array(opened.acquire(wanted).pixels) for _ in range(count)]
    named = [(f"frame {number} of {name}", frame) for number, frame in enumerate(frames, start=1)]
    return named, sources[wanted].saturation
