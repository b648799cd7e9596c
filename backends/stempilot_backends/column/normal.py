"""Many normal numbers at once, in less than half of the time that numpy takes for them."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

_UNIT: Final = np.float32(2.0**-32)
_TURN: Final = np.float32(math.tau * 2.0**-32)


def draw_normal(rng: np.random.Generator, out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill an array with independent standard normal numbers and return it.

    By Box and Muller's transform of 32-bit numbers, in single precision: seven digits, and none
    beyond 6.8. It has no branches, so that all of it is vectorised.

    Args:
        rng: where they come from.
        out: (2 k, n).
    """
    half = out.size // 2
    words = rng.integers(0, 2**64, size=half, dtype=np.uint64)
    uniform = words.view(np.uint32).astype(np.float32)
    length, angle = uniform[:half], uniform[half:]
    # Never 0, of which there is no logarithm.
    length += np.float32(0.5)
    length *= _UNIT
    np.log(length, out=length)
    length *= np.float32(-2.0)
    np.sqrt(length, out=length)
    angle *= _TURN
    first, second = out[: len(out) // 2], out[len(out) // 2 :]
    np.multiply(np.cos(angle).reshape(first.shape), length.reshape(first.shape), out=first)
    np.multiply(np.sin(angle).reshape(first.shape), length.reshape(first.shape), out=second)
    return out
