"""What is compiled to draw a frame: one file, for numba keeps compiled code until it changes."""

import math
from functools import partial
from statistics import NormalDist

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stempilot import compiled
from stempilot_backends.column.frame.scene import Electronics, LevelTable, Pattern, Scene

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

_NORMALS = np.array([NormalDist().inv_cdf((i + 0.5) / 4096) for i in range(4096)])
_NORMALS = (_NORMALS / (_NORMALS.std() * math.sqrt(2.0))).astype(np.float32)
"""Quantiles; the sum of any two is as good as normal."""
_QUICK_NOISE_E = 5.0
"""Read noise from which three moments are the distribution: the excess kurtosis is below 0.01."""


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
def draw_pattern(
    frame: NDArray[np.uint16],
    scene: Scene,
    pattern: Pattern,
    table: LevelTable,
    loss: float,
    counter: NDArray[np.uint64],
    rng: np.random.Generator,
) -> None:
    """Draw the background from its table, then every pixel that more falls on, row by row.

    With a ``loss``, that of the light in the corner pixels, every pixel is drawn at its own mean.
    """
    fill(frame.reshape(-1), table, counter, rng)
    signal, normals = np.empty(frame.shape[1]), np.empty(frame.shape[1] + 1, np.float32)
    quick = table.electronics.read_noise_e >= _QUICK_NOISE_E
    for row in range(frame.shape[0]):
        lit, background_e = _light(signal, row, scene, pattern), scene.background_e
        if loss > 0.0:
            _dim(signal, row, background_e, loss)
            background_e = 0.0
        elif not lit:
            continue
        if quick:
            _draw_quickly(frame[row], signal, background_e, table.electronics, counter, normals)
            continue
        for column in np.flatnonzero(signal):
            frame[row, column] = draw(background_e + signal[column], table.electronics, rng)


@compiled
def _light(signal: NDArray[np.float64], row: int, scene: Scene, pattern: Pattern) -> bool:
    """Work out the mean electrons of a row beside the background; return whether there are any."""
    halo, wave = pattern.halo.size > 0, pattern.wave
    for column in range(signal.size):
        signal[column] = pattern.halo[0, column] * pattern.halo[1, row] if halo else 0.0
    for column in range(wave.shape[1]):
        signal[column] += wave[row, column].real ** 2 + wave[row, column].imag ** 2
    lit = halo or wave.size > 0
    if abs(row - scene.y) < pattern.ring_start + 0.5 * pattern.ring.size:
        _add_ring(signal, row, scene, pattern)
        lit = True
    for i in range(len(pattern.disks)):
        x, y, electrons = pattern.disks[i]
        if abs(row - y) < scene.radius + 0.5:
            _add_disk(signal, row - y, x, scene.radius, electrons)
            lit = True
    if abs(row - scene.y) < scene.radius + _HALF_DIAGONAL:
        _add_direct(signal, row, scene, pattern)
        lit = True
    if lit and pattern.stop[4] > 0.0:
        _shade(signal, row, pattern.stop)
    return lit


@compiled
def _span(centre: float, distance: float, reach: float, side: int) -> tuple[int, int]:
    """Return the pixels of a line, at a distance from a centre, that lie within reach of it."""
    if not abs(distance) < reach:
        return 0, 0
    half = math.sqrt(reach * reach - distance * distance)
    if not (centre - half < side and centre + half >= 0.0):
        return 0, 0
    return math.ceil(max(centre - half, 0.0)), math.floor(min(centre + half, side - 1.0)) + 1


@compiled
def _add_ring(signal: NDArray[np.float64], row: int, scene: Scene, pattern: Pattern) -> None:
    """Add the ring about the direct beam to a row."""
    y, ring, start = row - scene.y, pattern.ring, pattern.ring_start
    first, last = _span(scene.x, y, start + 0.5 * (ring.size - 2), signal.size)
    for column in range(first, last):
        x = column - scene.x
        place = 2.0 * (math.sqrt(x * x + y * y) - start)
        if place >= 0.0:
            below = int(place)
            low, high = ring[below], ring[below + 1]
            signal[column] += low + (place - below) * (high - low)


