"""The simulator with a film: its Ronchigrams, the knobs that change them, the operator's hands."""

from typing import Any

import numpy as np
import pytest
from numpy.random import SeedSequence

from stempilot.contract.backend import InstrumentBatch, Opening
from stempilot.contract.names import FLUCAM
from stempilot.contract.values import Frame, KnobValue
from stempilot.errors import BackendError, ConfigError, IncompatibleError
from stempilot.plugins.options import build
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.drawing import draw_instrument
from stempilot_backends.simulator.options import SimulatorConfig

from .film_cases import DIFFERENT, SHOWN

FOCUS, STIGMATOR = "stem_defocus", "condenser_stigmator"


def opened(purpose: Any = "evaluate", **options: Any) -> Simulator:
    simulator = Simulator(
        build(SimulatorConfig, options, section="backend"), Opening(purpose=purpose)
    )
    simulator.open()
    simulator.reseed(SeedSequence(1))
    return simulator


def played(simulator: Simulator) -> Frame:
    simulator.write(FOCUS, (20e-9,))
    simulator.write(STIGMATOR, (0.01, 0.02))
    return simulator.acquire(FLUCAM)


def aberrations(simulator: Simulator) -> np.ndarray:
    truth = simulator.truth()
    return np.array([*truth["defocus_m"], *truth["astigmatism_m"]])


@pytest.fixture(scope="module")
def usual() -> bytes:
    return played(opened(**SHOWN)).pixels.tobytes()


@pytest.mark.parametrize("name", DIFFERENT)
def test_an_option_changes_the_ronchigram_and_no_disk(name: str, usual: bytes) -> None:
    changed = {**SHOWN, name: DIFFERENT[name]}
    assert played(opened(**changed)).pixels.tobytes() != usual
    if name != "film":
        bare = [played(opened(**{name: value})) for value in (SHOWN.get(name), DIFFERENT[name])
                if value is not None]  # fmt: skip
        plain = played(opened()).pixels
        assert all(np.array_equal(frame.pixels, plain) for frame in bare)


def test_the_preset_shows_a_large_disk_with_the_published_pixel() -> None:
    simulator = opened(preset="film")
    frame = simulator.acquire(FLUCAM)
    assert frame.pixel_rad == pytest.approx(0.0753e-3, rel=1e-3)
    assert simulator.truth()["radius_px"] == pytest.approx((398.2,), abs=0.1)
    assert simulator.number("camera_length_m") == 1.2
    assert np.hypot(*simulator.truth()["position_px"]) < 30.0
    size = np.hypot(*aberrations(simulator)[1:])
    assert (180e-9 < abs(aberrations(simulator)[0]) < 220e-9, size < 100e-9) == (True, True)


def test_instruments_of_the_preset_differ_as_stated() -> None:
    config = build(SimulatorConfig, {"preset": "film"}, section="backend")
    drawn = [draw_instrument(config, np.random.default_rng(seed)) for seed in range(200)]
    for name, (low, high) in {
        "stigmator_rotation_deg": (0.0, 360.0),
        "stigmator_scale": (0.25, 4.0),
        "stigmator_focus_x": (-0.07, 0.07),
        "stigmator_focus_y": (-0.07, 0.07),
        "defocus_scale": (0.9, 1.1),
        "action_noise": (0.0, 0.05),
        "probe_current_a": (20e-12, 200e-12),
        "coma_m": (0.0, 60e-9),
        "threefold_m": (0.0, 60e-9),
    }.items():
        values = np.array([getattr(one, name) for one in drawn])
        logarithmic = low > 0.0 and high / low > 4.0
        scaled = np.log(values / low) / np.log(high / low) if logarithmic else None
        share = (values - low) / (high - low) if scaled is None else scaled
        assert np.abs(np.sort(share) - np.linspace(0, 1, 200)).max() < 0.12, name
    assert 0.4 < np.mean([one.stigmator_mirrored for one in drawn]) < 0.6


