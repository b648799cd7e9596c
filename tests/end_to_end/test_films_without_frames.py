"""What is told of films without frames is what is read of Ronchigrams, as far as errors go."""

import numpy as np
import pytest
from numpy.random import SeedSequence

from stempilot_backends.column import Column, ColumnParameters
from stempilot_backends.column.shadows import dose_e, read
from stempilot_tasks.imaging.ronchigram import read_ronchigram, wavelength_m

EXPOSURE_S = 0.17
CURRENT_A = 80e-12
# Half as many pixels of twice the size: what the reader makes of a large frame anyway.
CAMERA = ColumnParameters(
    film=True,
    frame_side_px=520,
    pixel_rad=2 * 0.565e-3,
    read_noise_e=12.0,
    background_e_per_px=4.0,
    semi_angle_rad=30e-3,
    camera_length_index=15,
    probe_current_a=CURRENT_A,
)


def drawn(c1: float, a1: float, count: int) -> np.ndarray:
    """Return the errors of |C1|, A1x and A1y on frames, (told, 3)."""
    column, found = Column(CAMERA, SeedSequence(0)), []
    rng = np.random.default_rng(1)
    for number in range(count):
        turn = rng.uniform(0.0, 2 * np.pi)
        a1x, a1y = a1 * np.cos(turn), a1 * np.sin(turn)
        column.reseed(SeedSequence(number))
        column.change(
            coma_m=rng.uniform(0, 60e-9), coma_deg=rng.uniform(0, 360),
            threefold_m=rng.uniform(0, 60e-9), threefold_deg=rng.uniform(0, 360),
            spherical_m=rng.uniform(-0.5e-6, 0.5e-6),
        )  # fmt: skip
        column.misfocus(c1, (float(a1x), float(a1y)))
        frame = column.expose(EXPOSURE_S)
        told = read_ronchigram(frame, CAMERA.pixel_rad_in_use, wavelength_m(300e3)).aberrations
        if told is not None:
            sign = np.sign(c1)
            found.append([told.c1 - abs(c1), told.a1[0] - sign * a1x, told.a1[1] - sign * a1y])
    return np.reshape(found, (-1, 3))


def modelled(c1: float, a1: float, count: int = 5000) -> np.ndarray:
    rng = np.random.default_rng(2)
    true = np.tile([[c1], [a1], [0.0]], count)
    dose = np.full(count, dose_e(CAMERA, np.array([CURRENT_A]), EXPOSURE_S))
    told = read(true, dose, rng.standard_normal((4, count)))
    expected = [np.sign(c1) * a1, 0.0]
    errors = np.column_stack([told["c1_m"] - abs(c1), told["a1_m"] - expected])
    return errors[~np.isnan(told["c1_m"])]


@pytest.mark.parametrize(
    ("c1", "a1"), [(-200e-9, 60e-9), (100e-9, 10e-9), (450e-9, 150e-9), (-60e-9, 5e-9)]
)
def test_errors_are_as_large_as_on_frames(c1: float, a1: float) -> None:
    found, expected = drawn(c1, a1, 14), modelled(c1, a1)
    assert len(found) >= 13
    for components in (slice(0, 1), slice(1, 3)):
        seen, told = (np.sqrt((each[:, components] ** 2).mean()) for each in (found, expected))
        assert 0.5 < told / seen < 2.0, components


@pytest.mark.parametrize(("c1", "a1"), [(-20e-9, 0.0), (150e-9, 140e-9), (12e-9, 5e-9)])
def test_where_nothing_is_told_nothing_is_read(c1: float, a1: float) -> None:
    assert len(modelled(c1, a1)) < 100
    assert len(drawn(c1, a1, 5)) <= 1
