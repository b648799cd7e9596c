"""Every option of the emulator changes what it does; the simulator's own reach its column."""

import pickle
import time
import xmlrpc.client
from typing import Any

import attrs
import numpy as np
import pytest
from tests.backends.usetem.emulator.conftest import Start, Themis

from stempilot.contract.backend import Opening
from stempilot.contract.emulator import EmulatorError
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig
from stempilot_backends.usetem.emulator.config import EmulatorConfig

SHIFT, FLUCAM = "diffraction_shift", "flucam"
TESTED_HERE = {
    "realtime",
    "latency_s",
    "settle_s",
    "shift_resolution_rad",
    "camera",
    "valves",
    "projection",
    "instrument_mode",
    "stigmator",
    "rehearsal_port",
}


def frame(proxy: Any) -> Any:
    (found,) = pickle.loads(proxy.acquisition.acquireImages())
    return found


def with_camera(themis: Themis, name: str = "BM-Flucam") -> Any:
    proxy = themis.proxy()
    proxy.acquisition.addCameraByName(name)
    return proxy


def took_s(call: Any, *params: Any) -> float:
    before = time.monotonic()
    call(*params)
    return time.monotonic() - before


def test_all_own_options_are_tested_here() -> None:
    own = {a.name for a in attrs.fields(EmulatorConfig)}
    assert own - {a.name for a in attrs.fields(SimulatorConfig)} == TESTED_HERE


# Of each condition one: noise, dynamics and the instrument itself must be the simulator's.
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preset": "random"},
        {"preset": "everything"},
        {"preset": "lagged", "exposure_s": 0.05},
        {"preset": "crystal", "halo": 0.5, "bands": 0.3, "defects": True, "beam_stop_radii": 1.0},
        {"preset": "film", "lag": 0.2, "stigmator": "repaired"},
        {"changes": [{"at_timestep": 2, "camera_length_index": 8}]},
    ],
)
def test_with_a_seed_it_is_the_simulators_instrument_noise_included(
    start: Start, options: dict[str, Any]
) -> None:
    themis = start(seed=11, **options)
    proxy = with_camera(themis)
    config = attrs.evolve(
        SimulatorConfig(),
        **{
            name: getattr(themis.emulator._config, name)
            for name in attrs.fields_dict(SimulatorConfig)
        },
    )
    simulator = Simulator(config, Opening(purpose="run", seed=11, instrument_seed=11))
    simulator.open()
    for shift in ((0.0, 0.0), (0.004, -0.002), (0.001, 0.003), (0.02, 0.02)):
        proxy.projection.diffractionShift(list(shift))
        simulator.write(SHIFT, shift)
        proxy.illumination.STEMDefocus(1e-6 * shift[0])
        simulator.write("stem_defocus", (1e-6 * shift[0],))
        if "stigmator" in options:
            proxy.illumination.condenserStigmator(list(shift))
            simulator.write("condenser_stigmator", shift)
        seen, expected = frame(proxy), simulator.acquire(FLUCAM).pixels
        assert np.array_equal(seen.T, expected)
        truth = themis.emulator.look()["truth"]
        assert truth == {name: list(value) for name, value in simulator.truth().items()}
        assert proxy.projection.cameraLengthIndex() == simulator.read("camera_length_index")[0]


def test_other_seeds_are_other_instruments(start: Start) -> None:
    truths = [
        start(seed, preset="random").emulator.look()["truth"]["jacobian_px_per_rad"]
        for seed in (1, 2)
    ]
    assert truths[0] != truths[1]


def test_a_repaired_stigmator_answers(start: Start) -> None:
    proxy = start(stigmator="repaired").proxy()
    assert proxy.illumination.condenserStigmator() == [0.0, 0.0]
    assert proxy.illumination.condenserStigmator([0.25, -1.0]) is None
    assert proxy.illumination.condenserStigmator() == [0.25, -1.0]
    with pytest.raises(xmlrpc.client.Fault, match="COMError"):
        proxy.illumination.condenserStigmator([0.0, 1.1])
    with pytest.raises(xmlrpc.client.Fault, match="AttributeError"):
        start().proxy().illumination.condenserStigmator()


