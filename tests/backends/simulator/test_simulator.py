import math

import numpy as np
import pytest
from attrs import asdict, fields
from numpy.random import SeedSequence

from stempilot.contract.backend import Opening
from stempilot.errors import BackendError, ConfigError
from stempilot.plugins import options as config
from stempilot_backends.column.parameters import FULL_ACTION_RAD
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.drawing import draw_instrument
from stempilot_backends.simulator.options import SimulatorConfig

from .film_cases import DIFFERENT as FILMS

SHIFT, FLUCAM = "diffraction_shift", "flucam"


def built(**options):
    return config.build(SimulatorConfig, options, section="backend")


def opened(purpose="train", instrument_seed=0, seed=0, trained_here=False, **options):
    opening = Opening(
        purpose=purpose, seed=seed, instrument_seed=instrument_seed, trained_here=trained_here
    )
    simulator = Simulator(built(**options), opening)
    simulator.open()
    return simulator


def played(simulator, seed=1, moves=((0.01, 0.0), (0.01, -0.02), (0.0, 0.01))):
    """Return frames and true positions of an episode that starts at home."""
    simulator.write(SHIFT, (0.0, 0.0))
    simulator.reseed(SeedSequence(seed))
    frames, positions = [], []
    for move in ((0.0, 0.0), *moves):
        simulator.write(SHIFT, move)
        frames.append(simulator.acquire(FLUCAM))
        positions.append(simulator.truth()["position_px"])
    return frames, np.array(positions)


DIFFERENT = {
    "rotation_deg": 31.0,
    "mirrored": True,
    "scale": 0.9,
    "axis_ratio": 1.1,
    "shear_deg": 3.0,
    "action_noise": 0.1,
    "vibration_px": 2.0,
    "backlash_rad": 0.002,
    "lag": 0.4,
    "drift_px_per_cycle": 0.5,
    "drift_walk_px": 1.0,
    "distortion_gain": 0.2,
    "distortion_swirl_rad": 0.2,
    "start_range": 0.1,
    "camera_length_index": 7,
    "changes": [{"at_timestep": 2, "rotation_deg": 120.0}],
}
"""Options that must move the disk's path."""

DIFFERENT_PIXELS = {
    "semi_angle_rad": 0.01,
    "probe_current_a": 2e-12,
    "exposure_s": 0.3,
    "gain_dn_per_electron": 0.5,
    "read_noise_e": 12.0,
    "background_e_per_px": 5.0,
    "hot_pixels": 9,
    "vignetting": 0.3,
    "halo": 1.0,
    "ring": 0.2,
    "grains": 30,
    "diffracted": 1.0,
    "gradient": 2.0,
    "bands": 0.5,
    "defects": True,
    "screen": "up",
    "beam_blanker": "blanked",
}
"""Options that must change the frames but not the path."""

ELSEWHERE = {
    *("preset", "redraw", "shift_limit_rad"),
    *("halo_radii", "ring_radii", "spacing_radii", "beam_stop_radii"),
    *FILMS,
}
"""Options with tests of their own: below, in `test_films`, and those with radii in
column/test_column_beside.py."""


def test_every_option_is_in_one_of_the_tables():
    names = {attribute.name for attribute in fields(SimulatorConfig)}
    assert names == set(DIFFERENT) | set(DIFFERENT_PIXELS) | ELSEWHERE


@pytest.mark.parametrize("name", DIFFERENT)
def test_option_moves_the_disk(name):
    plain, changed = (played(opened(**o))[1] for o in ({}, {name: DIFFERENT[name]}))
    assert np.abs(plain - changed).max() > 0.01


@pytest.mark.parametrize("name", DIFFERENT_PIXELS)
def test_option_changes_the_frames(name):
    (plain, path), (changed, same) = (
        played(opened(**o), moves=()) for o in ({}, {name: DIFFERENT_PIXELS[name]})
    )
    assert np.array_equal(path, same)
    one, other = plain[0].pixels.astype(float), changed[0].pixels.astype(float)
    if name == "hot_pixels":
        assert np.sum((other > 30_000) & (one < 30_000)) == DIFFERENT_PIXELS[name]
        return
    noise, total, top = (
        abs(measure(one) / measure(other) - 1)
        for measure in (lambda p: p[:200].std(), np.sum, lambda p: np.quantile(p, 0.9999))
    )
    assert noise > 0.05 or total > 0.001 or top > 0.05


def test_the_shift_goes_as_far_as_its_limit():
    spec = opened(shift_limit_rad=0.5).offers().knobs[SHIFT]
    assert (spec.lower, spec.upper, spec.max_change) == ((-0.5, -0.5), (0.5, 0.5), (1.0, 1.0))


