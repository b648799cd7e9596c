"""Time of one simulated frame, against the convolution the published simulator draws with.

The yardstick convolves a 301 x 301 integer image, one pixel set, with a disk. "A disk of 19
pixels" is taken as 19 pixels across, the cheaper reading (39 x 39 for a radius of 19), and the
fastest of scipy's ways to convolve counts, so that the comparison does not flatter the column.
A frame here has twelve times as many pixels, all with fresh noise.

Run it as ``python benchmarks/bench_frame.py``.
"""

import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage, signal

from stempilot_backends.column import Column, ColumnParameters

FIELD_SIDE_PX = 301
DISK_SIDE_PX = 19
EXPOSURE_S = 0.170
CYCLE_S = 0.18
REPETITIONS = 30
BURST = 5


def exposure(radius_px: float) -> Callable[[], object]:
    """Return a step of a column: a move, its settling, and a frame."""
    column = Column(
        ColumnParameters(semi_angle_rad=radius_px * 0.565e-3), np.random.SeedSequence(0)
    )
    rng = np.random.default_rng(0)

    def step() -> object:
        column.set("diffraction_shift", tuple(rng.uniform(-0.2, 0.2, 2)))
        column.advance(CYCLE_S)
        return column.expose(EXPOSURE_S)

    return step


def convolutions() -> dict[str, Callable[[], object]]:
    """Return scipy's ways to convolve the field of integers with the disk."""
    across = np.arange(DISK_SIDE_PX) - DISK_SIDE_PX // 2
    disk = (across[:, None] ** 2 + across**2 <= (DISK_SIDE_PX / 2) ** 2).astype(int)
    field = np.zeros((FIELD_SIDE_PX, FIELD_SIDE_PX), int)
    field[100, 180] = 255
    return {
        "ndimage.convolve": lambda: ndimage.convolve(field, disk, mode="constant"),
        "signal.convolve2d": lambda: signal.convolve2d(field, disk, mode="same"),
        "signal.convolve": lambda: signal.convolve(field, disk, mode="same"),
        "signal.fftconvolve": lambda: signal.fftconvolve(field, disk, mode="same"),
        "signal.oaconvolve": lambda: signal.oaconvolve(field, disk, mode="same"),
    }


def measure(repetitions: int = REPETITIONS) -> dict[str, float]:
    """Return medians in milliseconds and how many frames fit into the fastest convolution.

    All are timed in turn in each repetition, a few times each, so that a busy moment falls on
    each alike and none pays for the cache that its predecessor filled.
    """
    contenders: dict[str, Callable[[], object]] = {
        "frame, radius 30 px": exposure(30.2),
        "frame, radius 9 px": exposure(9.0),
        "frame, radius 60 px": exposure(60.0),
        **convolutions(),
    }
    for contender in contenders.values():
        contender()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, contender in contenders.items():
            for _ in range(BURST):
                start = time.perf_counter()
                contender()
                times[name].append(time.perf_counter() - start)
    figures = {f"{name} [ms]": 1e3 * float(np.median(found)) for name, found in times.items()}
    yardstick = min(figures[f"{name} [ms]"] for name in convolutions())
    frame = figures["frame, radius 30 px [ms]"]
    return {
        **figures,
        "fastest convolution [ms]": yardstick,
        "frames per second": 1e3 / frame,
        "frames per fastest convolution": yardstick / frame,
    }


def main() -> None:
    """Print the figures."""
    for name, value in measure().items():
        print(f"{name:32} {value:10.3f}")


if __name__ == "__main__":
    main()
