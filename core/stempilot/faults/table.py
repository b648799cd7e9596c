"""The table of faults that every backend is tested with; see `stempilot.faults.injection`."""

from typing import Final

from stempilot.contract.names import DIFFRACTION_SHIFT
from stempilot.faults.injection import FOR_GOOD, Ending, Fault

_RECOVERED: Final[tuple[Ending, ...]] = ("recovered",)
_STOPPED: Final[tuple[Ending, ...]] = ("stopped_restored",)
_EITHER: Final[tuple[Ending, ...]] = ("recovered", "stopped_restored")
_LOST: Final[tuple[Ending, ...]] = ("not_restored",)
_ANY: Final[tuple[Ending, ...]] = ("recovered", "stopped_restored", "not_restored")

SPIKE_S: Final = 0.2
"""A delay that a backend waits for."""

TOO_LONG_S: Final = 8.0
"""A delay beyond the deadline that a backend under test is given."""

LONG_GONE_S: Final = 3600.0
"""Never comes back."""

_CALLS: Final = (
    Fault(
        name="latency-spike",
        summary="a call takes longer than usual",
        effect="latency",
        after=20,
        times=3,
        seconds=SPIKE_S,
        endings=_RECOVERED,
    ),
    Fault(
        name="slow-frame",
        summary="a frame does not come within the deadline",
        effect="latency",
        role="acquire",
        after=5,
        seconds=TOO_LONG_S,
        endings=_ANY,
    ),
    Fault(
        name="slow-write",
        summary="a write is not answered within the deadline, but takes effect",
        effect="latency",
        role="write",
        after=2,
        seconds=TOO_LONG_S,
        endings=_ANY,
    ),
    Fault(
        name="slow-read",
        summary="a read is not answered within the deadline",
        effect="latency",
        role="read",
        after=4,
        seconds=TOO_LONG_S,
        endings=_ANY,
    ),
    Fault(
        name="refused-briefly",
        summary="the server does not listen for a moment",
        effect="refuse",
        role="write",
        after=2,
        seconds=SPIKE_S,
        endings=_EITHER,
    ),
    Fault(
        name="refused-for-good",
        summary="the server goes away and does not come back",
        effect="refuse",
        role="write",
        after=2,
        seconds=LONG_GONE_S,
        endings=_LOST,
    ),
    Fault(
        name="reset-before-read",
        summary="the connection breaks before a read was carried out",
        effect="reset-before",
        role="read",
        after=4,
        endings=_EITHER,
    ),
    Fault(
        name="reset-after-read",
        summary="the connection breaks after a read, before the answer",
        effect="reset-after",
        role="read",
        after=4,
        endings=_EITHER,
    ),
    Fault(
        name="reset-before-write",
        summary="the connection breaks before a write took effect",
        effect="reset-before",
        role="write",
        after=2,
        endings=_EITHER,
    ),
    Fault(
        name="reset-after-write",
        summary="the connection breaks after a write took effect, before the answer",
        effect="reset-after",
        role="write",
        after=2,
        endings=_EITHER,
    ),
    Fault(
        name="reset-before-frame",
        summary="the connection breaks before an exposure",
        effect="reset-before",
        role="acquire",
        after=5,
        endings=_EITHER,
    ),
    Fault(
        name="reset-after-frame",
        summary="the connection breaks after an exposure, before the frame",
        effect="reset-after",
        role="acquire",
        after=5,
        endings=_EITHER,
    ),
    Fault(
        name="half-a-frame",
        summary="the connection ends in the middle of a frame",
        effect="half-reply",
        role="acquire",
        after=5,
        endings=_EITHER,
    ),
    Fault(
        name="half-a-reading",
        summary="the connection ends in the middle of a reading",
        effect="half-reply",
        role="read",
        after=4,
        endings=_EITHER,
    ),
    Fault(
        name="restart",
        summary="the server restarts and forgets its cameras; the knobs stay",
        effect="restart",
        role="write",
        after=2,
        seconds=SPIKE_S,
        endings=_EITHER,
    ),
    Fault(
        name="competitor",
        summary="another client connects, says nothing and goes",
        effect="competitor",
        role="write",
        after=2,
        seconds=SPIKE_S,
        endings=_RECOVERED,
    ),
    Fault(
        name="competitor-for-good",
        summary="another client connects, says nothing and stays: no other is answered",
        effect="competitor",
        role="write",
        after=2,
        seconds=LONG_GONE_S,
        endings=_LOST,
    ),
    Fault(
        name="error-on-read",
        summary="the instrument refuses one read",
        effect="call-error",
        role="read",
        after=4,
        endings=_EITHER,
    ),
    Fault(
        name="error-on-write",
        summary="the instrument refuses one write",
        effect="call-error",
        role="write",
        after=2,
        endings=_EITHER,
    ),
    Fault(
        name="error-on-frame",
        summary="the instrument refuses one exposure",
        effect="call-error",
        role="acquire",
        after=5,
        endings=_EITHER,
    ),
    Fault(
        name="errors-on-frames",
        summary="the instrument refuses every exposure from now on",
        effect="call-error",
        role="acquire",
        after=5,
        times=FOR_GOOD,
    ),
    Fault(
        name="errors-on-writes",
        summary="the instrument refuses every write from now on",
        effect="call-error",
        role="write",
        after=2,
        times=FOR_GOOD,
        endings=_LOST,
    ),
    Fault(
        name="clock-forward",
        summary="the server's clock jumps an hour ahead",
        effect="clock-jump",
        after=20,
        seconds=3600.0,
        endings=_RECOVERED,
    ),
    Fault(
        name="clock-back",
        summary="the server's clock jumps an hour back",
        effect="clock-jump",
        after=20,
        seconds=-3600.0,
        endings=_RECOVERED,
    ),
)

