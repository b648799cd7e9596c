"""A frame, with honest noise in every pixel, plus locating the disk, over a scipy convolution.

Yardstick: the published renderer draws its disk by one convolution of a 301 x 301 integer image
with a disk of 19 pixels, and makes 75 steps a second, 13 ms each. `scipy.ndimage.convolve` is what
takes that long; the transform-based ways are faster and are shown beside it.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.bench_frame import convolutions, exposure
from stempilot_tasks.imaging import locate_disk

ROUNDS = 40
YARDSTICK = "ndimage.convolve"


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Return medians over alternating rounds, in ms, and how many frames fit a convolution."""
    draw = exposure(30.2)

    def draw_and_locate() -> object:
        frame: Any = draw()
        frame.flags.writeable = False
        return locate_disk(frame)

    contenders: dict[str, Callable[[], object]] = {
        "frame": draw,
        "frame and locating": draw_and_locate,
        **convolutions(),
    }
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for contender in contenders.values():
        contender()
    for _ in range(rounds):
        for name, contender in contenders.items():
            for _ in range(3):
                started = time.perf_counter()
                contender()
                seen[name].append(time.perf_counter() - started)
    times = {name: 1e3 * median(values) for name, values in seen.items()}
    ratios = {
        f"{name} / frame and locating": times[name] / times["frame and locating"]
        for name in convolutions()
    }
    return {**{f"{name} [ms]": value for name, value in times.items()}, **ratios}