def test_same_seed_gives_the_same_bytes_whatever_came_before():
    one, other = opened(preset="everything"), opened(preset="everything")
    played(other, seed=99)
    (frames, path), (again, same) = played(one), played(other)
    assert np.array_equal(path, same)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, again, strict=True))


def test_another_seed_gives_another_start():
    assert not np.allclose(played(opened(), 1)[1][0], played(opened(), 2)[1][0])


@pytest.mark.parametrize(
    ("purpose", "trained_here", "redraw", "by_episode"),
    [
        ("evaluate", False, None, True),
        ("evaluate", True, None, False),
        ("train", False, None, False),
        ("run", False, None, False),
        ("train", False, "episode", True),
        ("evaluate", False, "run", False),
    ],
)
def test_when_a_new_instrument_is_drawn(purpose, trained_here, redraw, by_episode):
    simulator = opened(purpose=purpose, trained_here=trained_here, preset="random", redraw=redraw)
    seen = set()
    for seed in range(3):
        simulator.reseed(SeedSequence(seed))
        seen.add(simulator.identity()["instrument"])
    assert len(seen) == (3 if by_episode else 1)


def test_the_instrument_of_a_run_is_that_of_its_instrument_seed():
    names = [opened(preset="random", instrument_seed=s).identity()["instrument"] for s in (1, 1, 2)]
    assert names[0] == names[1] != names[2]


def drawn(preset, count=400):
    options = built(preset=preset)
    return [draw_instrument(options, np.random.default_rng(seed)) for seed in range(count)]


RANGES = {
    "rotation_deg": (0, 360, False),
    "scale": (0.25, 4, True),
    "axis_ratio": (0.9, 1.1, True),
    "shear_deg": (-5, 5, False),
    "action_noise": (0, 0.1, False),
    "vibration_px": (0, 4, False),
    "radius_px": (9, 60, False),
    "probe_current_a": (1e-12, 100e-12, True),
}


@pytest.mark.parametrize("name", RANGES)
def test_random_draws_the_whole_stated_range_evenly(name):
    low, high, logarithmic = RANGES[name]
    values = np.array([getattr(one, name) for one in drawn("random")])
    if logarithmic:
        low, high, values = math.log(low), math.log(high), np.log(values)
    share = (values - low) / (high - low)
    assert share.min() >= -1e-9
    assert share.max() <= 1 + 1e-9
    assert np.abs(np.sort(share) - np.linspace(0, 1, len(share))).max() < 0.08


def test_random_draws_either_handedness():
    mirrored = [one.mirrored for one in drawn("random")]
    assert 0.4 < np.mean(mirrored) < 0.6


CONDITIONS = {
    "lagged": {"lag": 0.4},
    "backlash": {"backlash_rad": 0.05 * FULL_ACTION_RAD},
    "distorted": {"distortion_gain": 0.2, "distortion_swirl_rad": 0.2},
    "drifting": {"drift_px_per_cycle": 0.5, "drift_walk_px": 1.0},
    "low-dose": {"probe_current_a": 0.1e-12, "radius_px": 30.0},
    "everything": {
        "action_noise": 0.1,
        "vibration_px": 2.0,
        "backlash_rad": 0.05 * FULL_ACTION_RAD,
        "distortion_gain": 0.2,
        "distortion_swirl_rad": 0.2,
        "lag": 0.2,
        "drift_px_per_cycle": 0.25,
    },
}


@pytest.mark.parametrize("preset", CONDITIONS)
def test_conditions_lie_on_top_of_random(preset):
    condition = CONDITIONS[preset]
    for one, plain in zip(drawn(preset, 5), drawn("random", 5), strict=True):
        for name, value in condition.items():
            assert getattr(one, name) == pytest.approx(value)
        changed = {"semi_angle_rad"} if "radius_px" in condition else set()
        for name, value in asdict(plain).items():
            assert name in condition or name in changed or asdict(one)[name] == value
    assert built(preset=preset).start_range == 0.85


@pytest.mark.parametrize(("preset", "reach"), [("paper", 520.0), ("random", 442.0)])
def test_starts_are_uniform_over_the_stated_part_of_the_field(preset, reach):
    simulator = opened(preset=preset, vibration_px=0.0)
    starts = np.array(
        [
            (simulator.reseed(SeedSequence(s)), simulator.truth()["position_px"])[1]
            for s in range(300)
        ]
    )
    share = np.sort((starts / reach + 1) / 2, axis=0)
    assert np.abs(share - np.linspace(0, 1, 300)[:, None]).max() < 0.1


