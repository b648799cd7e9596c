"""What is told of films without frames is what is read of Ronchigrams, as far as errors go.

The level of measurements and the reader meet the same states of the probe, on the usual camera.
Errors count in units of the level's own RMS error there, so that those of different states lie in
one distribution.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from attrs import evolve
from numpy.random import SeedSequence

from stempilot_backends.column import Column, ColumnParameters
from stempilot_backends.column.shadows import dose_e, read
from stempilot_tasks.imaging.ronchigram import read_ronchigram, wavelength_m

EXPOSURE_S = 0.17
CAMERA = ColumnParameters(film=True, semi_angle_rad=30e-3, camera_length_index=15)
WEAK_A, STRONG_A = 20e-12, 200e-12
"""The ends of what the preset draws."""

FRAMES = 16
LEVEL = 500
"""Frames of a cell, and how often the level is asked about each."""


class Place(NamedTuple):
    """Sizes of C1 in nm, from and to, and the largest A1 over C1."""

    nearest: float
    farthest: float
    ratio: float


NEAR, START, FAR = Place(65, 110, 0.05), Place(180, 220, 0.5), Place(300, 450, 0.3)
CELLS = [(place, current) for place in (NEAR, START, FAR) for current in (WEAK_A, STRONG_A)]
GROUPS = {
    "near focus": [cell for cell in CELLS if cell[0] == NEAR],
    "at a start": [cell for cell in CELLS if cell[0] == START],
    "far away": [cell for cell in CELLS if cell[0] == FAR],
    "weak beam": [cell for cell in CELLS if cell[1] == WEAK_A],
    "strong beam": [cell for cell in CELLS if cell[1] == STRONG_A],
}
PARTS = {"C1": slice(0, 1), "A1": slice(1, 3)}

ERRORS = (0.5, 1.3)
STATED = (0.7, 1.1)
"""What lies between: errors of the level over those on frames, and its uncertainties over those
that the reader states. Half and twice of what the level has are out of bounds."""

CLOSE_NM = (35, 40, 45, 50, 55, 60)
APART_NM = 6.0
"""Frames begin to tell something within this of where the level does."""


class Told(NamedTuple):
    """Errors and stated uncertainties of |C1|, A1x and A1y, (frames, 3); NaN where untold."""

    errors: np.ndarray
    stated: np.ndarray


def states(place: Place, count: int) -> np.ndarray:
    """Return true C1, A1x and A1y in m, (3, count), on either side of focus."""
    rng = np.random.default_rng(3)
    size = 1e-9 * rng.uniform(place.nearest, place.farthest, count)
    away = size * rng.uniform(0, place.ratio, count) * np.exp(2j * np.pi * rng.random(count))
    return np.stack([size * rng.choice([-1, 1], count), away.real, away.imag])


def drawn(true: np.ndarray, current_a: float) -> Told:
    """Return what the reader tells of a frame of each state, with residual aberrations."""
    camera = evolve(CAMERA, probe_current_a=current_a)
    column, told = Column(camera, SeedSequence(0)), np.full((true.shape[1], 6), np.nan)
    rng = np.random.default_rng(1)
    for number, (c1, x, y) in enumerate(true.T.tolist()):
        column.reseed(SeedSequence(number))
        column.change(
            coma_m=rng.uniform(0, 60e-9), coma_deg=rng.uniform(0, 360),
            threefold_m=rng.uniform(0, 60e-9), threefold_deg=rng.uniform(0, 360),
            spherical_m=rng.uniform(-0.5e-6, 0.5e-6),
        )  # fmt: skip
        column.misfocus(c1, (x, y))
        frame = column.expose(EXPOSURE_S)
        found = read_ronchigram(frame, camera.pixel_rad_in_use, wavelength_m(300e3)).aberrations
        if found is not None:
            told[number] = found.c1, *found.a1, *found.uncertainty
    return Told(told[:, :3] - _shown(true), told[:, 3:])


def modelled(true: np.ndarray, current_a: float) -> Told:
    """Return what the level tells, many times of each state."""
    many = np.repeat(true, LEVEL, axis=1)
    dose = np.full(many.shape[1], dose_e(CAMERA, np.array([current_a]), EXPOSURE_S))
    told = read(many, dose, np.random.default_rng(2).standard_normal((4, dose.size)))
    values = np.column_stack([told["c1_m"], told["a1_m"]])
    return Told(values - _shown(many), told["uncertainty_m"])


def _shown(true: np.ndarray) -> np.ndarray:
    """Return the three with C1 positive, as frames show them."""
    return np.asarray((np.sign(true[0]) * true).T)


@cache
def both(place: Place, current_a: float) -> tuple[Told, Told]:
    """Return what the level tells and what frames do, errors in units of the level's RMS one."""
    true = states(place, FRAMES)
    level, frames = modelled(true, current_a), drawn(true, current_a)
    c1, a1 = (np.sqrt(np.nanmean(level.errors[:, part] ** 2)) for part in PARTS.values())
    units = [c1, a1, a1]
    return level._replace(errors=level.errors / units), frames._replace(
        errors=frames.errors / units
    )