@compiled
def _add_disk(
    signal: NDArray[np.float64], y: float, centre: float, radius: float, electrons: float
) -> None:
    """Add an even disk to the row at ``y`` from its centre; its edge is a straight one."""
    first, last = _span(centre, y, radius + 0.5, signal.size)
    whole, after = _span(centre, y, radius - 0.5, signal.size)
    if whole >= after:
        whole = after = last
    signal[whole:after] += electrons
    for start, end in ((first, whole), (after, last)):
        for column in range(start, end):
            x = column - centre
            covered = radius + 0.5 - math.sqrt(x * x + y * y)
            signal[column] += electrons * min(max(covered, 0.0), 1.0)


@compiled
def _add_direct(signal: NDArray[np.float64], row: int, scene: Scene, pattern: Pattern) -> None:
    """Add the direct disk with its structure to a row."""
    y = row - scene.y
    first, last = _span(scene.x, y, scene.radius + _HALF_DIAGONAL, signal.size)
    for column in range(first, last):
        x = column - scene.x
        bright = max(1.0 + pattern.slope[0] * x + pattern.slope[1] * y, 0.0)
        for i in range(len(pattern.bands)):
            nx, ny, start, end, factor = pattern.bands[i]
            along = nx * x + ny * y
            inside = min(max(along - start + 0.5, 0.0), 1.0) * min(max(end - along + 0.5, 0.0), 1.0)
            bright *= 1.0 + inside * (factor - 1.0)
        signal[column] += scene.disk_e * bright * coverage(x, y, scene.radius)


@compiled
def _shade(signal: NDArray[np.float64], row: int, stop: NDArray[np.float64]) -> None:
    """Take from a row what falls on the beam stop."""
    tip_x, tip_y, ux, uy, half = stop
    y = row - tip_y
    for column in range(signal.size):
        x = column - tip_x
        along = min(max(x * ux + y * uy + 0.5, 0.0), 1.0)
        across = min(max(half - abs(x * uy - y * ux) + 0.5, 0.0), 1.0)
        signal[column] *= 1.0 - along * across


@compiled
def _dim(signal: NDArray[np.float64], row: int, background_e: float, loss: float) -> None:
    """Make of a row's signal its means, with the light that is lost towards the corners."""
    middle = (signal.size - 1) / 2
    for column in range(signal.size):
        square = (row - middle) ** 2 + (column - middle) ** 2
        light = max(1.0 - loss * square / (2.0 * middle**2), 0.0)
        signal[column] = max(light * (background_e + signal[column]), 1e-9)


@partial(compiled, error_model="numpy")
def _draw_quickly(
    pixels: NDArray[np.uint16],
    signal: NDArray[np.float64],
    background_e: float,
    electronics: Electronics,
    counter: NDArray[np.uint64],
    normals: NDArray[np.float32],
) -> None:
    """Draw the pixels of a row that have a signal, by their first three moments."""
    first, last = 0, signal.size
    while first < last and signal[first] == 0.0:
        first += 1
    while first < last and signal[last - 1] == 0.0:
        last -= 1
    lit, shown = signal[first:last], pixels[first:last]
    _fill_normals(normals, (lit.size + 1) // 2, counter)
    gain, offset_dn = np.float32(electronics[0]), np.float32(electronics[2] + 0.5)
    base_e, noise = np.float32(background_e), np.float32(electronics[1] ** 2)
    sixth, one, most = np.float32(1.0 / 6.0), np.float32(1.0), np.float32(SATURATION_DN)
    for i in range(lit.size):
        mean_e = base_e + np.float32(lit[i])
        variance = mean_e + noise
        skewed = sixth * (mean_e / variance) * (normals[i] * normals[i] - one)
        raw = gain * (mean_e + np.sqrt(variance) * normals[i] + skewed) + offset_dn
        if lit[i] > 0.0:
            shown[i] = np.uint16(np.int32(min(max(raw, np.float32(0.0)), most)))


@compiled
def _fill_normals(normals: NDArray[np.float32], pairs: int, counter: NDArray[np.uint64]) -> None:
    """Draw so many pairs of normal numbers."""
    mask, state = np.uint64(4095), counter[0]
    for i in range(pairs):
        word = _mix(state + np.uint64(i) * _STEP)
        normals[2 * i] = _NORMALS[word & mask] + _NORMALS[(word >> np.uint64(12)) & mask]
        word >>= np.uint64(24)
        normals[2 * i + 1] = _NORMALS[word & mask] + _NORMALS[(word >> np.uint64(12)) & mask]
    counter[0] = state + np.uint64(pairs) * _STEP


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
        y: Row of the pixel centre, likewise.
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