def test_realtime_exposes_for_as_long_as_it_says(start: Start) -> None:
    quick = with_camera(start(realtime=False, exposure_s=1.0))
    slow = with_camera(start(realtime=True, exposure_s=1.0))
    frame(quick)
    assert took_s(frame, slow) > 0.99
    assert min(took_s(frame, quick) for _ in range(3)) < 0.99
    assert took_s(slow.mode) < 0.99


def test_realtime_or_not_the_frames_are_the_same(start: Start) -> None:
    options = {"preset": "everything", "exposure_s": 0.01, "settle_s": 0.01, "seed": 4}
    one, other = (with_camera(start(realtime=real, **options)) for real in (True, False))
    for x in (0.0, 0.003, 0.001):
        for proxy in (one, other):
            proxy.projection.diffractionShift([x, -x])
        time.sleep(0.02)
        assert np.array_equal(frame(one), frame(other))


def test_latency_is_taken_by_each_call(start: Start) -> None:
    assert took_s(start(realtime=True, latency_s=0.15).proxy().mode) > 0.149
    assert took_s(start(realtime=False, latency_s=0.15).proxy().mode) < 0.149


def test_a_frame_begun_before_the_shift_has_settled_shows_where_the_beam_was(start: Start) -> None:
    options = {"exposure_s": 0.01, "action_noise": 0.0}
    themis = start(realtime=True, settle_s=0.3, **options)
    proxy = with_camera(themis)

    def seen() -> list[float]:
        frame(proxy)
        return list(themis.emulator.look()["truth"]["position_px"])

    before = seen()
    proxy.projection.diffractionShift([0.01, 0.0])
    assert proxy.projection.diffractionShift() == [0.01, 0.0]
    assert seen() == before
    time.sleep(0.31)
    assert seen() != before


def test_read_backs_are_rounded_to_the_resolution(start: Start) -> None:
    themis = start(shift_resolution_rad=1e-5)
    proxy = themis.proxy()
    proxy.projection.diffractionShift([1.2344e-3, -7e-6])
    assert proxy.projection.diffractionShift() == pytest.approx([1.23e-3, -1e-5], abs=1e-12)
    assert themis.emulator.position(SHIFT) == (1.2344e-3, -7e-6)


def test_it_knows_the_camera_it_is_told(start: Start) -> None:
    themis = start(camera="Ceta")
    with_camera(themis, "Ceta")
    with pytest.raises(xmlrpc.client.Fault):
        with_camera(themis, "BM-Flucam")


@pytest.mark.parametrize(
    ("options", "method", "found"),
    [
        ({"valves": "closed"}, "vacuum.columnValvesOpen", False),
        ({"projection": "imaging"}, "projection.mode", 1),
        ({"instrument_mode": "TEM"}, "mode", 0),
        ({"screen": "up"}, "camera.mainScreenPosition", 2),
        ({"beam_blanker": "blanked"}, "illumination.isBeamBlanked", True),
        ({"camera_length_index": 3}, "projection.cameraLengthIndex", 3),
        ({"probe_current_a": 2e-12}, "camera.screenCurrent", 2e-12),
    ],
)
def test_how_the_instrument_stands(
    start: Start, options: dict[str, Any], method: str, found: Any
) -> None:
    proxy = start(**options).proxy()
    for part in method.split("."):
        proxy = getattr(proxy, part)
    assert proxy() == found


def test_the_shift_goes_as_far_as_it_is_told(start: Start) -> None:
    proxy = start(shift_limit_rad=0.5).proxy()
    proxy.projection.diffractionShift([0.5, -0.5])
    with pytest.raises(xmlrpc.client.Fault, match=r"_ctypes\.COMError"):
        proxy.projection.diffractionShift([0.51, 0.0])
    assert proxy.projection.diffractionShift() == [0.5, -0.5]


def test_the_back_door_is_at_the_port_it_is_told(start: Start) -> None:
    free = start()
    port = int(free.rehearsal.rpartition(":")[2].partition("/")[0])
    free.emulator.close()
    assert start(rehearsal_port=port).rehearsal == f"http://127.0.0.1:{port}/rehearsal"
    with pytest.raises(EmulatorError, match=rf"127\.0\.0\.1:{port}.*rehearsal_port"):
        start(rehearsal_port=port)
