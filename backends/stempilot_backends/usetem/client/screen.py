"""Frames from the screen: a region of the window in which the vendor's software shows the FluCam.

For instruments whose server does not know the FluCam as a camera. The window must stay where it is,
uncovered and at one magnification; what is seen has passed the viewer's contrast and its 8 bits.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stempilot import BackendError, FrameError, PluginError

Pixels = npt.NDArray[np.uint8]

_GREEN: Final = 1
"""Of blue, green, red, alpha. A viewer draws grey, so that one channel tells all."""

_COLOUR_CAST: Final = 8
"""Largest difference between the channels of what still counts as grey."""


def open_screen() -> Any:
    """Return mss's view of the screens.

    Raises:
        PluginError: mss is not installed.
        BackendError: there is no screen.
    """
    try:
        import mss
    except ImportError as error:
        msg = 'capturing the screen needs mss; `pip install "stempilot[screen]"` brings it'
        raise PluginError(msg) from error
    try:
        return mss.MSS()
    except mss.exception.ScreenShotError as error:
        msg = f"no screen can be captured: {error}; is a user logged in at a desktop?"
        raise BackendError(msg) from error


class ScreenRegion:
    """A part of the screen that shows a camera.

    Args:
        corner: (left, top) of the region, in pixels of the whole desktop.
        shape: (rows, cols) of the region and so of every frame.
        wait_s: waited before each capture, so that the viewer shows an exposure that began after
            the last write: at least two exposures and the viewer's own delay.
        patience_s: for how long a picture equal to the one before may stand before it is stale.
        sleep: waits for a number of seconds.
        connect: returns what captures.
    """

    def __init__(
        self,
        corner: tuple[int, int],
        shape: tuple[int, int],
        *,
        wait_s: float,
        patience_s: float = 2.0,
        sleep: Callable[[float], None] = time.sleep,
        connect: Callable[[], Any] = open_screen,
    ) -> None:
        self._corner = corner
        self._shape = shape
        self._wait_s = wait_s
        self._patience_s = patience_s
        self._sleep = sleep
        self._connect = connect
        self._screen: Any = None
        self._before: Pixels | None = None

    def put_up(self) -> None:
        """Find the screen and check that the region lies on it and shows something grey.

        Raises:
            BackendError: there is no such region, or it does not look like a camera's picture.
        """
        self._screen = self._connect()
        desktop = self._screen.monitors[0]
        left, top = self._corner
        rows, cols = self._shape
        right, bottom = desktop["left"] + desktop["width"], desktop["top"] + desktop["height"]
        if not (desktop["left"] <= left <= right - cols and desktop["top"] <= top <= bottom - rows):
            msg = (
                f"a region of {cols} x {rows} px at ({left}, {top}) does not lie on the desktop, "
                f"x {desktop['left']} to {right}, y {desktop['top']} to {bottom}; "
                "correct backend.screen_corner or backend.frame_shape"
            )
            raise BackendError(msg)
        self._grey(self._captured())

    def take_down(self) -> None:
        """Let go of the screen."""
        screen, self._screen, self._before = self._screen, None, None
        if screen is not None:
            screen.close()

    def fetch(self) -> Pixels:
        """Return the next picture, (rows, cols) uint8.

        A picture equal to the one before is waited on: the viewer has not drawn a new exposure.
        What still stands after the patience is returned; the frame guard then judges it.

        Raises:
            FrameError: the region shows colours: something covers the viewer.
            BackendError: the screen cannot be captured.
        """
        self._sleep(self._wait_s)
        waited = 0.0
        pixels = self._grey(self._captured())
        while (
            self._before is not None
            and waited < self._patience_s
            and np.array_equal(pixels, self._before)
        ):
            pause = max(self._wait_s / 4, 0.01)
            self._sleep(pause)
            waited += pause
            pixels = self._grey(self._captured())
        self._before = pixels
        return pixels

    def _captured(self) -> npt.NDArray[np.uint8]:
        left, top = self._corner
        rows, cols = self._shape
        region = {"left": left, "top": top, "width": cols, "height": rows}
        if self._screen is None:
            msg = "the screen is not open; call open first"
            raise BackendError(msg)
        try:
            shot = self._screen.grab(region)
        # Whatever the capturing library makes of a screen that went away.
        except Exception as error:
            msg = f"the screen could not be captured: {error!r}"
            raise BackendError(msg) from error
        pixels = np.frombuffer(shot.bgra, np.uint8)
        if pixels.size != rows * cols * 4:
            msg = f"the screen delivered {pixels.size} bytes for {cols} x {rows} px; scale it to 1"
            raise FrameError(msg)
        return pixels.reshape(rows, cols, 4)

    def _grey(self, colours: npt.NDArray[np.uint8]) -> Pixels:
        sample = colours[::4, ::4, :3].astype(np.int16)
        cast = float(np.mean(np.ptp(sample, axis=2) > _COLOUR_CAST))
        if cast > 0.01:  # noqa: PLR2004 - a cursor or a cross-hair is less
            msg = (
                f"{100 * cast:.0f} % of the region at {self._corner} is coloured; is another "
                "window in front of the viewer, or does the viewer use false colours?"
            )
            raise FrameError(msg)
        return np.ascontiguousarray(colours[:, :, _GREEN])
