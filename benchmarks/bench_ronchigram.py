"""Time of one Ronchigram at 1040 x 1040, over that of its own two Fourier transforms.

A drawing is all that an exposure takes: the probe, the transforms, the film, and a fresh frame of
the camera. Both are timed in turn in each repetition, so that a busy moment falls on both alike.

Run it as ``python benchmarks/bench_ronchigram.py``.
"""

import time
from collections.abc import Callable

import numpy as np
import scipy.fft

from stempilot_backends.column import Column, ColumnParameters

EXPOSURE_S = 0.170
REPETITIONS = 40
FILM = ColumnParameters(
    film=True, semi_angle_rad=30e-3, camera_length_index=15, probe_current_a=100e-12,
    film_drift_m=0.1e-9, coma_m=50e-9, threefold_m=50e-9,
)  # fmt: skip


def exposure() -> Callable[[], object]:
    """Return a step of a column with a film: a move of the focus and a frame."""
    column = Column(FILM, np.random.SeedSequence(0))
    column.misfocus(-200e-9, (50e-9, 0.0))
    rng = np.random.default_rng(0)

    def step() -> object:
        column.set("stem_defocus", (float(rng.uniform(-50e-9, 50e-9)),))
        column.advance(0.18)
        return column.expose(EXPOSURE_S)

    return step


def transforms() -> Callable[[], object]:
    """Return the two transforms that a drawing takes, of an array that is not zero anywhere."""
    rng, side = np.random.default_rng(0), FILM.frame_side_px
    wave = rng.standard_normal((side, side, 2)).astype(np.float32).view(np.complex64)[..., 0]

    def both() -> object:
        return scipy.fft.fft2(scipy.fft.ifft2(wave), overwrite_x=True)

    return both


def measure(repetitions: int = REPETITIONS) -> dict[str, float]:
    """Return medians in milliseconds, and the median of the ratios of each repetition."""
    contenders = {"Ronchigram": exposure(), "its transforms": transforms()}
    for contender in contenders.values():
        contender()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            times[name].append(time.perf_counter() - start)
    figures = {f"{name} [ms]": 1e3 * float(np.median(found)) for name, found in times.items()}
    drawn, transformed = (np.array(found) for found in times.values())
    return {**figures, "Ronchigram over its transforms": float(np.median(drawn / transformed))}


def main() -> None:
    """Print the figures."""
    for name, value in measure().items():
        print(f"{name:32} {value:10.3f}")


if __name__ == "__main__":
    main()
