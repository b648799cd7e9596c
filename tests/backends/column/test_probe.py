"""Focus and stigmator act on the aberrations as the parameters say, with play, lag and noise."""

import math
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from stempilot_backends.column import Column, ColumnParameters
from stempilot_backends.column.parameters import PROBE, ROWS
from stempilot_backends.column.probe import Aberrations, probe_response

FOCUS, STIGMATOR = "stem_defocus", "condenser_stigmator"
FILM = ColumnParameters(
    film=True,
    frame_side_px=64,
    semi_angle_rad=20e-3,
    pixel_rad=1e-3,
    action_noise=0.0,
    stigmator_rotation_deg=40.0,
    stigmator_mirrored=True,
    stigmator_scale=0.5,
    stigmator_focus_x=0.05,
    stigmator_focus_y=-0.03,
    defocus_scale=1.1,
)


def column(number: int = 0, **changes: Any) -> Column:
    return Column(evolve(FILM, **changes), np.random.SeedSequence(number))


def state(of: Column) -> np.ndarray:
    """Return C1, A1x and A1y."""
    truth = of.truth()
    return np.array([*truth["defocus_m"], *truth["astigmatism_m"]])


def test_the_truth_tells_what_the_knobs_do() -> None:
    moved = column()
    moved.misfocus(-200e-9, (30e-9, 40e-9))
    assert state(moved) == pytest.approx([-200e-9, 30e-9, 40e-9])
    response = np.reshape(moved.truth()["aberration_response"], (3, 3))
    moved.set(FOCUS, (50e-9,))
    moved.set(STIGMATOR, (0.02, -0.07))
    expected = np.array([-200e-9, 30e-9, 40e-9]) + response @ [50e-9, 0.02, -0.07]
    assert state(moved) == pytest.approx(expected, rel=1e-9)
    assert moved.get(FOCUS) == (50e-9,)
    assert moved.get(STIGMATOR) == (0.02, -0.07)


def test_the_response_is_axes_hand_gain_and_coupling() -> None:
    turn = math.radians(40.0)
    assert probe_response(FILM) == pytest.approx(
        np.array(
            [
                [1.1, 25e-9, -15e-9],
                [0.0, 0.5e-6 * math.cos(turn), 0.5e-6 * math.sin(turn)],
                [0.0, 0.5e-6 * math.sin(turn), -0.5e-6 * math.cos(turn)],
            ]
        )
    )


def test_n_responses_at_once_are_those_of_each() -> None:
    drawn = {
        "stigmator_rotation_deg": np.array([0.0, 100.0, 250.0]),
        "stigmator_scale": np.array([0.25, 1.0, 4.0]),
        "stigmator_mirrored": np.array([True, False, True]),
        "stigmator_focus_x": np.array([0.0, 0.05, -0.05]),
        "defocus_scale": np.array([0.9, 1.0, 1.1]),
    }
    many = probe_response(FILM, drawn)
    assert many.shape == (3, 3, 3)
    for i in range(3):
        one = {name: values[i].item() for name, values in drawn.items()}
        assert many[..., i] == pytest.approx(probe_response(evolve(FILM, **one)))


def test_misfocus_is_what_settles_at_the_present_knobs() -> None:
    moved = column(lag=0.5, defocus_backlash_m=5e-9, stigmator_backlash=0.01)
    moved.set(FOCUS, (100e-9,))
    moved.set(STIGMATOR, (0.1, 0.1))
    moved.misfocus(150e-9, (0.0, 10e-9))
    moved.advance(100 * 0.18)
    assert state(moved) == pytest.approx([150e-9, 0.0, 10e-9], abs=1e-15)


def test_play_holds_each_knob_back() -> None:
    moved = column(defocus_backlash_m=5e-9, stigmator_backlash=0.01)
    response = probe_response(moved.parameters)
    before = state(moved)
    moved.set(FOCUS, (4e-9,))
    moved.set(STIGMATOR, (0.01, -0.01))
    assert state(moved) == pytest.approx(before, abs=1e-16)
    moved.set(FOCUS, (20e-9,))
    moved.set(STIGMATOR, (0.03, 0.0))
    assert state(moved) - before == pytest.approx(response @ [15e-9, 0.02, 0.0], abs=1e-15)


