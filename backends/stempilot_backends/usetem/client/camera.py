"""Frames through ``acquisition.addCameraByName`` and ``acquireImages``.

The server keeps one list of devices for all of its clients, and exposes all of them at each call.
The camera is put on that list when the backend opens, and taken off when it closes if it was not
there before. Adding it moves nothing, yet it makes every client's ``acquireImages`` deliver one
array more; nothing else on the list is ever touched.
"""

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve

from stempilot import BackendError, FrameError
from stempilot_backends.usetem.client.config import UsetemThemisConfig
from stempilot_backends.usetem.client.server import Answer, Call, Limits, Server
from stempilot_backends.usetem.wire.arrays import Array, read_arrays
from stempilot_backends.usetem.wire.faults import ServerFaultError
from stempilot_backends.usetem.wire.marshal import MAX_XML_BYTES
from stempilot_backends.usetem.wire.values import wrong

ACQUIRE = "acquisition.acquireImages"
ADD = "acquisition.addCameraByName"
REMOVE = "acquisition.removeAcqDeviceByName"
_BASE64_GROWTH = 1.4
"""Four characters for three bytes, and a line end after 76 of them."""
_log = logging.getLogger(__name__)


class Camera:
    """One camera on the server's list.

    Args:
        config: the camera's name, what its frames look like, deadlines.
        server: where it is.
    """

    def __init__(self, config: UsetemThemisConfig, server: Server) -> None:
        self._config = config
        self._server = server
        self._added = False
        self._dtype = np.dtype(config.frame_dtype)
        frame_bytes = config.frame_shape[0] * config.frame_shape[1] * self._dtype.itemsize
        self._limits = Limits(
            seconds=config.frame_timeout_s,
            max_bytes=MAX_XML_BYTES + int(_BASE64_GROWTH * frame_bytes * config.max_devices),
            # Exposing twice moves nothing, and the frame that is delivered still comes after the
            # last write; it costs another exposure.
            resends=config.acquire_retries,
        )

    def put_up(self) -> None:
        """Put the camera on the server's list and see that it delivers.

        Raises:
            BackendError: the server does not know it, or its frames are not what was promised.
        """
        before = 0
        # An empty list may well be a fault to the server.
        with contextlib.suppress(ServerFaultError):
            before = len(self._exposed(())[0])
        self._add()
        arrays, _ = self._exposed(())
        self._added = len(arrays) > before
        self._ours(arrays)

    def take_down(self) -> None:
        """Take the camera off the list if `put_up` put it there. Never raises."""
        if not self._added:
            return
        self._added = False
        # Sent once: after it took effect, a second one might take off another client's.
        once = evolve(self._server.short, resends=0)
        try:
            (removed,) = self._server.multicall([Call(REMOVE, (self._config.camera,))], once)
            removed.value()
        # Left on the list it costs the next client an array; closing goes on.
        except BackendError as error:
            _log.warning("%s stays on the server's list of devices: %s", self._config.camera, error)

    def fetch(self, readings: Sequence[Call] = ()) -> tuple[Array, list[Answer]]:
        """Expose, and make further calls right after it in the same round trip.

        When the server restarted, or a client emptied its list, the camera is put on it again.

        Returns:
            The (row, col) pixels, and the answers to the further calls.

        Raises:
            FrameError: what came is not one frame as promised.
            BackendError: the server failed.
        """
        empty = False
        try:
            arrays, answers = self._exposed(readings)
        except ServerFaultError as error:
            problem = str(error)
        else:
            if arrays:
                return self._ours(arrays), answers
            problem, empty = "the server's list of devices is empty", True
        _log.warning("%s; putting %s on it again", problem, self._config.camera)
        absent = self._add()
        self._added = self._added or empty or absent
        arrays, answers = self._exposed(readings)
        return self._ours(arrays), answers

    def _exposed(self, readings: Sequence[Call]) -> tuple[list[Array], list[Answer]]:
        exposed, *answers = self._server.multicall([Call(ACQUIRE), *readings], self._limits)
        pickled = exposed.value()
        if not isinstance(pickled, bytes):
            raise wrong(ACQUIRE, pickled, "binary data")
        return read_arrays(pickled, what=f"the reply to {ACQUIRE}"), answers

    def _add(self) -> bool:
        """Put the camera on the list exactly once more than without it.

        Removing and adding in one request is safe to repeat as a whole, and leaves one of ours
        however the server takes to an absent name or a repeated one.

        Returns:
            Whether the server said that it was not on the list.

        Raises:
            BackendError: the server failed, or does not know the camera.
        """
        name = self._config.camera
        removed, added = self._server.multicall([Call(REMOVE, (name,)), Call(ADD, (name,))])
        try:
            added.value()
        except ServerFaultError as error:
            msg = (
                f"the server does not take the camera {name!r} ({error}); set backend.camera to "
                "its name in the microscope's user interface"
            )
            raise BackendError(msg) from error
        return removed.fault is not None

    def _ours(self, arrays: Sequence[Array]) -> npt.NDArray[Any]:
        """Return the one frame that can be this camera's.

        Raises:
            FrameError: none or several can.
        """
        turned = [self._turned(array) for array in arrays]
        fitting = [frame for frame in turned if self._fits(frame)]
        if len(fitting) == 1:
            return np.ascontiguousarray(fitting[0], dtype=self._dtype)
        found = ", ".join(f"{frame.shape} {frame.dtype}" for frame in turned[:4]) or "nothing"
        promised = f"{self._config.frame_shape} {self._dtype}"
        if fitting:
            msg = (
                f"the server delivered {found}, and {len(fitting)} of them can be "
                f"{self._config.camera}'s {promised}; have the other devices removed from its list"
            )
        else:
            msg = (
                f"{self._config.camera} delivered {found}, not {promised}; set "
                "backend.frame_shape and backend.frame_dtype, or the camera's read-out, so that "
                "both agree"
            )
        raise FrameError(msg)

    def _turned(self, array: Array) -> Array:
        if array.ndim != 2:  # noqa: PLR2004 - not an image
            return array
        turned = array.T if self._config.transpose else array
        if self._config.flip_x:
            turned = turned[:, ::-1]
        return turned[::-1] if self._config.flip_y else turned

    def _fits(self, frame: Array) -> bool:
        return frame.shape == self._config.frame_shape and np.can_cast(frame.dtype, self._dtype)
