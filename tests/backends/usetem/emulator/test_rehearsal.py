"""The back door: faults, the operator's hands, the log and the truth."""

import socket
import struct
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.backends.usetem.emulator.conftest import Themis

from stempilot.testing import FAULTS

DOOR = "/rehearsal"


def test_it_says_what_can_be_asked(themis: Themis) -> None:
    paths = [f"{DOOR}", f"{DOOR}/faults", f"{DOOR}/instrument", f"{DOOR}/log"]
    assert themis.ask("GET", DOOR) == (200, {"paths": paths})


def test_a_fault_of_the_table_is_injected_by_name_and_changed_at_will(themis: Themis) -> None:
    code, said = themis.ask("POST", f"{DOOR}/faults", {"name": "stuck-knob", "after": 0})
    assert code == 200
    assert (said["injected"]["effect"], said["injected"]["after"]) == ("stuck-knob", 0)
    proxy = themis.proxy()
    proxy.projection.diffractionShift([0.01, 0.0])
    assert proxy.projection.diffractionShift() == [0.0, 0.0]
    _, told = themis.ask("GET", f"{DOOR}/faults")
    assert told["waiting"] == ["stuck-knob"]
    assert told["struck"] == {"stuck-knob": 1}
    assert [one["name"] for one in told["known"]] == [one.name for one in FAULTS]


def test_a_fault_of_ones_own(themis: Themis) -> None:
    code, _ = themis.ask("POST", f"{DOOR}/faults", {"effect": "operator", "turn": [0.5, 0.25]})
    assert code == 200
    assert themis.proxy().projection.diffractionShift() == [0.5, 0.25]


def test_a_fault_that_nobody_knows_is_refused_with_the_nearest(themis: Themis) -> None:
    code, said = themis.ask("POST", f"{DOOR}/faults", {"name": "stuck-nob"})
    assert code == 400
    assert "no fault is called 'stuck-nob'; did you mean stuck-knob" in said["error"]
    assert themis.ask("GET", f"{DOOR}/faults")[1]["waiting"] == []


def test_faults_are_cleared(themis: Themis) -> None:
    themis.ask("POST", f"{DOOR}/faults", {"name": "stuck-knob", "after": 0})
    themis.ask("POST", f"{DOOR}/instrument", {"screen": "up"})
    assert themis.ask("DELETE", f"{DOOR}/faults") == (200, {"waiting": []})
    proxy = themis.proxy()
    proxy.projection.diffractionShift([0.01, 0.0])
    assert proxy.projection.diffractionShift() == [0.01, 0.0]
    assert proxy.camera.mainScreenPosition() == 3


def test_an_operator_turns_knobs_and_sets_switches(themis: Themis) -> None:
    wanted = {
        "diffraction_shift": [0.001, 0.002],
        "camera_length_index": [7],
        "screen": "up",
        "valves": "closed",
        "beam_blanker": "blanked",
        "projection": "imaging",
    }
    code, seen = themis.ask("POST", f"{DOOR}/instrument", wanted)
    assert code == 200
    assert {name: {**seen, **seen["knobs"]}[name] for name in wanted} == wanted
    proxy = themis.proxy()
    assert proxy.projection.diffractionShift() == [0.001, 0.002]
    assert proxy.projection.cameraLengthIndex() == 7
    assert proxy.camera.mainScreenPosition() == 2
    assert proxy.vacuum.columnValvesOpen() is False
    assert proxy.illumination.isBeamBlanked() is True
    assert proxy.projection.mode() == 1
    _, told = themis.ask("GET", f"{DOOR}/log")
    assert {one["by"] for one in told["log"]} == {"operator"}


def test_an_operator_puts_a_film_in_and_another_aperture(themis: Themis) -> None:
    change = {"film": "in", "semi_angle_rad": 0.03, "camera_length_index": [15]}
    code, seen = themis.ask("POST", f"{DOOR}/instrument", change)
    assert code == 200
    assert (seen["film"], seen["semi_angle_rad"]) == ("in", 0.03)
    assert themis.emulator.look()["truth"]["radius_px"] == pytest.approx([398.2], abs=0.1)
    assert "defocus_m" in themis.emulator.look()["truth"]
    themis.emulator.operate(film="out", camera_length_m=0.16)
    assert themis.emulator.look()["film"] == "out"
    assert themis.proxy().projection.cameraLengthIndex() == 6
    changed = [(one.what, one.value, one.by) for one in themis.emulator.log()]
    assert ("film", "in", "operator") in changed
    assert ("film", "out", "operator") in changed


