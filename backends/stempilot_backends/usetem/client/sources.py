"""Where frames come from: a camera on the server's list, or a region of the screen."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from stempilot_backends.usetem.client.camera import Camera
from stempilot_backends.usetem.client.config import UsetemThemisConfig
from stempilot_backends.usetem.client.screen import ScreenRegion
from stempilot_backends.usetem.client.server import Answer, Call, Server
from stempilot_backends.usetem.wire.arrays import Array


class FrameSource(Protocol):
    """Delivers frames, and the readings made right after them."""

    def put_up(self) -> None:
        """Get ready, and see that it delivers.

        Raises:
            BackendError: it does not.
        """

    def take_down(self) -> None:
        """Leave everything as it was. Never raises, and is harmless when repeated."""

    def fetch(self, readings: Sequence[Call] = ()) -> tuple[Array, list[Answer]]:
        """Return (row, col) pixels exposed from now on, and the answers to calls made after that.

        Raises:
            BackendError: the source or the server failed.
        """


class OnScreen:
    """A region of the screen, together with a server.

    Args:
        region: what is captured.
        config: whether the picture is mirrored.
        server: answers the calls.
    """

    def __init__(self, region: ScreenRegion, config: UsetemThemisConfig, server: Server) -> None:
        self._region = region
        self._config = config
        self._server = server

    def put_up(self) -> None:
        """Find the region on the screen.

        Raises:
            StempilotError: the screen cannot be captured, or shows no grey picture there.
        """
        self._region.put_up()

    def take_down(self) -> None:
        """Let go of the screen."""
        self._region.take_down()

    def fetch(self, readings: Sequence[Call] = ()) -> tuple[Array, list[Answer]]:
        """Capture the region, then make the calls in one round trip.

        Raises:
            BackendError: the screen or the server failed.
        """
        pixels = self._region.fetch()
        if self._config.flip_x:
            pixels = pixels[:, ::-1]
        if self._config.flip_y:
            pixels = pixels[::-1]
        answers = self._server.multicall(readings) if readings else []
        return np.ascontiguousarray(pixels), answers


def frame_source(config: UsetemThemisConfig, server: Server) -> FrameSource:
    """Return the source of frames that the options name."""
    if config.frames == "camera":
        return Camera(config, server)
    region = ScreenRegion(config.screen_corner, config.frame_shape, wait_s=config.screen_wait_s)
    return OnScreen(region, config, server)