def test_a_camera_length_magnifies_pattern_and_response():
    (frames, near), (more, far) = (played(opened(camera_length_index=i)) for i in (6, 9))
    assert frames[0].pixel_rad / more[0].pixel_rad == pytest.approx(300 / 160)
    moved, farther = near[1] - near[0], far[1] - far[0]
    assert np.hypot(*farther) / np.hypot(*moved) == pytest.approx(300 / 160, rel=0.01)


@pytest.mark.parametrize(
    "change",
    [{"camera_length_index": 9}, {"rotation_deg": 90.0}, {"scale": 0.5}, {"mirrored": True}],
)
def test_a_change_comes_at_its_timestep_and_stays(change):
    simulator = opened(changes=[{"at_timestep": 3, **change}])
    kept = opened(**change)

    def jacobian(one):
        return one.truth()["jacobian_px_per_rad"]

    simulator.reseed(SeedSequence(1), timestep=0)
    kept.reseed(SeedSequence(1))
    seen = []
    for _ in range(5):
        simulator.acquire(FLUCAM)
        kept.acquire(FLUCAM)
        seen.append(jacobian(simulator) == jacobian(kept))
    assert seen == [False, False, False, True, True]
    simulator.reseed(SeedSequence(2), timestep=4)
    simulator.acquire(FLUCAM)
    assert jacobian(simulator) == jacobian(kept)
    simulator.reseed(SeedSequence(2), timestep=0)


def test_a_resumed_run_meets_the_changes_that_have_happened():
    simulator = opened(changes=[{"at_timestep": 3, "scale": 0.5}])
    simulator.reseed(SeedSequence(1), timestep=10)
    simulator.acquire(FLUCAM)
    assert simulator.truth()["jacobian_px_per_rad"][0] == pytest.approx(
        0.5 * math.cos(math.pi / 6) / 0.565e-3
    )


def test_a_twin_is_the_same_instrument_and_leaves_the_original_alone():
    simulator, untouched = opened(preset="random"), opened(preset="random")
    simulator.reseed(SeedSequence(5))
    untouched.reseed(SeedSequence(5))
    twin = simulator.twin()
    assert twin.identity() == simulator.identity()
    played(twin, seed=8)
    assert np.array_equal(simulator.acquire(FLUCAM).pixels, untouched.acquire(FLUCAM).pixels)
    assert np.array_equal(played(twin, 3)[1], played(simulator, 3)[1])


def test_a_twin_does_not_change_by_itself():
    simulator = opened(changes=[{"at_timestep": 2, "scale": 0.5}])
    simulator.reseed(SeedSequence(1))
    twin = simulator.twin()
    twin.reseed(SeedSequence(1), timestep=50)
    for _ in range(5):
        twin.acquire(FLUCAM)
    assert twin.truth()["jacobian_px_per_rad"][0] == pytest.approx(math.cos(math.pi / 6) / 0.565e-3)


def test_parking_blanks_the_beam():
    simulator = opened()
    simulator.park()
    assert simulator.state("beam_blanker") == "blanked"


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.read("stage"),
        lambda s: s.write("stage", (0.0,)),
        lambda s: s.acquire("ccd"),
        lambda s: s.state("valves"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(call):
    with pytest.raises(BackendError, match=r"diffraction_shift|flucam|screen"):
        call(opened())


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"preset": "papre"}, "did you mean paper"),
        ({"scale": [4.0, 0.25]}, "smaller end"),
        ({"changes": [{"at_timestep": 1}]}, "exactly one"),
        ({"changes": [{"at_timestep": 1, "scale": 2.0, "mirrored": True}]}, "exactly one"),
        ({"changes": [{"at_timestep": 1, "camera_length_index": 99}]}, "0..20"),
        ({"lag": 1.0}, "lag"),
        ({"hot_pixels": 10_000_000}, r"hot_pixels = 10000000 must lie in \[0, 1081600\]"),
        ({"read_noise_e": 1e5}, "read_noise_e"),
        ({"scale": 1e300}, "scale"),
        ({"drift_px_per_cycle": 1e308}, "drift_px_per_cycle"),
        ({"action_noise": 1e308}, "action_noise"),
        ({"distortion_gain": 1e308}, "distortion_gain"),
        ({"distortion_gain": -0.19}, "distortion_gain"),
        ({"redraw": "never"}, "episode, run"),
    ],
)
def test_bad_options_are_refused_with_a_reason(options, part):
    with pytest.raises(ConfigError, match=part):
        built(**options)
