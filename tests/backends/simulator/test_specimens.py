"""Presets with a specimen, a flawed camera or a beam stop: their ranges, and what they leave."""

from typing import Any

import numpy as np
import pytest
from attrs import asdict
from numpy.random import SeedSequence

from stempilot.contract.backend import Opening
from stempilot.errors import ConfigError, IncompatibleError
from stempilot.plugins import options as config
from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.parameters import SPECIMEN
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.drawing import draw_instrument
from stempilot_backends.simulator.options import SimulatorConfig

FLUCAM = "flucam"
RANGES: dict[str, dict[str, Any]] = {
    "halo": {"halo": (0.2, 3), "halo_radii": (2, 8), "ring": (0, 0.3), "ring_radii": (3, 6)},
    "polycrystal": {"grains": (20, 200)},
    "crystal": {"diffracted": (0.3, 3), "spacing_radii": (2.2, 8)},
    "zone-axis": {"diffracted": (0.3, 3), "spacing_radii": (0.8, 2.2)},
    "structured": {"gradient": (1, 3), "bands": (0, 0.6)},
    "defects": {"defects": (1, 1)},
    "beam-stop": {"beam_stop_radii": (0.3, 1.2)},
}
"""What is to be coped with; what stands in no row is held by the tests of the column."""


def built(**options: Any) -> SimulatorConfig:
    return config.build(SimulatorConfig, options, section="backend")


def opened(seed: int = 0, **options: Any) -> Simulator:
    simulator = Simulator(built(**options), Opening(purpose="evaluate", seed=seed))
    simulator.open()
    return simulator


def drawn(preset: str, count: int = 300) -> list[ColumnParameters]:
    options = built(preset=preset)
    return [draw_instrument(options, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("preset", RANGES)
def test_a_preset_draws_the_whole_range_evenly(preset: str) -> None:
    found = drawn(preset)
    for name, (low, high) in RANGES[preset].items():
        values = np.array([float(getattr(one, name)) for one in found])
        if low == high:
            assert (values == low).all()
            continue
        share = np.sort((values - low) / (high - low))
        assert 0.0 <= share[0] <= share[-1] <= 1.0
        assert np.abs(share - np.linspace(0, 1, len(share))).max() < 0.09
    assert len({one.specimen_seed for one in found}) == len(found)


@pytest.mark.parametrize("preset", RANGES)
def test_a_preset_lies_on_top_of_random_and_leaves_all_else(preset: str) -> None:
    for one, plain in zip(drawn(preset, 10), drawn("random", 10), strict=True):
        differ = {name for name, value in asdict(plain).items() if asdict(one)[name] != value}
        assert differ == {*RANGES[preset], "specimen_seed"}
        assert all(getattr(plain, name) == getattr(ColumnParameters(), name) for name in SPECIMEN)
    assert built(preset=preset).start_range == 0.85


@pytest.mark.parametrize("preset", RANGES)
def test_each_instrument_has_its_own_and_keeps_it(preset: str) -> None:
    simulator = opened(preset=preset)
    seen = []
    for seed in (1, 2, 1):
        simulator.reseed(SeedSequence(seed))
        seen.append((simulator.acquire(FLUCAM).pixels.tobytes(), simulator.identity()))
    assert seen[0] == seen[2] != seen[1]
    kept = opened(preset=preset, redraw="run")
    names = [(kept.reseed(SeedSequence(seed)), kept.identity()["instrument"])[1] for seed in (1, 2)]
    assert names[0] == names[1]


@pytest.mark.parametrize("preset", RANGES)
def test_the_truth_is_that_of_the_direct_beam_alone(preset: str) -> None:
    told = []
    for name in (preset, "random"):
        simulator = opened(preset=name)
        simulator.reseed(SeedSequence(3))
        simulator.acquire(FLUCAM)
        told.append(simulator.truth())
    assert told[0] == told[1]


@pytest.mark.parametrize("preset", RANGES)
def test_many_at_once_are_refused_by_the_name_of_the_preset(preset: str) -> None:
    with pytest.raises(IncompatibleError, match=f"preset '{preset}' is not modelled") as caught:
        opened(preset=preset).batch(4, {})
    assert "which draw frames" in str(caught.value)
    assert all(name in str(caught.value) for name in RANGES[preset])


def test_what_is_set_beside_a_preset_is_refused_by_its_own_name() -> None:
    with pytest.raises(IncompatibleError, match=r"grains = 30\.0 is not modelled"):
        opened(preset="halo", grains=30).batch(4, {})


def test_in_vacuum_all_instruments_of_a_preset_may_be_one() -> None:
    simulator, names = opened(redraw="episode"), set()
    for seed in range(3):
        simulator.reseed(SeedSequence(seed))
        names.add(simulator.identity()["instrument"])
    assert len(names) == 1


def test_a_whole_number_is_drawn_from_its_range_with_both_ends() -> None:
    options = built(grains=[2, 4])
    found = [draw_instrument(options, np.random.default_rng(seed)).grains for seed in range(300)]
    assert {counted: found.count(counted) > 70 for counted in set(found)} == dict.fromkeys(
        (2, 3, 4), True
    )


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"halo": -0.1}, "halo = -0.1 must lie in"),
        ({"spacing_radii": [3.0, 2.0]}, "smaller end"),
        ({"gradient": 0.5}, "gradient"),
        ({"bands": 1.5}, "bands"),
        ({"defects": 0.5}, "defects"),
        ({"specimen_seed": 4}, "specimen_seed"),
    ],
)
def test_bad_options_are_refused_with_a_reason(options: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        built(**options)
