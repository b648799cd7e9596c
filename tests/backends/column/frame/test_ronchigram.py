"""A Ronchigram is what the formula says, pixel by pixel, and the camera shows it with its noise."""

import math

import numpy as np
import pytest
from attrs import evolve

from stempilot_backends.column import Column, ColumnParameters
from stempilot_backends.column.film import Area, film
from stempilot_backends.column.frame.camera import scene
from stempilot_backends.column.frame.ronchigram import ronchigram
from stempilot_backends.column.probe import Aberrations

SIDE = 120
FILM = ColumnParameters(
    film=True,
    frame_side_px=SIDE,
    semi_angle_rad=20e-3,
    pixel_rad=0.4e-3,
    probe_current_a=100e-12,
    action_noise=0.0,
)
SOME = Aberrations(-60e-9, 15e-9 + 8e-9j, 0.3e-6 - 0.2e-6j, -0.1e-6 + 0.4e-6j, 20e-6)
AREA = Area(1, (0.6e-9, -1.9e-9))
PERIOD_M = FILM.wavelength_m / 0.4e-3


def shown(
    probe: Aberrations, area: Area = AREA, at: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """Return the mean electrons of each pixel."""
    wave = ronchigram(FILM, scene(FILM, at, 0.17), probe, area)
    assert wave.dtype == np.complex64
    return np.abs(wave.astype(complex)) ** 2


def by_the_formula(probe: Aberrations, area: Area, at: tuple[float, float]) -> np.ndarray:
    """Return the same, slowly: in double precision, with the zero frequency in the middle."""
    middle, pixel = SIDE // 2, 0.4e-3
    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    w = pixel * (columns - at[0] + 1j * (rows - at[1]))
    chi = (2 * math.pi / 1.96875e-12) * np.real(
        0.5 * abs(w) ** 2 * probe.c1
        + 0.5 * np.conj(w) ** 2 * probe.a1
        + abs(w) ** 2 * w * np.conj(probe.b2)
        + np.conj(w) ** 3 * probe.a2 / 3
        + abs(w) ** 4 * probe.c3 / 4
    )
    aperture = np.where(abs(w) < 20e-3, np.exp(-1j * chi), 0.0)
    shift = [-round(place / (1.96875e-12 / pixel) * SIDE) for place in area.place_m[::-1]]
    through = np.roll(film(FILM, area.piece).astype(complex), shift, (0, 1))
    frequencies = np.arange(SIDE) - middle
    matrix = np.exp(2j * math.pi * np.outer(frequencies, frequencies) / SIDE)
    seen = np.conj(matrix) @ (
        matrix @ aperture @ matrix * np.roll(through, (middle, middle), (0, 1))
    )
    electrons = 100e-12 * 0.17 / 1.602176634e-19 / (math.pi * 50.0**2)
    return electrons * np.abs(seen @ np.conj(matrix)) ** 2 / SIDE**4


@pytest.mark.parametrize("at", [(0.0, 0.0), (3.3, -7.6), (40.0, 12.0)])
def test_it_is_the_slow_formula(at: tuple[float, float]) -> None:
    expected = by_the_formula(SOME, AREA, at)
    # The wavelength is written with six digits there, and single precision is used here.
    assert shown(SOME, at=at) == pytest.approx(expected, abs=0.01 * expected.max())


def test_no_electron_is_lost() -> None:
    lit = scene(FILM, (0.0, 0.0), 0.17).disk_e
    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    inside = np.hypot(rows, columns) < 50.0
    assert shown(SOME).sum() == pytest.approx(lit * inside.sum(), rel=1e-5)
    assert shown(SOME).sum() == pytest.approx(100e-12 * 0.17 / 1.602e-19, rel=0.01)


def test_the_film_goes_on_at_its_other_side() -> None:
    x, y = AREA.place_m
    here = shown(SOME)
    around = shown(SOME, Area(1, (x + 3 * PERIOD_M, y - PERIOD_M)))
    assert np.array_equal(here, around)
    moved = shown(SOME, Area(1, (x + 0.5 * PERIOD_M, y)))
    inside = np.s_[35:-35, 35:-35]
    assert abs(np.corrcoef(here[inside].ravel(), moved[inside].ravel())[0, 1]) < 0.2
    assert not np.array_equal(here, shown(SOME, Area(2, (x, y))))


def test_the_other_sign_of_all_aberrations_mirrors_what_a_mirrored_film_shows() -> None:
    """Turned by half a turn and conjugated, a wave is that of the mirrored, conjugated film."""
    flat = shown(Aberrations(40e-9, 10e-9j))
    other = shown(Aberrations(-40e-9, -10e-9j))
    inside = np.s_[35:-35, 35:-35]
    alike = np.corrcoef(flat[inside].ravel(), other[inside][::-1, ::-1].ravel())[0, 1]
    # A weak phase: contrast is reversed, and the shadow lies on the other side of the middle.
    assert alike < -0.5


@pytest.mark.parametrize("turn", [0.0, math.pi])
def test_streaks_turn_by_a_right_angle_between_the_two_sides_of_focus(turn: float) -> None:
    a1 = 40e-9 * complex(math.cos(turn), math.sin(turn))

    def along_x(c1: float) -> bool:
        inside = shown(Aberrations(c1, a1))[30:-30, 30:-30]
        return float(np.diff(inside, axis=1).std()) < float(np.diff(inside, axis=0).std())

    # A shadow is magnified most, and longest, along the axis of the smaller defocus.
    assert along_x(80e-9) == (turn != 0.0)
    assert along_x(-80e-9) == (turn == 0.0)


def test_the_camera_shows_it_with_the_noise_of_its_electrons() -> None:
    column = Column(FILM, np.random.SeedSequence(1))
    column.misfocus(-60e-9, (15e-9, 0.0))
    frames = np.array([column.expose(0.17) for _ in range(60)], float)
    means = frames.mean(axis=0) - 100.0
    clear = means > 0.5 * means.max()
    noise = frames.var(axis=0, ddof=1)[clear]
    assert noise.mean() == pytest.approx((means[clear] + 36.0 + 1 / 12).mean(), rel=0.02)
    lit = 100e-12 * 0.17 / 1.602e-19
    assert means.sum() == pytest.approx(lit + SIDE**2, rel=0.01)


def test_beside_the_aperture_there_is_the_background() -> None:
    frame = Column(FILM, np.random.SeedSequence(1)).expose(0.17)
    # One electron, and the film scatters hardly any this far.
    assert frame[:10, :10].mean() == pytest.approx(101.0, abs=3.0)


@pytest.mark.parametrize("change", ["beam_blanked", "screen"])
def test_without_a_beam_there_is_the_background_alone(change: str) -> None:
    column = Column(FILM, np.random.SeedSequence(1))
    setattr(column, change, "up" if change == "screen" else True)
    assert column.expose(0.17).mean() == pytest.approx(101.0, abs=0.3)


def test_vignetting_a_beam_stop_and_dead_pixels_take_from_it() -> None:
    plain = Column(FILM, np.random.SeedSequence(1)).expose(0.17).astype(float)

    def share(**options: float) -> np.ndarray:
        spoiled = Column(evolve(FILM, **options), np.random.SeedSequence(1)).expose(0.17)
        return (spoiled.astype(float) - 100.0) / np.maximum(plain - 100.0, 50.0)

    middle = np.s_[50:70, 50:70]
    edge = np.s_[55:65, 15:25]
    assert share(vignetting=0.6)[edge].mean() < 0.9 * share(vignetting=0.6)[middle].mean()
    assert (share(beam_stop_radii=0.5) < 0.2).mean() > (share() < 0.2).mean() + 0.02
    assert (share(defects=True) < 0.0).any()


def test_a_small_disk_shows_no_shadow() -> None:
    small = evolve(FILM, semi_angle_rad=0.124 * SIDE * 0.4e-3)
    assert not small.shows_ronchigram
    bare = Column(evolve(small, film=False), np.random.SeedSequence(1)).expose(0.17)
    assert np.array_equal(Column(small, np.random.SeedSequence(1)).expose(0.17), bare)
    assert evolve(FILM, semi_angle_rad=0.126 * SIDE * 0.4e-3).shows_ronchigram
