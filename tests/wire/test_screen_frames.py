"""Centring through a real window on a virtual display that shows the virtual Themis's frames."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.sampling import sampled
from tests.wire.virtual import BACKEND, TASK, envelope, registry, themis

from stempilot.contract.names import DIFFRACTION_SHIFT
from stempilot.errors import BackendError
from stempilot.record.recorder import read_events
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, Plan, plan_run
from stempilot_backends.usetem.client.screen import ScreenRegion
from stempilot_tasks.imaging import locate_disk

pytestmark = [
    pytest.mark.skipif(
        shutil.which("Xvfb") is None or not sys.platform.startswith("linux"),
        reason="needs Xvfb (Debian: xvfb)",
    ),
    pytest.mark.slow,
    pytest.mark.timeout(180),
]

CORNER = (30, 20)
SIDE_PX = 1040
TOLERANCE_PX = 12.2
PAINTED_S = 30.0

VIEWER = f"""
import pickle, sys, tkinter
from xmlrpc.client import ServerProxy
import numpy as np

server = ServerProxy(sys.argv[1], allow_none=True)
server.acquisition.addCameraByName("BM-Flucam")
root = tkinter.Tk()
root.geometry("{SIDE_PX}x{SIDE_PX}+{CORNER[0]}+{CORNER[1]}")
root.overrideredirect(True)
label = tkinter.Label(root, borderwidth=0)
label.place(x=0, y=0)

def draw():
    frame = pickle.loads(server.acquisition.acquireImages().data)[0].T
    grey = np.clip(frame / 16, 0, 255).astype(np.uint8)
    header = f"P5 {{grey.shape[1]}} {{grey.shape[0]}} 255 ".encode()
    picture = tkinter.PhotoImage(data=header + grey.tobytes(), format="PPM")
    label.configure(image=picture)
    label.shown = picture
    root.after(10, draw)

draw()
root.after(100, lambda: print("shown", flush=True))
root.mainloop()
"""


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start a virtual display, and point this process at it."""
    pytest.importorskip("tkinter")
    pytest.importorskip("mss")
    reader, writer = os.pipe()
    words = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1100x1080x24", "-nolisten", "tcp"]
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


@contextmanager
def viewer(url: str) -> Iterator[subprocess.Popen[str]]:
    """Show the camera of a server in a window, as the vendor's software does."""
    with subprocess.Popen(
        [sys.executable, "-c", VIEWER, url], stdout=subprocess.PIPE, text=True
    ) as window:
        try:
            assert window.stdout is not None
            assert window.stdout.readline().strip() == "shown"
            wait_for_disk()
            yield window
        finally:
            window.kill()  # also where it was stopped


def wait_for_disk() -> None:
    """Return when the disk is on the screen: a loaded machine paints a window late."""
    screen = ScreenRegion(CORNER, (SIDE_PX, SIDE_PX), wait_s=0.05)
    screen.put_up()
    deadline = time.monotonic() + PAINTED_S
    while not locate_disk(screen.fetch()).visible:
        assert time.monotonic() < deadline, "the window shows no disk"
    screen.take_down()


def plan(url: str, out: Path) -> Plan:
    backend = {
        "url": url,
        "frames": "screen",
        "screen_corner": list(CORNER),
        "screen_wait_s": 1.0,
        "pixel_mrad": [[6, 0.565]],
    }
    return plan_run(
        registry(),
        task=TASK,
        agent="adaptive",
        backend=BACKEND,
        settings={"backend": backend},
        extras=Extras(seed=1, out=out, envelope=envelope()),
    )


@pytest.mark.parametrize("seed", sampled([3, 8], 2))
def test_centring_succeeds_through_a_window(display: str, tmp_path: Path, seed: int) -> None:
    with themis(seed) as (emulator, url), viewer(url):
        result = execute(plan(url, tmp_path / "run"))
        truth = emulator.look()["truth"]["position_px"]
        moved = emulator.position(DIFFRACTION_SHIFT)
    assert result["success"]
    assert result["steps_mean"] >= 2
    # The bench stood away from the goal, the knob moved it there, and the picture told truly.
    last = list(read_events(tmp_path / "run"))[-1]["summary"]
    assert moved != (0.0, 0.0)
    assert max(abs(truth[0]), abs(truth[1])) <= TOLERANCE_PX
    assert (last["x_px"], last["y_px"]) == pytest.approx(tuple(truth), abs=0.5)


def test_a_viewer_that_stops_drawing_stops_the_run(display: str, tmp_path: Path) -> None:
    with themis(3) as (emulator, url), viewer(url) as window:
        window.send_signal(signal.SIGSTOP)  # the window stays, its picture stands still
        with pytest.raises(BackendError, match="equal|stale|same"):
            execute(plan(url, tmp_path / "run"))
        window.send_signal(signal.SIGCONT)
        assert emulator.position(DIFFRACTION_SHIFT) == pytest.approx((0.0, 0.0), abs=1e-5)