def test_starts_are_on_either_side_unless_one_is_asked_for() -> None:
    def starts(**options: Any) -> np.ndarray:
        simulator, found = opened(preset="film", **options), []
        for seed in range(60):
            simulator.reseed(SeedSequence(seed))
            found.append(aberrations(simulator))
        return np.array(found)

    either = starts()
    assert 0.3 < (either[:, 0] < 0).mean() < 0.7
    assert np.histogram(np.arctan2(either[:, 2], either[:, 1]), 4, (-np.pi, np.pi))[0].min() > 5
    assert (starts(start_side="under")[:, 0] < 0).all()
    focusing = starts(start_defocus_m=[15e-9, 450e-9], start_astigmatism_m=0.0)
    assert np.abs(focusing[:, 0]).min() < 60e-9
    assert np.abs(focusing[:, 0]).max() > 400e-9
    assert (focusing[:, 1:] == 0.0).all()


@pytest.mark.parametrize("bad", [[2e-7, 1e-7], -1e-9, 1.0])
def test_impossible_starts_are_refused(bad: Any) -> None:
    with pytest.raises(ConfigError, match="start_defocus_m"):
        build(SimulatorConfig, {"start_defocus_m": bad}, section="backend")


def test_the_knobs_are_offered_with_their_units() -> None:
    offers = Simulator(build(SimulatorConfig, {}, section="backend"), Opening()).offers()
    assert (offers.knobs[FOCUS].unit, offers.knobs[FOCUS].size) == ("m", 1)
    assert (offers.knobs[STIGMATOR].unit, offers.knobs[STIGMATOR].size) == ("1", 2)
    assert offers.numbers["camera_length_m"].unit == "m"


def test_an_operator_makes_a_ronchigram_of_a_disk_and_back() -> None:
    simulator = opened(preset="random", redraw="run", start_range=0.0, vibration_px=0.0)
    assert "defocus_m" not in simulator.truth()
    drawn = simulator.identity()
    simulator.operate(film="in", semi_angle_rad=0.030, camera_length_m=1.2)
    frame = simulator.acquire(FLUCAM)
    assert frame.pixel_rad == pytest.approx(0.0753e-3, rel=1e-3)
    assert "defocus_m" in simulator.truth()
    assert simulator.state("film") == "in"
    assert simulator.read("camera_length_index") == (15.0,)
    simulator.reseed(SeedSequence(2))
    assert "defocus_m" in simulator.truth(), "an episode does not take the film out"
    twin = simulator.twin()
    twin.reseed(SeedSequence(2))
    assert "defocus_m" in twin.truth()
    assert simulator.identity() == drawn
    simulator.operate(film="out")
    assert "defocus_m" not in simulator.truth()
    assert simulator.state("film") == "out"
    simulator.operate(semi_angle_rad=17e-3, camera_length_m=0.16)
    assert simulator.truth()["radius_px"] == pytest.approx((17e-3 / 0.565e-3,))


@pytest.mark.parametrize("wrong", [{"camera_length_m": 1.0}, {"semi_angle_rad": 7.0}])
def test_what_an_operator_cannot_do_changes_nothing(wrong: dict[str, float]) -> None:
    simulator = opened()
    with pytest.raises(BackendError, match=next(iter(wrong))):
        simulator.operate(film="in", **wrong)
    assert "defocus_m" not in simulator.truth()
    simulator.operate(semi_angle_rad=0.030, camera_length_m=1.2)
    assert "defocus_m" not in simulator.truth(), "the film stayed out"


def test_a_film_is_in_or_out() -> None:
    half: Any = "half"
    with pytest.raises(BackendError, match="film = 'half' is unknown"):
        opened(**SHOWN).operate(film=half)


def test_a_twin_stands_at_the_same_knobs() -> None:
    simulator = opened(preset="film")
    stands: dict[str, KnobValue] = {FOCUS: (30e-9,), STIGMATOR: (0.1, -0.2)}
    for knob, value in stands.items():
        simulator.write(knob, value)
    twin = simulator.twin()
    assert {knob: twin.read(knob) for knob in stands} == stands


def test_fresh_areas_and_drift_change_the_shadow_alone() -> None:
    simulator = opened(**{**SHOWN, "film_drift_m": 0.2e-9})
    first = simulator.acquire(FLUCAM).pixels.astype(float)
    second = simulator.acquire(FLUCAM).pixels.astype(float)
    simulator.reseed(SeedSequence(5))
    fresh = simulator.acquire(FLUCAM).pixels.astype(float)
    inside = np.s_[400:640, 400:640]

    def alike(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.corrcoef(one[inside].ravel(), other[inside].ravel())[0, 1])

    still = opened(**SHOWN)
    frames = [still.acquire(FLUCAM).pixels.astype(float) for _ in range(2)]
    assert alike(*frames) > 0.6
    assert abs(alike(first, second)) < 0.5 * alike(*frames)
    assert abs(alike(first, fresh)) < 0.1