def ratio(group: str, part: slice, share: float) -> float:
    """Return a quantile of the level's errors over that of errors on frames."""
    cells = [both(*cell) for cell in GROUPS[group]]
    level, frames = (
        np.nanquantile(np.abs(np.concatenate([told.errors[:, part] for told in side])), share)
        for side in zip(*cells, strict=True)
    )
    return float(level / frames)


@pytest.mark.slow
def test_errors_are_distributed_as_on_frames() -> None:
    """One test, so that all that is drawn for it is drawn once."""
    for cell in CELLS:
        level, frames = both(*cell)
        assert np.isnan(level.errors[:, 0]).mean() < 0.05
        assert np.isnan(frames.errors[:, 0]).sum() <= 1
    found = {
        f"{name} {group}, share {share}": ratio(group, part, share)
        for group in GROUPS
        for name, part in PARTS.items()
        for share in (0.5, 0.95)
    }
    assert outside(found, *ERRORS) == {}
    stated = {
        f"{name} {cell}": np.nanmean(both(*cell)[0].stated[:, part])
        / np.nanmean(both(*cell)[1].stated[:, part])
        for cell in CELLS
        for name, part in PARTS.items()
    }
    assert outside(stated, *STATED) == {}


def outside(found: dict[str, float], least: float, most: float) -> dict[str, float]:
    return {name: value for name, value in found.items() if not least < value < most}


def begins_nm(told: list[Told]) -> float:
    """Return where half of the frames tell something, of steps that each stand for 5 nm."""
    share = np.mean([~np.isnan(one.stated[:, 0]) for one in told])
    return CLOSE_NM[-1] + 2.5 - 5 * len(CLOSE_NM) * float(share)


@pytest.mark.slow
def test_frames_begin_to_tell_where_the_level_does() -> None:
    nm = np.repeat(CLOSE_NM, 5) * 1e-9
    true = np.stack([nm, np.full(nm.size, 2e-9), np.zeros(nm.size)])
    level, frames = (
        begins_nm([tell(true, current) for current in (WEAK_A, STRONG_A)])
        for tell in (modelled, drawn)
    )
    assert abs(frames - level) < APART_NM


@pytest.mark.parametrize(("c1", "a1"), [(-20e-9, 0.0), (150e-9, 140e-9), (12e-9, 5e-9)])
def test_where_nothing_is_told_nothing_is_read(c1: float, a1: float) -> None:
    true = np.tile([[c1], [a1], [0.0]], 4)
    level, frames = (tell(true, 80e-12).stated[:, 0] for tell in (modelled, drawn))
    assert np.isnan(level).mean() > 0.98
    assert np.isnan(frames).sum() >= 3
