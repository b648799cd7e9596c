"""Frames from the screen: a fake screen for the rules, a real window on a virtual display."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stempilot.errors import BackendError, FrameError, PluginError
from stempilot_backends.usetem.client.screen import ScreenRegion, open_screen

SHAPE = (60, 80)


class FakeScreen:
    """A desktop of 200 x 100 px at (-20, 0) that shows the pictures in turn."""

    monitors = ({"left": -20, "top": 0, "width": 200, "height": 100},)

    def __init__(self, *pictures: Any) -> None:
        self.pictures = list(pictures)
        self.regions: list[Any] = []
        self.closed = False

    def grab(self, region: Any) -> Any:
        self.regions.append(region)
        picture = self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]
        return type("Shot", (), {"bgra": picture})

    def close(self) -> None:
        self.closed = True


def grey(level: int) -> bytes:
    return bytes([level, level, level, 255]) * (SHAPE[0] * SHAPE[1])


def region(screen: Any, **options: Any) -> ScreenRegion:
    values = {"corner": (10, 20), "wait_s": 0.0, "sleep": lambda _: None, **options}
    return ScreenRegion(values.pop("corner"), SHAPE, connect=lambda: screen, **values)


def test_the_region_asked_for_is_captured() -> None:
    screen = FakeScreen(grey(1), grey(7))
    source = region(screen)
    source.put_up()
    pixels = source.fetch()
    assert (pixels.shape, pixels.dtype, int(pixels[0, 0])) == (SHAPE, np.uint8, 7)
    assert screen.regions[-1] == {"left": 10, "top": 20, "width": 80, "height": 60}
    source.take_down()
    source.take_down()
    assert screen.closed
    with pytest.raises(BackendError, match="not open"):
        source.fetch()


def test_rows_are_rows() -> None:
    picture = np.zeros((*SHAPE, 4), np.uint8)
    picture[3, 50, :3] = 200
    source = region(FakeScreen(picture.tobytes()))
    source.put_up()
    assert np.argwhere(source.fetch()).tolist() == [[3, 50]]


@pytest.mark.parametrize("corner", [(-21, 0), (101, 0), (0, -1), (0, 41)])
def test_a_region_beside_the_desktop_is_refused(corner: tuple[int, int]) -> None:
    with pytest.raises(BackendError, match=r"x -20 to 180, y 0 to 100.*backend\.screen_corner"):
        region(FakeScreen(grey(1)), corner=corner).put_up()


@pytest.mark.parametrize("corner", [(-20, 0), (100, 40)])
def test_a_region_up_to_the_border_is_taken(corner: tuple[int, int]) -> None:
    region(FakeScreen(grey(1)), corner=corner).put_up()


def test_every_capture_waits_for_the_viewer() -> None:
    waits: list[float] = []
    source = region(FakeScreen(grey(1), grey(2), grey(3)), wait_s=0.4, sleep=waits.append)
    source.put_up()
    source.fetch()
    source.fetch()
    assert waits == [0.4, 0.4]


def test_an_old_picture_is_waited_on() -> None:
    screen = FakeScreen(grey(1), grey(2), grey(2), grey(2), grey(3))
    source = region(screen)
    source.put_up()
    assert [int(source.fetch()[0, 0]) for _ in range(2)] == [2, 3]


def test_a_picture_that_never_changes_is_returned_after_the_patience() -> None:
    waits: list[float] = []
    source = region(FakeScreen(grey(1)), wait_s=0.4, patience_s=1.0, sleep=waits.append)
    source.put_up()
    source.fetch()
    assert int(source.fetch()[0, 0]) == 1
    assert 1.0 <= sum(waits[2:]) < 1.3


def test_colours_mean_another_window() -> None:
    red = bytes([0, 0, 200, 255]) * (SHAPE[0] * SHAPE[1])
    source = region(FakeScreen(grey(1), red))
    source.put_up()
    with pytest.raises(FrameError, match=r"100 % of the region.*another window"):
        source.fetch()


def test_a_scaled_desktop_is_noticed() -> None:
    with pytest.raises(FrameError, match="scale it to 1"):
        region(FakeScreen(grey(1) * 4)).put_up()


def test_a_screen_that_went_away_is_an_error() -> None:
    screen: Any = FakeScreen(grey(1))
    source = region(screen)
    source.put_up()
    screen.pictures.clear()
    with pytest.raises(BackendError, match="could not be captured"):
        source.fetch()


def test_without_mss_the_extra_is_named(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "mss", None)
    with pytest.raises(PluginError, match=r"stempilot\[screen\]"):
        open_screen()


WINDOW = """
import sys, tkinter
import numpy as np
root = tkinter.Tk()
root.geometry("80x60+10+20")
root.overrideredirect(True)
picture = tkinter.PhotoImage(width=80, height=60)
tkinter.Label(root, image=picture, borderwidth=0).place(x=0, y=0)
rng = np.random.default_rng(0)
def draw():
    levels = rng.integers(0, 40, (60, 80))
    levels[3:9, 50:56] = 250
    picture.put(" ".join("{" + " ".join(f"#{v:02x}{v:02x}{v:02x}" for v in row) + "}"
                for row in levels))
    root.after(50, draw)
draw()
root.after(200, lambda: print("shown", flush=True))
root.mainloop()
"""


@pytest.fixture
def display(tmp_path: Path, monkeypatch: Any) -> Iterator[str]:
    """Start a virtual display, and point this process at it."""
    if shutil.which("Xvfb") is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Xvfb (Debian: xvfb)")
    pytest.importorskip("tkinter")
    reader, writer = os.pipe()
    words = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "400x300x24", "-nolisten", "tcp"]
    server = subprocess.Popen(words, pass_fds=(writer,), stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            name = f":{told.readline().strip()}"
        monkeypatch.setenv("DISPLAY", name)
        yield name
    finally:
        server.terminate()
        server.wait(10)


def test_a_real_window_is_seen(display: str) -> None:
    pytest.importorskip("mss")
    viewer = subprocess.Popen(
        [sys.executable, "-c", WINDOW],
        env={**os.environ, "DISPLAY": display},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert viewer.stdout is not None
        assert viewer.stdout.readline().strip() == "shown"
        source = ScreenRegion((10, 20), SHAPE, wait_s=0.1)
        source.put_up()
        first, second = source.fetch(), source.fetch()
        source.take_down()
    finally:
        viewer.terminate()
        viewer.wait(10)
        if viewer.stdout is not None:
            viewer.stdout.close()
    rows, cols = np.nonzero(first > 200)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (3, 8, 50, 55)
    assert not np.array_equal(first, second)
