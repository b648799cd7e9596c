"""Many simulators at once: which instruments they are, and every option that there is."""

from typing import Any

import numpy as np
import pytest
from attrs import fields
from numpy.random import SeedSequence
from numpy.typing import NDArray

from stempilot.contract.backend import InstrumentBatch, MeasuresDirectly, Opening
from stempilot.errors import BackendError, IncompatibleError
from stempilot.plugins import options as config
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig

from .film_cases import DIFFERENT as FILMS

SHIFT = "diffraction_shift"
N = 300


def opened(**options: Any) -> Simulator:
    built = config.build(SimulatorConfig, options, section="backend")
    simulator = Simulator(built, Opening(purpose="train"))
    simulator.open()
    return simulator


def placed(simulator: Simulator, count: int = N, seed: int = 0) -> InstrumentBatch:
    """Return fresh instruments in all places."""
    batch = simulator.batch(count, {SHIFT: (0.0, 0.0)})
    batch.reseed(SeedSequence(seed))
    rows = np.arange(count)
    batch.put(rows, batch.fresh(count), rows)
    return batch


def told(batch: InstrumentBatch) -> dict[str, NDArray[Any]]:
    """Return what is measured, or else true, during a few moves to and fro."""
    seen: dict[str, list[NDArray[Any]]] = {}
    command = np.zeros((batch.count, 2))
    for move in ((0.0, 0.0), (0.02, 0.01), (-0.001, 0.0), (-0.02, 0.02)):
        command = command + move
        batch.write(SHIFT, command)
        measured = batch.measure()
        for name, values in (dict(batch.truth()) | dict(measured)).items():
            seen.setdefault(name, []).append(np.array(values, float))
    return {name: np.array(values) for name, values in seen.items()}


# A value of each option that is not the default, and what it shows in.
ACTS: dict[str, tuple[Any, str]] = {
    "preset": ("random", "position_px"),
    "redraw": ("episode", "jacobian_px_per_rad"),
    "changes": ([{"at_timestep": 0, "rotation_deg": 120.0}], "jacobian_px_per_rad"),
    "start_range": (0.1, "position_px"),
    "rotation_deg": (31.0, "jacobian_px_per_rad"),
    "mirrored": (True, "jacobian_px_per_rad"),
    "scale": (0.9, "jacobian_px_per_rad"),
    "axis_ratio": (1.1, "jacobian_px_per_rad"),
    "shear_deg": (3.0, "jacobian_px_per_rad"),
    "action_noise": (0.1, "position_px"),
    "vibration_px": (2.0, "position_px"),
    "backlash_rad": (0.002, "play_rad"),
    "lag": (0.4, "pending_rad"),
    "drift_px_per_cycle": (0.5, "position_px"),
    "drift_walk_px": (1.0, "position_px"),
    "distortion_gain": (0.2, "jacobian_px_per_rad"),
    "distortion_swirl_rad": (0.2, "jacobian_px_per_rad"),
    "semi_angle_rad": (0.01, "radius_px"),
    "probe_current_a": (1e-12, "position_px"),
    "exposure_s": (0.02, "position_px"),
    "gain_dn_per_electron": (20.0, "saturated"),
    "read_noise_e": (60.0, "position_px"),
    "background_e_per_px": (400.0, "position_px"),
    "camera_length_index": (7, "pixel_rad"),
}
REFUSED: dict[str, Any] = {
    "vignetting": 0.3,
    "hot_pixels": 20,
    "halo": 1.0,
    "halo_radii": 2.0,
    "ring": 0.2,
    "ring_radii": 3.0,
    "grains": 30,
    "diffracted": 1.0,
    "spacing_radii": 2.5,
    "gradient": 2.0,
    "bands": 0.5,
    "defects": True,
    "beam_stop_radii": 1.0,
    "screen": "up",
    "beam_blanker": "blanked",
}
ELSEWHERE = {"shift_limit_rad", *FILMS}
"""In the limits of the environment, as for a single instrument, see tests/core/test_vec_env.py; and
what shows with a film alone, see `test_films`."""


def test_every_option_is_accounted_for() -> None:
    names = {field.name for field in fields(SimulatorConfig)}
    assert names == set(ACTS) | set(REFUSED) | ELSEWHERE


@pytest.mark.parametrize("option", ACTS)
def test_an_option_acts(option: str) -> None:
    value, shows = ACTS[option]
    # Where something must differ from instrument to instrument to show.
    beside: dict[str, Any] = {"scale": [0.5, 2.0]} if option == "redraw" else {}
    usual, other = (
        told(placed(opened(**options))) for options in (beside, beside | {option: value})
    )
    assert not np.array_equal(usual[shows], other[shows], equal_nan=True)


