"""Everything that is compiled to draw a frame: the disk, its noise, and both together.

All of it is in this file because numba keeps compiled code on disk for as long as the file of the
called function is unchanged; it does not look at other files whose functions were compiled in.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stempilot_backends.column.frame.compiled import compiled

SATURATION_DN = 65535
"""Largest digital number of a pixel."""

NORMAL_ABOVE_E = 1e9
"""Mean above which Poisson noise is drawn as normal; its skewness is then below 4e-5."""

_HALF_DIAGONAL = math.sqrt(0.5)

# SplitMix64 (Steele, Lea, Flood 2014): a counter and a mixer. Its steps do not depend on each
# other, so the compiler makes several at a time.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_WORDS = 128
_TO_UNIT = 1.0 / 9007199254740992.0


class Electronics(NamedTuple):
    """What turns electrons into digital numbers.

    Attributes:
        gain_dn_per_electron: Digital numbers per electron.
        read_noise_e: RMS read noise in electrons.
        offset_dn: Digital number without electrons.
    """

    gain_dn_per_electron: float
    read_noise_e: float
    offset_dn: float


class LevelTable(NamedTuple):
    """A distribution as a condensed table and a remainder; together they are exact.

    With probability 1 - ``rest`` a pixel is a uniformly chosen entry of ``cells``. The whole
    table is small enough for the fastest cache because what it cannot express, ``rest`` of all
    pixels, is drawn from ``rest_cdf`` instead: value ``first_dn`` + i where the uniform number
    is below ``rest_cdf[i]`` for the first time.

    Attributes:
        electronics: How the pixel is read.
        cells: Digital numbers, a power of two of them.
        rest: Probability of the remainder.
        rest_cdf: Cumulative distribution of the remainder.
        rest_guide: Where to begin the search in it: entry i for uniform numbers from
            i / len(rest_guide) on.
        first_dn: Digital number of ``rest_cdf[0]``.
    """

    electronics: Electronics
    cells: NDArray[np.uint16]
    rest: float
    rest_cdf: NDArray[np.float64]
    rest_guide: NDArray[np.uint16]
    first_dn: int


class Scene(NamedTuple):
    """What falls on the camera during an exposure.

    Attributes:
        x: Column of the disk centre in pixel coordinates of the frame: the first is 0.
        y: Row of the disk centre, likewise.
        radius: Radius of the disk in pixels.
        background_e: Mean electrons per pixel everywhere.
        disk_e: Mean electrons per pixel inside the disk, in addition; 0 for no disk.
    """

    x: float
    y: float
    radius: float
    background_e: float
    disk_e: float


@compiled
def draw_scene(
    frame: NDArray[np.uint16],
    scene: Scene,
    tables: tuple[LevelTable, LevelTable],
    counter: NDArray[np.uint64],
    rng: np.random.Generator,
) -> None:
    """Draw the background everywhere, then the disk over it.

    Whole pixels of the disk come from its table, those on its edge are drawn singly.
    """
    background, disk = tables
    fill(frame.reshape(-1), background, counter, rng)
    top, bottom = _reach(scene.y, scene.radius, frame.shape[0])
    left, right = _reach(scene.x, scene.radius, frame.shape[1])
    if scene.disk_e == 0.0 or top >= bottom or left >= right:
        return
    whole = np.empty((bottom - top, right - left), np.uint16)
    fill(whole.reshape(-1), disk, counter, rng)
    for row in range(top, bottom):
        for column in range(left, right):
            covered = coverage(column - scene.x, row - scene.y, scene.radius)
            if covered == 1.0:
                frame[row, column] = whole[row - top, column - left]
            elif covered > 0.0:
                mean_e = scene.background_e + covered * scene.disk_e
                frame[row, column] = draw(mean_e, disk.electronics, rng)


@compiled
def _reach(centre: float, radius: float, side: int) -> tuple[int, int]:
    """Return the first row or column that the disk may touch, and the one after the last."""
    first, last = centre - radius - 0.5, centre + radius + 0.5
    # Compared as floats: the disk may be further away than an integer reaches.
    if not (first < side and last >= 0.0):
        return 0, 0
    return math.ceil(max(first, 0.0)), math.floor(min(last, side - 1.0)) + 1


@compiled
def draw_vignetted(
    frame: NDArray[np.uint16],
    scene: Scene,
    loss: float,
    electronics: Electronics,
    rng: np.random.Generator,
) -> None:
    """Draw every pixel at its own mean; ``loss`` of the light is missing in the corner pixels."""
    middle = (frame.shape[0] - 1) / 2
    for row in range(frame.shape[0]):
        for column in range(frame.shape[1]):
            square = (row - middle) ** 2 + (column - middle) ** 2
            light = max(1.0 - loss * square / (2.0 * middle**2), 0.0)
            covered = coverage(column - scene.x, row - scene.y, scene.radius)
            mean_e = light * (scene.background_e + covered * scene.disk_e)
            frame[row, column] = draw(mean_e, electronics, rng)


@compiled
def draw_at(
    pixels: NDArray[np.uint16],
    places: NDArray[np.int64],
    means_e: NDArray[np.float64],
    electronics: Electronics,
    rng: np.random.Generator,
) -> None:
    """Draw the pixels at flat indices ``places``, each at its own mean."""
    for i in range(places.size):
        pixels[places[i]] = draw(means_e[i], electronics, rng)


@compiled
def coverage(x: float, y: float, radius: float) -> float:
    """Return the covered fraction of a pixel, exactly.

    Args:
        x: Column of the pixel centre from the disk centre, in pixels.
        y: Row of the pixel centre from the disk centre, in pixels.
        radius: Radius of the disk in pixels.
    """
    square = x * x + y * y
    if square >= (radius + _HALF_DIAGONAL) ** 2:
        return 0.0
    if radius > _HALF_DIAGONAL and square <= (radius - _HALF_DIAGONAL) ** 2:
        return 1.0
    left, right, top, bottom = x - 0.5, x + 0.5, y - 0.5, y + 0.5
    area = (
        _quadrant(right, bottom, radius)
        - _quadrant(left, bottom, radius)
        - _quadrant(right, top, radius)
        + _quadrant(left, top, radius)
    )
    return min(max(area, 0.0), 1.0)


@compiled
def _quadrant(a: float, b: float, radius: float) -> float:
    """Area of the disk between its axes and the lines x = a and y = b, odd in a and in b."""
    sign = math.copysign(1.0, a) * math.copysign(1.0, b)
    a, b = min(abs(a), radius), min(abs(b), radius)
    if a * a + b * b <= radius * radius:
        return sign * a * b
    corner = math.sqrt(radius * radius - b * b)
    return sign * (b * corner + _under_arc(a, radius) - _under_arc(corner, radius))


@compiled
def _under_arc(x: float, radius: float) -> float:
    """Area under the arc from 0 to x."""
    height = math.sqrt(max(radius * radius - x * x, 0.0))
    return 0.5 * (x * height + radius * radius * math.asin(min(x / radius, 1.0)))


@compiled
def fill(
    pixels: NDArray[np.uint16],
    table: LevelTable,
    counter: NDArray[np.uint64],
    rng: np.random.Generator,
) -> None:
    """Fill ``pixels`` with independent values of one level.

    Args:
        pixels: (n,), written.
        table: Distribution of the level.
        counter: (1,), state of the fast generator, advanced.
        rng: Draws how many pixels come from the remainder of the table.
    """
    if table.cells.size == 1:
        pixels[:] = table.cells[0]
        return
    _fill_from_cells(pixels, table.cells, counter)
    if table.rest > 0.0:
        # Hits scattered with this mean per pixel reach each one with probability ``rest``,
        # independently: a pixel hit twice is only drawn again.
        hits = rng.poisson(-math.log1p(-table.rest) * pixels.size)
        _scatter_rest(pixels, hits, table, counter)


@compiled
def _fill_from_cells(
    pixels: NDArray[np.uint16], cells: NDArray[np.uint16], counter: NDArray[np.uint64]
) -> None:
    """Give every pixel a uniformly chosen cell, four from each 64-bit word."""
    words = np.empty(_WORDS, np.uint64)
    mask = np.uint64(cells.size - 1)
    state = counter[0]
    whole = pixels.size // 4
    for start in range(0, whole, _WORDS):
        block = min(_WORDS, whole - start)
        for i in range(block):
            words[i] = _mix(state + np.uint64(i) * _STEP)
        state += np.uint64(block) * _STEP
        part = pixels[4 * start : 4 * (start + block)]
        for i in range(block):
            word = words[i]
            part[4 * i] = cells[word & mask]
            part[4 * i + 1] = cells[(word >> np.uint64(16)) & mask]
            part[4 * i + 2] = cells[(word >> np.uint64(32)) & mask]
            part[4 * i + 3] = cells[(word >> np.uint64(48)) & mask]
    for i in range(4 * whole, pixels.size):
        pixels[i] = cells[_mix(state) & mask]
        state += _STEP
    counter[0] = state


@compiled
def _scatter_rest(
    pixels: NDArray[np.uint16], hits: int, table: LevelTable, counter: NDArray[np.uint64]
) -> None:
    """Draw ``hits`` pixels at random places from the remainder."""
    state = counter[0]
    for _ in range(hits):
        place = _unit(_mix(state)) * pixels.size
        unit = _unit(_mix(state + _STEP))
        state += np.uint64(2) * _STEP
        found = int(table.rest_guide[int(unit * table.rest_guide.size)])
        while table.rest_cdf[found] <= unit:
            found += 1
        pixels[int(place)] = np.uint16(table.first_dn + found)
    counter[0] = state


@njit(inline="always")
def _unit(word: np.uint64) -> float:
    return np.float64(word >> np.uint64(11)) * _TO_UNIT


@compiled
def draw(mean_e: float, electronics: Electronics, rng: np.random.Generator) -> np.uint16:
    """Return one pixel of any mean: Poisson electrons, normal read noise, digitised."""
    if mean_e > NORMAL_ABOVE_E:
        electrons = mean_e + math.sqrt(mean_e) * rng.standard_normal()
    else:
        electrons = float(rng.poisson(mean_e))
    electrons += electronics.read_noise_e * rng.standard_normal()
    raw = electronics.gain_dn_per_electron * electrons + electronics.offset_dn
    # Clipped as a float: a huge signal does not fit an integer.
    return np.uint16(math.floor(min(max(raw, 0.0), float(SATURATION_DN)) + 0.5))


@njit(inline="always")
def _mix(counter: np.uint64) -> np.uint64:
    word = (counter ^ (counter >> np.uint64(30))) * _MIX_A
    word = (word ^ (word >> np.uint64(27))) * _MIX_B
    return word ^ (word >> np.uint64(31))
