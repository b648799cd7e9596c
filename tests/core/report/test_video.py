"""A run as a video, with a stand-in for ffmpeg."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.core.report.test_animation import with_frames

from stempilot.errors import RecordError, RunDirError
from stempilot.report import video
from stempilot.report.video import write_video

FFMPEG = """#!{python}
import sys
taken = sys.stdin.buffer.read()
open(sys.argv[-1], "wb").write(" ".join(sys.argv[1:]).encode() + b"\\n" + taken)
"""
FAILS = """#!{python}
import sys
sys.stderr.write("one line\\nno such encoder\\n")
sys.exit(3)
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is all of the search path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def stand_in(path: Path, text: str) -> None:
    script = path / "ffmpeg"
    script.write_text(text.format(python=sys.executable))
    script.chmod(0o755)


def test_ffmpeg_gets_every_frame_and_the_ends_of_episodes_longer(
    path: Path, tmp_path: Path
) -> None:
    stand_in(path, FFMPEG)
    run = with_frames(tmp_path / "run", 3)
    told: list[tuple[int, int]] = []
    made = write_video(run, lambda *now: told.append(now))
    assert made == run / "plots" / "video.mp4"
    words, taken = made.read_bytes().split(b"\n", 1)
    frames = len(list((run / "frames").iterdir()))
    assert told == [(number, frames) for number in range(1, frames + 1)]
    width, height = map(int, words.split(b" -s ")[1].split()[0].split(b"x"))
    assert len(taken) == (frames + 3 * 7) * width * height * 3


def test_without_ffmpeg_it_is_a_webp(path: Path, tmp_path: Path) -> None:
    del path
    made = write_video(with_frames(tmp_path / "run", 2))
    assert made.name == "video.webp"
    with Image.open(made) as image:
        assert getattr(image, "n_frames", 0) > 2


def test_a_long_run_fits_into_memory_without_ffmpeg(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del path
    monkeypatch.setattr(video, "MOST_IN_MEMORY", 8)
    told: list[int] = []
    write_video(with_frames(tmp_path / "run", 3), lambda number, total: told.append(total))
    assert set(told) == {8}


def test_what_ffmpeg_says_is_told(path: Path, tmp_path: Path) -> None:
    stand_in(path, FAILS)
    run = with_frames(tmp_path / "run", 2)
    with pytest.raises(RecordError, match="no such encoder"):
        write_video(run)
    assert not list((run / "plots").iterdir())


def test_a_run_without_frames_says_how_to_keep_them(trained: Path) -> None:
    with pytest.raises(RunDirError, match="--frames all"):
        write_video(trained)