@pytest.mark.parametrize("option", REFUSED)
def test_an_option_without_a_counterpart_is_refused(option: str) -> None:
    simulator = opened(**{option: REFUSED[option]})
    with pytest.raises(IncompatibleError, match=f"{option} = {REFUSED[option]}"):
        simulator.batch(4, {})


def test_all_that_is_refused_is_said_at_once() -> None:
    with pytest.raises(IncompatibleError) as caught:
        opened(**REFUSED).batch(4, {})
    assert all(option in str(caught.value) for option in REFUSED)


def test_it_offers_what_it_measures() -> None:
    simulator = opened()
    assert isinstance(simulator, MeasuresDirectly)
    assert set(placed(simulator).measure()) == simulator.measurements() | {SHIFT}


def test_truth_is_named_as_that_of_a_single_simulator() -> None:
    simulator = opened(preset="everything")
    one, many = simulator.truth(), placed(simulator).truth()
    assert {name: (N, len(value)) for name, value in one.items()} == {
        name: value.shape for name, value in many.items()
    }


def test_without_redrawing_all_are_the_present_instrument() -> None:
    simulator = opened(preset="random", redraw="run", distortion_gain=0.0)
    truth = placed(simulator).truth()
    expected = simulator.truth()["jacobian_px_per_rad"]
    assert truth["jacobian_px_per_rad"] == pytest.approx(np.tile(expected, (N, 1)))


def test_instruments_are_drawn_as_single_ones_are() -> None:
    def spread(jacobians: NDArray[Any]) -> tuple[float, float, float, float]:
        a, b, c, d = jacobians.T
        determinant = a * d - b * c
        scale = np.log(np.abs(determinant)) / 2
        angle = np.arctan2(c, a)
        return (
            float(scale.mean()),
            float(scale.std()),
            float((determinant < 0).mean()),
            float(np.cos(angle).std()),
        )

    simulator = opened(preset="random", redraw="episode")
    many = placed(simulator, 4000).truth()["jacobian_px_per_rad"]
    few = []
    for episode in range(400):
        simulator.reseed(SeedSequence(7, spawn_key=(episode,)))
        few.append(simulator.truth()["jacobian_px_per_rad"])
    assert spread(many) == pytest.approx(spread(np.array(few)), abs=0.12)


def test_changes_that_are_due_are_in_force_for_all() -> None:
    changes = [
        {"at_timestep": 0, "mirrored": True},
        {"at_timestep": 0, "scale": 2.0},
        {"at_timestep": 1000, "scale": 0.5},
    ]
    simulator = opened(preset="random", redraw="episode", changes=changes)
    a, b, c, d = placed(simulator).truth()["jacobian_px_per_rad"].T
    usual = 1.0 / 0.565e-3
    assert np.sqrt(-(a * d - b * c)) / usual == pytest.approx(np.full(N, 2.0), rel=0.01)


def test_fresh_ones_disturb_nobody() -> None:
    def story(disturbed: bool) -> NDArray[Any]:
        batch = placed(opened(preset="everything"))
        if disturbed:
            other = batch.fresh(10)
            other.write(SHIFT, np.full((10, 2), 0.01))
            other.measure()
        return told(batch)["position_px"]

    assert np.array_equal(story(disturbed=False), story(disturbed=True), equal_nan=True)


def test_fresh_ones_stand_at_home() -> None:
    simulator = opened()
    home = (0.03, -0.01)
    batch = simulator.batch(3, {SHIFT: home})
    assert np.array_equal(batch.fresh(5).read(SHIFT), np.tile(home, (5, 1)))
    simulator.write(SHIFT, (0.2, 0.1))
    assert np.array_equal(simulator.batch(3, {}).fresh(2).read(SHIFT), [[0.2, 0.1]] * 2)


def test_the_simulator_is_left_alone_and_may_be_closed() -> None:
    simulator = opened()
    batch = placed(simulator)
    batch.write(SHIFT, np.full((N, 2), 0.01))
    assert simulator.read(SHIFT) == (0.0, 0.0)
    simulator.close()
    assert np.isfinite(told(batch)["pixel_rad"]).all()


def test_other_knobs_are_unknown() -> None:
    batch = placed(opened())
    with pytest.raises(BackendError, match="no knob 'camera_length_index'"):
        batch.read("camera_length_index")
    with pytest.raises(BackendError, match="no knob"):
        batch.write("camera_length_index", np.zeros((N, 1)))