def test_a_batch_of_disks_ignores_what_no_disk_shows() -> None:
    simulator = opened(preset="random", coma_m=30e-9, stigmator_scale=[0.5, 2.0], film=True)
    assert simulator.batch(4, {}).count == 4


def placed(count: int, **options: Any) -> InstrumentBatch:
    simulator = opened(preset="film", redraw="episode", **options)
    batch = simulator.batch(count, {FOCUS: (0.0,), STIGMATOR: (0.0, 0.0)})
    batch.reseed(SeedSequence(3))
    batch.put(np.arange(count), batch.fresh(count), np.arange(count))
    return batch


def test_a_batch_of_ronchigrams_measures_what_it_promises() -> None:
    batch = placed(50)
    measured = batch.measure()
    promised = opened(preset="film").measurements() | {FOCUS, STIGMATOR}
    assert {name: values.shape for name, values in measured.items()} == {
        "lit": (50,),
        "c1_m": (50,),
        "a1_m": (50, 2),
        "uncertainty_m": (50, 3),
        "pixel_rad": (50,),
        FOCUS: (50, 1),
        STIGMATOR: (50, 2),
    }
    assert measured.keys() == promised
    truth = batch.truth()
    sign = np.sign(truth["defocus_m"])
    assert measured["c1_m"] == pytest.approx(np.abs(truth["defocus_m"][:, 0]), abs=4e-9)
    assert measured["a1_m"] == pytest.approx(sign * truth["astigmatism_m"], abs=3e-9)
    assert measured["pixel_rad"] == pytest.approx(0.0753e-3, rel=1e-3)


def test_instruments_of_a_batch_are_drawn_as_single_ones() -> None:
    truth = placed(2000).truth()
    size = np.abs(truth["defocus_m"])
    assert (size.min() > 180e-9, size.max() < 220e-9) == (True, True)
    assert 0.45 < (truth["defocus_m"] < 0).mean() < 0.55
    gains = np.hypot(truth["aberration_response"][:, 4], truth["aberration_response"][:, 7]) * 1e6
    assert np.quantile(np.log2(gains), [0.0, 0.5, 1.0]) == pytest.approx([-2, 0, 2], abs=0.2)
    focus = truth["aberration_response"][:, 0]
    assert np.quantile(focus, [0.0, 1.0]) == pytest.approx([0.9, 1.1], abs=0.01)


def test_a_batch_moves_its_knobs() -> None:
    batch = placed(20, action_noise=0.0)
    before = batch.truth()
    focus, stigmator = np.full((20, 1), 30e-9), np.tile([0.02, -0.01], (20, 1))
    batch.write(FOCUS, focus)
    batch.write(STIGMATOR, stigmator)
    batch.measure()
    assert np.array_equal(batch.read(FOCUS), focus)
    assert np.array_equal(batch.read(STIGMATOR), stigmator)
    response = before["aberration_response"].reshape(20, 3, 3)
    moved = np.einsum("nab,nb->na", response, np.hstack([focus, stigmator]))
    after = batch.truth()
    assert after["defocus_m"] - before["defocus_m"] == pytest.approx(moved[:, :1])
    assert after["astigmatism_m"] - before["astigmatism_m"] == pytest.approx(moved[:, 1:])
    with pytest.raises(BackendError, match="diffraction_shift"):
        batch.read("diffraction_shift")


def test_without_redraws_all_are_this_instrument() -> None:
    simulator = opened(preset="film", redraw="run")
    batch = simulator.batch(5, {})
    batch.reseed(SeedSequence(3))
    batch.put(np.arange(5), batch.fresh(5), np.arange(5))
    told = np.array([simulator.truth()["aberration_response"]] * 5)
    assert batch.truth()["aberration_response"] == pytest.approx(told)


def test_what_shows_in_pixels_alone_is_refused_here_too() -> None:
    with pytest.raises(IncompatibleError, match="vignetting"):
        opened(preset="film", vignetting=0.1).batch(4, {})
