"""`read-aberrations`: defocus and astigmatism with their uncertainties; nothing is corrected."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen

from stempilot import (
    STEM_DEFOCUS,
    KnobValue,
    Needs,
    Outcome,
    Product,
    Quantity,
    Reading,
    SetPoint,
)
from stempilot_tasks.probe.config import ReadAberrationsConfig
from stempilot_tasks.probe.seeing import (
    Looking,
    Measured,
    needs_of,
    numbers_of,
    products_of,
    why_untold,
)

_STEP_M, _FRAMES = 1e-7, 2
"""Largest move of the focus; frames in a row that may tell nothing."""

_APART: Final = 0.2
"""Share of the defocus by which the focus is moved; the two sides then differ by twice of it."""

_CLEAR: Final = 2.0
"""The right side explains the second frame this many times better than the other."""


@frozen(kw_only=True)
class Read:
    """The state.

    Attributes:
        first: the frame where the instrument stands.
        last: the last frame.
        untold: frames in a row that told nothing.
        sign: of C1, once the second frame told it; 0 where it could not.
    """

    first: Measured
    last: Measured
    untold: int = 0
    sign: float | None = None


class ReadAberrations(Looking[ReadAberrationsConfig], Reading[Measured, Read]):
    """Read C1 and A1 from a Ronchigram.

    A frame tells them up to one common sign. Unless the side is given, a small move of the focus
    toward overfocus tells it.
    """

    def __init__(self, config: ReadAberrationsConfig) -> None:
        super().__init__(config)
        self._given = {"under": -1.0, "over": 1.0}.get(config.side)

    @property
    def needs(self) -> Needs:
        """The FluCam with the beam on the screen; the focus where the side is to be found."""
        return needs_of(defocus_m=None if self._given else _STEP_M)

    def initial(self, measured: Measured) -> Read:
        """Return the state after the first frame."""
        untold = int(measured.c1_m is None)
        return Read(first=measured, last=measured, untold=untold, sign=self._given)

    def advance(self, state: Read, action: Any, measured: Measured) -> Read:
        """Return the state after another frame, where it stands or a small move away."""
        del action
        if measured.c1_m is None:
            return evolve(state, last=measured, untold=state.untold + 1)
        if state.first.c1_m is None:
            return evolve(state, first=measured, last=measured, untold=0)
        moved = measured.knob_m - state.first.knob_m
        found = _sign(state.first.c1_m, moved, measured.c1_m)
        return evolve(state, last=measured, untold=0, sign=found)

    def own_moves(
        self, state: Read, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...] | None:
        """Return another frame where one told nothing, and the move that tells the side."""
        if self.outcome(state) is not Outcome.RUNNING:
            return None
        if state.first.c1_m is None or state.untold:
            return ()
        step = min(_APART * state.first.c1_m, _STEP_M)
        return (SetPoint(STEM_DEFOCUS, standing[STEM_DEFOCUS][0] + step),)

    def outcome(self, state: Read) -> Outcome:
        """Return SUCCESS when values and sign are known, FAILURE when frames do not tell them."""
        if state.untold >= _FRAMES or state.sign == 0.0:
            return Outcome.FAILURE
        known = state.first.c1_m is not None and state.sign is not None
        return Outcome.SUCCESS if known else Outcome.RUNNING

    def summary(self, state: Read) -> dict[str, float]:
        """Return the values read, in nm."""
        return numbers_of(state.first, state.sign or 1.0)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Defocus and astigmatism."""
        return (
            Quantity(name="c1_nm", unit="nm", symbol="C1"),
            Quantity(name="a1_x_nm", unit="nm", symbol="A1x"),
            Quantity(name="a1_y_nm", unit="nm", symbol="A1y"),
        )

    def products(self, state: Read) -> Mapping[str, Product]:
        """Return C1, A1x and A1y where the instrument stands, with standard uncertainties."""
        return products_of(state.first, state.sign) if state.sign else {}

    def explain(self, state: Read) -> str:
        """Return why nothing is read; empty where all is."""
        if state.sign == 0.0:
            return "a move of the focus did not tell the side: does the knob move the focus?"
        return why_untold(state.last)


def _sign(before_m: float, moved_m: float, after_m: float) -> float:
    """Return the sign of the defocus before a move; 0 where the frame after it fits neither."""
    over, under = (abs(after_m - abs(sign * before_m + moved_m)) for sign in (1.0, -1.0))
    if min(over, under) > abs(moved_m) / _CLEAR:
        return 0.0
    return 1.0 if over < under else -1.0
