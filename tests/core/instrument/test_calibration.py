"""The angle of a pixel comes from the backend, else from the envelope, else from nobody."""

from typing import Any

import pytest
from attrs import evolve
from tests.core.fakes import Desk

from stempilot.contract.names import CAMERA_LENGTH_INDEX
from stempilot.contract.values import KnobSpec, KnobValue, Offers
from stempilot.errors import EnvelopeError
from stempilot.instrument.envelope import Envelope, open_envelope
from stempilot.instrument.guard import GuardedBackend
from stempilot.operation.session import open_session
from stempilot.testing.toys import TOY_CAMERA, ToyCentring

LENGTHS = KnobSpec(unit="index", lower=0, upper=20, max_change=20, resolution=0)
TABLE = {TOY_CAMERA: {12: 0.565, 3: 2.0}}


class LongDesk(Desk):
    """Has a camera length that the operator turns."""

    def __init__(self) -> None:
        super().__init__()
        self.index = 12.0
        self.asked = 0

    def offers(self) -> Offers:
        offers = super().offers()
        return evolve(offers, knobs={**offers.knobs, CAMERA_LENGTH_INDEX: LENGTHS})

    def read(self, knob: str) -> KnobValue:
        if knob == CAMERA_LENGTH_INDEX:
            self.asked += 1
            return (self.index,)
        return super().read(knob)


def envelope(desk: Desk, table: Any = TABLE) -> Envelope:
    return evolve(open_envelope("desk", desk.offers()), pixel_mrad=table)


def test_a_frame_is_calibrated_by_the_camera_length_it_was_taken_at() -> None:
    desk = LongDesk()
    with open_session(desk, [ToyCentring()], name="desk", envelope=envelope(desk)) as session:
        assert session.guard.acquire(TOY_CAMERA).pixel_rad == pytest.approx(0.565e-3)
        desk.index = 3.0
        assert session.guard.acquire(TOY_CAMERA).pixel_rad == pytest.approx(2e-3)
        desk.index = 4.0
        assert session.guard.acquire(TOY_CAMERA).pixel_rad is None, "nobody calibrated it"


def test_what_the_backend_knows_goes_first() -> None:
    desk = LongDesk()
    desk.develop = lambda frame: evolve(frame, pixel_rad=1e-3)
    with open_session(desk, [ToyCentring()], name="desk", envelope=envelope(desk)) as session:
        assert session.guard.acquire(TOY_CAMERA).pixel_rad == 1e-3
    assert desk.asked == 0


def test_without_a_calibration_no_call_is_spent_on_it() -> None:
    desk = LongDesk()
    desk.toy.open()
    guard = GuardedBackend(desk, {}, pixel_mrad={"other camera": {12: 1.0}})
    assert guard.acquire(TOY_CAMERA).pixel_rad is None
    assert desk.asked == 0


@pytest.mark.parametrize(
    ("desk", "table", "said"),
    [
        (LongDesk(), {"flucam": {12: 1.0}}, "calibrates the source flucam; desk offers toy_camera"),
        (Desk(), TABLE, "desk does not tell camera_length_index"),
    ],
)
def test_a_calibration_that_would_never_be_used_is_refused(
    desk: Desk, table: Any, said: str
) -> None:
    calls = []
    desk.before = lambda what, name: calls.append(what)
    with pytest.raises(EnvelopeError, match=said):
        with open_session(desk, [ToyCentring()], name="desk", envelope=envelope(desk, table)):
            pytest.fail("the block must not begin")
    assert calls == []