def test_the_log_holds_what_took_effect_with_values_and_times(themis: Themis) -> None:
    proxy = themis.proxy()
    proxy.acquisition.addCameraByName("BM-Flucam")
    proxy.projection.diffractionShift([0.001, 0.0])
    proxy.projection.diffractionShift()
    proxy.acquisition.acquireImages()
    position = themis.emulator.look()["truth"]["position_px"]
    with pytest.raises(Exception, match="COMError"):
        proxy.projection.diffractionShift([99.0, 0.0])
    _, told = themis.ask("GET", f"{DOOR}/log")
    assert [(one["what"], one["value"]) for one in told["log"]] == [
        ("add_camera", "BM-Flucam"),
        ("diffraction_shift", [0.001, 0.0]),
        ("acquire", {"position_px": position}),
    ]
    times = [one["at_s"] for one in told["log"]]
    assert times == sorted(times)
    assert times[0] > 0.0


def test_the_truth_is_told_here_and_nowhere_else(themis: Themis) -> None:
    _, seen = themis.ask("GET", f"{DOOR}/instrument")
    assert len(seen["truth"]["position_px"]) == 2
    assert len(seen["truth"]["jacobian_px_per_rad"]) == 4


@pytest.mark.parametrize(
    ("verb", "path", "content", "code", "said"),
    [
        ("GET", "/", None, 404, "see GET /rehearsal"),
        ("POST", f"{DOOR}/log", {}, 404, "see GET /rehearsal"),
        ("POST", f"{DOOR}/faults", {"effect": "stuck-knop"}, 400, "did you mean stuck-knob"),
        ("POST", f"{DOOR}/instrument", {"film": "half"}, 400, "film = 'half' is unknown"),
        ("POST", f"{DOOR}/instrument", {"semi_angle_rad": 9.0}, 400, "semi_angle_rad = 9.0"),
        ("POST", f"{DOOR}/faults", {"name": "no such"}, 400, "known: latency-spike"),
        ("POST", f"{DOOR}/faults", {"name": "operator", "x": 1}, 400, "unknown option"),
        ("POST", f"{DOOR}/faults", [1], 400, "not a JSON object"),
        ("POST", f"{DOOR}/instrument", {"screen": "left"}, 400, "is unknown"),
        ("POST", f"{DOOR}/instrument", {"diffraction_shift": [99, 0]}, 400, "expected range"),
        ("POST", f"{DOOR}/instrument", {"diffraction_shift": "a"}, 400, "float"),
        ("POST", f"{DOOR}/instrument", {"diffraction_shift": 3}, 400, "iterable"),
        ("POST", f"{DOOR}/instrument", {"nothing": 3}, 400, "is unknown"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    themis: Themis, verb: str, path: str, content: Any, code: int, said: str
) -> None:
    found, told = themis.ask(verb, path, content)
    assert found == code
    assert said in told["error"]


def test_it_answers_while_the_server_is_busy(themis: Themis) -> None:
    themis.emulator.inject(FAULTS[0])
    themis.ask("POST", f"{DOOR}/faults", {"name": "competitor-for-good", "after": 0, "role": "any"})
    themis.proxy().mode()
    with pytest.raises(TimeoutError):
        themis.proxy(0.2).mode()
    assert themis.ask("GET", f"{DOOR}/instrument")[0] == 200


def test_a_client_that_hangs_up_leaves_no_traceback(
    themis: Themis, capfd: pytest.CaptureFixture[str]
) -> None:
    place = urlsplit(themis.rehearsal)
    with socket.create_connection((str(place.hostname), place.port or 0)) as connection:
        # Its end is a reset and not a farewell.
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        head = f"POST {DOOR}/instrument HTTP/1.1\r\nContent-Length: 9\r\n\r\n"
        connection.sendall(head.encode())
        time.sleep(0.1)
    assert themis.ask("GET", DOOR)[0] == 200
    assert capfd.readouterr().err == ""
