"""Frames as the server sends them, and as a broken camera would.

Pickles are the server's own format: they are written here and never read.
"""

import pickle

import numpy as np
import numpy.typing as npt

_PROTOCOL = 4
_SATURATED = 65535
Pixels = npt.NDArray[np.generic]


def on_the_wire(frame: npt.NDArray[np.uint16]) -> npt.NDArray[np.int32]:
    """Return a (row, col) frame as the server has it: int32, [x, y], in Fortran order."""
    return frame.T.astype(np.int32, order="F")


def pickled(frames: list[Pixels]) -> bytes:
    """Return frames as `acquireImages` delivers them."""
    return pickle.dumps(frames, protocol=_PROTOCOL)


def spoiled(effect: str, frame: Pixels) -> Pixels:
    """Return a frame with a fault in it; unchanged where the effect is no fault of frames."""
    if effect == "dark-frame":
        return np.zeros_like(frame)
    if effect == "saturated-frame":
        return np.full_like(frame, _SATURATED)
    if effect == "short-frame":
        return np.asfortranarray(frame[: frame.shape[0] // 2])
    if effect == "nan-frame":
        broken = frame.astype(np.float64, order="F")
        broken[::7, ::5] = np.nan
        return broken
    return frame