_KNOBS: Final = (
    Fault(
        name="stuck-once",
        summary="a write is accepted and moves nothing; the next one does",
        effect="stuck-knob",
        role="write",
        knob=DIFFRACTION_SHIFT,
        after=2,
        endings=_EITHER,
    ),
    Fault(
        name="stuck-knob",
        summary="writes are accepted and move nothing from now on",
        effect="stuck-knob",
        role="write",
        knob=DIFFRACTION_SHIFT,
        after=2,
        times=FOR_GOOD,
        endings=_LOST,
    ),
    Fault(
        name="wrong-reading",
        summary="one reading is wrong",
        effect="wrong-readback",
        role="read",
        knob=DIFFRACTION_SHIFT,
        after=4,
        endings=_EITHER,
        yields=True,
    ),
    Fault(
        name="wrong-readings",
        summary="all readings are wrong from now on",
        effect="wrong-readback",
        role="read",
        knob=DIFFRACTION_SHIFT,
        after=4,
        times=FOR_GOOD,
        endings=("stopped_restored", "not_restored"),
        yields=True,
    ),
    Fault(
        name="operator",
        summary="a person turns the knob",
        effect="operator",
        role="read",
        knob=DIFFRACTION_SHIFT,
        after=4,
        yields=True,
    ),
)

_FRAMES: Final = (
    Fault(
        name="stale-frame",
        summary="the frame before is delivered again, from now on",
        effect="stale-frame",
        role="acquire",
        after=5,
        times=FOR_GOOD,
    ),
    Fault(
        name="dark-frame",
        summary="every pixel is 0, from now on",
        effect="dark-frame",
        role="acquire",
        after=5,
        times=FOR_GOOD,
    ),
    Fault(
        name="saturated-frame",
        summary="every pixel is at the top of its range, from now on",
        effect="saturated-frame",
        role="acquire",
        after=5,
        times=FOR_GOOD,
    ),
    Fault(
        name="short-frame",
        summary="half of a frame is missing",
        effect="short-frame",
        role="acquire",
        after=5,
        endings=_EITHER,
    ),
    Fault(
        name="nan-frame",
        summary="a frame holds pixels that are no numbers",
        effect="nan-frame",
        role="acquire",
        after=5,
        endings=_EITHER,
    ),
    Fault(
        name="no-frame",
        summary="an exposure delivers no frame at all",
        effect="no-frame",
        role="acquire",
        after=5,
        endings=_EITHER,
    ),
    Fault(
        name="beam-lost",
        summary="the beam is gone: noise alone is left",
        effect="beam-lost",
        role="acquire",
        after=5,
    ),
    Fault(
        name="beam-blanked",
        summary="an operator blanks the beam",
        effect="beam-blanked",
        role="acquire",
        after=5,
    ),
    Fault(
        name="screen-raised",
        summary="an operator raises the screen",
        effect="screen-raised",
        role="acquire",
        after=5,
    ),
    Fault(
        name="valves-closed",
        summary="the column valves close",
        effect="valves-closed",
        role="acquire",
        after=5,
    ),
)

FAULTS: Final[tuple[Fault, ...]] = (*_CALLS, *_KNOBS, *_FRAMES)
"""All of them; add yours with `attrs.evolve`."""


def fault(name: str) -> Fault:
    """Return the fault of that name from the table.

    Raises:
        KeyError: there is none.
    """
    return {one.name: one for one in FAULTS}[name]
