"""A whole training, or any other run that kept its frames, as a video."""

import contextlib
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from PIL import Image

from stempilot.errors import RecordError, RunDirError
from stempilot.files import own_folder, write_file
from stempilot.report import PLOTS
from stempilot.report.animation import brightness, first_and_last, images, kept_frames, moments
from stempilot.report.loading import gather

_FRAMES_PER_S: Final = 15
_PAUSE: Final = 8
"""How many times the last frame of an episode is shown."""

_SAMPLED: Final = 50
"""Frames that tell what is dark and what is bright."""

MOST_IN_MEMORY: Final = 400
"""Frames of a WebP, all of which are in memory at once."""


def write_video(run: str | Path, on_frame: Callable[[int, int], None] = lambda *_: None) -> Path:
    """Write the frames that a run kept as ``plots/video.mp4``.

    Without ffmpeg on the search path it is ``plots/video.webp``, of a long run the first and the
    last frames only.

    Args:
        run: the run directory.
        on_frame: told how many frames are drawn, and how many there will be.

    Returns:
        The video.

    Raises:
        RunDirError: the run kept too few frames, or one is damaged.
        RecordError: the disk refused, or ffmpeg failed.
    """
    evidence = gather(Path(run))
    kept = kept_frames(evidence)
    if isinstance(kept, str):
        msg = f"{run} has no frames for a video: {kept}"
        raise RunDirError(msg)
    program = shutil.which("ffmpeg")
    picked = kept if program else first_and_last(kept, MOST_IN_MEMORY)
    scale = brightness(list(moments(evidence, picked[:: -(-len(picked) // _SAMPLED)])))

    def drawn() -> Iterator[Image.Image]:
        shown = images(moments(evidence, picked), *scale)
        for number, (image, ends) in enumerate(shown, start=1):
            on_frame(number, len(picked))
            yield from [image] * (_PAUSE if ends else 1)

    path = own_folder(Path(run) / PLOTS) / ("video.mp4" if program else "video.webp")
    write_file(path, _mp4(program, drawn()) if program else _webp(drawn()))
    return path


def _webp(drawn: Iterable[Image.Image]) -> bytes:
    first, *others = drawn
    buffer, each_ms = io.BytesIO(), round(1000 / _FRAMES_PER_S)
    first.save(
        buffer, format="WEBP", save_all=True, append_images=others, duration=each_ms, quality=80
    )
    return buffer.getvalue()


def _mp4(program: str, drawn: Iterator[Image.Image]) -> bytes:
    """Return what ffmpeg makes of images, which it gets one by one.

    Raises:
        RecordError: it failed.
    """
    first = next(drawn)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        file = Path(folder) / "video.mp4"
        size = f"{first.width}x{first.height}"
        taken = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(_FRAMES_PER_S)]
        # Players want even sides, and that kind of colour.
        made = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"]
        words = [program, "-v", "error", *taken, "-i", "-", *made, "-y", str(file)]
        # It ends early where it fails, and says why.
        with (
            contextlib.suppress(BrokenPipeError),
            subprocess.Popen(words, stdin=subprocess.PIPE, stderr=said) as ffmpeg,
        ):
            try:
                assert ffmpeg.stdin is not None  # noqa: S101 - for the type checker
                for image in chain([first], drawn):
                    ffmpeg.stdin.write(image.tobytes())
            except BrokenPipeError:
                raise
            except BaseException:
                ffmpeg.kill()
                raise
        if ffmpeg.returncode or not file.exists():
            said.seek(0)
            why = said.read().decode(errors="replace").strip() or f"code {ffmpeg.returncode}"
            msg = f"ffmpeg failed: {why.splitlines()[-1]}; without it on PATH a WebP is written"
            raise RecordError(msg)
        return file.read_bytes()
