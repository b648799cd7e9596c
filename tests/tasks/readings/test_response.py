"""``read-response``: where its star goes, what it refuses, and that what it tells is true."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from benchmarks.readings import main

from stempilot.contract.names import DIFFRACTION_SHIFT
from stempilot.contract.values import Outcome, Snapshot
from stempilot.plugins.options import build
from stempilot_tasks.bf_disk_centering.state import Measured
from stempilot_tasks.readings.config import ReadResponseConfig
from stempilot_tasks.readings.response import ReadResponse, ResponseState

Shot = Callable[..., Snapshot]
PIXEL_RAD = 0.565e-3


def reading(**options: Any) -> ReadResponse:
    return ReadResponse(build(ReadResponseConfig, options, section="task"))


def look(shift_rad: tuple[float, float], place_px: Any, pixel_rad: float | None) -> Measured:
    x, y = place_px
    return Measured(
        position_px=(float(x), float(y)), radius_px=30.0, visible=True, cut=False, saturated=False,
        pixel_rad=pixel_rad, shift_rad=shift_rad,
    )  # fmt: skip


def played(
    task: ReadResponse,
    response: Any,
    start_px: tuple[float, float],
    *,
    pixel_rad: float | None = PIXEL_RAD,
    largest_rad: float = np.inf,
) -> tuple[ResponseState, list[tuple[float, float]]]:
    """Return the last state and where the knob stood, of an instrument without any noise."""
    home, rng = (0.01, -0.02), np.random.default_rng(1)
    stands = [home]

    def seen() -> Measured:
        away = np.array(stands[-1]) - home
        return look(stands[-1], start_px + response @ away + rng.normal(0, 0.05, 2), pixel_rad)

    state: ResponseState | None = task.initial(seen())
    while state and (points := task.own_moves(state, {DIFFRACTION_SHIFT: stands[-1]})) is not None:
        assert len(points) <= 1
        target = points[0].value if points else stands[-1]
        if np.abs(np.array(target) - stands[-1]).max() > largest_rad:
            state = task.refused(state)
            continue
        stands.append((target[0], target[1]))
        state = task.advance(state, None, seen())
    assert state is not None
    return state, stands


@pytest.mark.parametrize("start_px", [(20.0, -30.0), (470.0, -465.0)])
@pytest.mark.parametrize("px_per_rad", [400.0, 1800.0, 7000.0])
def test_the_star_returns_home_and_stays_in_the_field(
    start_px: tuple[float, float], px_per_rad: float
) -> None:
    task = reading()
    response = px_per_rad * np.array([[0.8, 0.6], [0.65, -0.75]])
    state, stands = played(task, response, start_px)
    assert task.outcome(state) is Outcome.SUCCESS
    assert len(stands) == len(state.places_px) == 16
    assert stands[-1] == stands[0]
    places = np.array(state.places_px)
    assert np.abs(places).max() + 20.0 < 520
    assert np.ptp(places, axis=0).min() > 40, "it moves the disk by a measurable amount"
    found = task.products(state)
    for row, along in enumerate("xy"):
        for column, axis in enumerate("xy"):
            one = found[f"response_{along}{axis}"]
            assert one.unit == "px/rad"
            assert one.value == pytest.approx(response[row, column], abs=3 * one.uncertainty)
            assert one.uncertainty < 0.05 * px_per_rad
            angle = found[f"angle_{along}{axis}"]
            assert angle.unit == "mrad/rad"
            assert angle.value == pytest.approx(one.value * PIXEL_RAD * 1e3)


def test_without_a_calibration_there_is_no_angle() -> None:
    state, _ = played(reading(), 1800 * np.eye(2), (0.0, 0.0), pixel_rad=None)
    names = reading().products(state)
    assert "response_xx" in names
    assert not [name for name in names if name.startswith("angle")]


def test_moves_that_the_envelope_refuses_become_shorter() -> None:
    task = reading()
    state, stands = played(task, 1000 * np.eye(2), (0.0, 0.0), largest_rad=0.012)
    assert task.outcome(state) is Outcome.SUCCESS
    assert np.abs(np.diff(stands, axis=0)).max() <= 0.012
    assert task.refused(evolve(state, longest=0.06)) is None, (
        "no arm that is worth anything is left"
    )


def test_one_frame_is_taken_without_a_move() -> None:
    _, stands = played(reading(), 1800 * np.eye(2), (0.0, 0.0))
    waits = [n for n in range(1, len(stands)) if stands[n] == stands[n - 1]]
    assert len(waits) == 1
    assert stands[waits[0]] != stands[0]


@pytest.mark.parametrize(
    ("disks", "outcome", "said"),
    [
        ((), Outcome.FAILURE, "disk not visible"),
        (((60, 0, 900), (-60, 10, 800)), Outcome.AMBIGUOUS, "the direct beam is not certain"),
        (((150, 0, 900),), Outcome.FAILURE, "disk cut by the frame's edge"),
    ],
)
def test_what_it_refuses_it_says_as_the_centring_does(
    shot: Shot, disks: Any, outcome: Outcome, said: str
) -> None:
    task = reading(camera_shape=[320, 320])
    state = task.initial(task.measure(shot(*disks)))
    assert task.outcome(state) is outcome
    assert task.explain(state).startswith(said)
    assert task.products(state) == {}
    assert task.own_moves(state, {}) is None


def test_what_it_tells_of_random_instruments_is_true(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["readings", "--instruments", "2", "--seed", "20"])
    main()
    shown = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["right, all entries"] == shown["home"] == "1"
    assert shown["frames, most"] == "16"