def test_lag_is_still_to_come() -> None:
    moved = column(lag=0.25)
    response = probe_response(moved.parameters)
    moved.set(FOCUS, (40e-9,))
    moved.set(STIGMATOR, (0.0, 0.08))
    moved.advance(0.18)
    assert state(moved) == pytest.approx(response @ [30e-9, 0.0, 0.06])
    pending = moved.truth()["aberration_pending_m"]
    assert pending == pytest.approx(response @ [10e-9, 0.0, 0.02])


def test_moves_leave_an_error_of_their_size() -> None:
    def errors(knob: str, value: tuple[float, ...]) -> np.ndarray:
        found = []
        for number in range(200):
            noisy = column(number, action_noise=0.05)
            noisy.set(knob, value)
            knobs = [*noisy.get(FOCUS), *noisy.get(STIGMATOR)]
            found.append(state(noisy) - probe_response(noisy.parameters) @ knobs)
        return np.array(found)

    focused = errors(FOCUS, (100e-9,))
    assert focused[:, 0].std() == pytest.approx(1.1 * 5e-9, rel=0.15)
    assert np.all(focused[:, 1:] == 0.0)
    stigmated = errors(STIGMATOR, (0.1, 0.0))
    assert stigmated[:, 1:].std(axis=0) == pytest.approx([2.5e-9, 2.5e-9], rel=0.15)


def test_reseeding_forgets_the_aberrations_and_keeps_the_knobs() -> None:
    moved = column(action_noise=0.1)
    moved.misfocus(200e-9, (10e-9, 0.0))
    moved.set(FOCUS, (100e-9,))
    moved.reseed(np.random.SeedSequence(1))
    assert state(moved) == pytest.approx([110e-9, 0.0, 0.0])


def test_the_shift_does_not_move_focus_and_focus_moves_no_disk() -> None:
    still, moved = column(action_noise=0.1), column(action_noise=0.1)
    moved.set(FOCUS, (1e-6,))
    moved.set(STIGMATOR, (0.5, 0.5))
    assert moved.truth()["position_px"] == still.truth()["position_px"]
    still.set("diffraction_shift", (5e-3, 0.0))
    assert state(still).tolist() == [0.0, 0.0, 0.0]


def test_aberrations_turn_with_the_pattern() -> None:
    lengths = len(FILM.camera_lengths_m)
    turned = column(camera_length_rotation_deg=(90.0,) * lengths)
    turned.misfocus(-100e-9, (30e-9, 0.0))
    assert state(turned) == pytest.approx([-100e-9, -30e-9, 0.0], abs=1e-15)
    response = np.reshape(turned.truth()["aberration_response"], (3, 3))
    before = state(turned)
    turned.set(STIGMATOR, (0.01, 0.0))
    assert state(turned) - before == pytest.approx(response @ [0.0, 0.01, 0.0], abs=1e-15)


@pytest.mark.parametrize("angle", [0.3, 2.0])
def test_turning_all_coefficients_is_turning_the_picture(angle: float) -> None:
    some = Aberrations(-60e-9, 15e-9 + 8e-9j, 3e-7 - 2e-7j, -1e-7 + 4e-7j, 20e-6)

    def chi(of: Aberrations, w: complex) -> float:
        c = w.conjugate()
        total = abs(w) ** 2 * of.c1 / 2 + c**2 * of.a1 / 2 + abs(w) ** 2 * w * of.b2.conjugate()
        return (total + c**3 * of.a2 / 3 + abs(w) ** 4 * of.c3 / 4).real

    w = 0.02 + 0.013j
    turned = w * complex(math.cos(angle), math.sin(angle))
    assert chi(some.turned(angle), turned) == pytest.approx(chi(some, w), rel=1e-12)


def test_a_disk_tells_nothing_of_the_probe() -> None:
    bare = column(film=False)
    assert not {"defocus_m", "astigmatism_m", "aberration_response"} & set(bare.truth())


@pytest.mark.parametrize(
    ("knob", "value"), [(FOCUS, (2.0,)), (FOCUS, (0.0, 0.0)), (STIGMATOR, (float("nan"), 0.0))]
)
def test_impossible_values_move_nothing(knob: str, value: tuple[float, ...]) -> None:
    moved = column()
    with pytest.raises(ValueError, match=knob):
        moved.set(knob, value)
    assert moved.get(knob) == ((0.0,) if knob == FOCUS else (0.0, 0.0))


def test_random_instruments_have_probes_of_their_own() -> None:
    assert {name for name in PROBE if "random" not in ROWS[name].presets} == set()
