"""Reading how the diffraction shift moves the disk."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from attrs import evolve, frozen

from stempilot import (
    DIFFRACTION_SHIFT,
    KNOB_UNITS,
    KnobNeed,
    KnobValue,
    Needs,
    Outcome,
    Product,
    Quantity,
    Reading,
    SetPoint,
    Snapshot,
)
from stempilot_tasks.bf_disk_centering.state import CenteringState, Measured, Point
from stempilot_tasks.readings.beam import Beam
from stempilot_tasks.readings.config import ReadResponseConfig
from stempilot_tasks.readings.fit import Fit, fit
from stempilot_tasks.readings.star import FRAMES, REST, Field, arm, middle

_EXPECTED: Final = 4.0
"""Standard deviation of the response that is expected before the first move, over that of a knob
calibrated in radians on the screen."""

_INSIDE: Final = 0.75
"""The disk's centre stays so many radii inside the frame: one that is cut by less is found well."""

_SHORTEST: Final = 0.05
"""An arm that the envelope refuses is halved until it is shorter than so many largest moves."""


@frozen(kw_only=True)
class ResponseState:
    """What has been seen so far.

    Attributes:
        seen: what the last frame tells of the direct beam.
        asked_rad: where the diffraction shift was asked to stand at each frame; at the first one
            it is the read-back.
        read_rad: its read-backs.
        places_px: where the disk stood, from the frame's centre.
        longest: longest arm that the envelope is known not to refuse, in largest moves.
    """

    seen: CenteringState
    asked_rad: tuple[Point, ...]
    read_rad: tuple[Point, ...]
    places_px: tuple[Point, ...]
    longest: float = 4.0


class ReadResponse(Reading[Measured, ResponseState]):
    """Read the 2 x 2 response of the diffraction shift from a star of small moves.

    Args:
        config: the options.

    Raises:
        ValueError: the mask or the reference cannot be read.
    """

    def __init__(self, config: ReadResponseConfig) -> None:
        self.config = config
        self._beam = Beam(config.centring())
        self._unit_rad = config.largest_move_mrad * 1e-3

    @property
    def needs(self) -> Needs:
        """The diffraction shift and the FluCam, with the screen down and the beam on it."""
        unit, size = KNOB_UNITS[DIFFRACTION_SHIFT]
        knob = KnobNeed(unit=unit, size=size, largest_step=(self._unit_rad,) * size)
        return evolve(self._beam.needs, knobs={DIFFRACTION_SHIFT: knob})

    def measure(self, snapshot: Snapshot) -> Measured:
        """Return the disks that the FluCam shows; raises as `BfDiskCentering.measure`."""
        return self._beam.measure(snapshot)

    def sees(self, measured: Measured, source: str) -> bool:
        """Return whether a disk, or a part of one, shows."""
        del source
        return measured.visible

    def initial(self, measured: Measured) -> ResponseState:
        """Return the state after the first frame."""
        x_rad, y_rad = measured.shift_rad
        start = ResponseState(
            seen=self._beam.first(measured), asked_rad=(), read_rad=(), places_px=()
        )
        return _with(start, (x_rad, y_rad), measured)

    def own_moves(
        self, state: ResponseState, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...] | None:
        """Return the next move of the star; none after the last, empty for a frame without one."""
        del standing
        if self.outcome(state) is not Outcome.RUNNING:
            return None
        target = self._next(state)
        return () if target == state.asked_rad[-1] else (SetPoint(DIFFRACTION_SHIFT, target),)

    def refused(self, state: ResponseState) -> ResponseState | None:
        """Return the state with shorter arms; ``None`` where no arm is allowed."""
        longest = state.longest / 2
        return evolve(state, longest=longest) if longest >= _SHORTEST else None

    def advance(self, state: ResponseState, action: Any, measured: Measured) -> ResponseState:
        """Return the state after a move, or a frame without one."""
        del action
        if not state.asked_rad:  # It has failed already.
            return self.initial(measured)
        target, before = self._next(state), state.asked_rad[-1]
        moved = target[0] - before[0], target[1] - before[1]
        return _with(
            evolve(state, seen=self._beam.then(state.seen, measured, moved)), target, measured
        )

    def _next(self, state: ResponseState) -> Point:
        """Return where the diffraction shift is to stand at the next frame."""
        number = len(state.asked_rad)
        home, at = np.array(state.asked_rad[0]), np.array(state.asked_rad[-1])
        if number == REST:
            return state.asked_rad[-1]
        if number >= FRAMES - 1:
            return state.asked_rad[0]
        found = self.fit(state, coarse=True)
        field = self._field(state)
        moves = number - (number > REST)
        if moves % 2:
            step = arm(moves // 2, found, np.array(state.places_px[-1]), field, state.longest)
            target = at + self._unit_rad * step
        else:
            target = home + self._unit_rad * middle(found, np.array(state.places_px[0]), field)
        x_rad, y_rad = target.tolist()
        return x_rad, y_rad

    def _field(self, state: ResponseState) -> Field:
        disk = state.seen.known.disk
        radius_px = disk.radius_px if disk else 0.0
        room = np.maximum(np.array(self._beam.half_px) - _INSIDE * radius_px - 1.0, 0.0)
        return Field(room_px=room, reach_px=self.config.reach_px)

    def fit(self, state: ResponseState, *, coarse: bool = False) -> Fit:
        """Return the response per largest move, from all frames so far.

        Args:
            state: with at least one frame.
            coarse: try few lags and plays.
        """
        pixel_rad = state.seen.measured.pixel_rad or self.config.pixel_mrad * 1e-3
        return fit(
            np.array(state.asked_rad) / self._unit_rad,
            np.array(state.places_px),
            gain=_EXPECTED * self._unit_rad / pixel_rad,
            coarse=coarse,
        )

    def outcome(self, state: ResponseState) -> Outcome:
        """Return SUCCESS after the last frame; FAILURE or AMBIGUOUS as the centring does."""
        verdict = self._beam.verdict(state.seen, cut=len(state.asked_rad) > 1)
        enough = len(state.asked_rad) == FRAMES
        return Outcome.SUCCESS if verdict is Outcome.RUNNING and enough else verdict

    def products(self, state: ResponseState) -> dict[str, Product]:
        """Return response, lag, play and read-back with their standard uncertainties at the end."""
        if self.outcome(state) is not Outcome.SUCCESS:
            return {}
        found = self.fit(state)
        pixel_rad = state.seen.measured.pixel_rad
        entries = {}
        for row, along in enumerate("xy"):
            for column, axis in enumerate("xy"):
                value = float(found.response[row, column]) / self._unit_rad
                unsure = float(np.sqrt(found.covariance[row, column, column])) / self._unit_rad
                entries[f"{along}{axis}"] = value, unsure
        products = {
            f"response_{name}": Product(value=value, unit="px/rad", uncertainty=unsure)
            for name, (value, unsure) in entries.items()
        }
        if pixel_rad is not None:
            per = pixel_rad * 1e3
            products |= {
                f"angle_{name}": Product(
                    value=per * value, unit="mrad/rad", uncertainty=per * unsure
                )
                for name, (value, unsure) in entries.items()
            }
        lag, of_lag = found.lag
        products["lag"] = Product(value=lag, unit="", uncertainty=of_lag)
        for axis, play, unsure in zip("xy", *(self._unit_rad * found.play), strict=True):
            products[f"backlash_{axis}"] = Product(
                value=float(play), unit="rad", uncertainty=float(unsure)
            )
        return products

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Where the disk stands."""
        return (
            Quantity(name="x_px", unit="px", symbol="x"),
            Quantity(name="y_px", unit="px", symbol="y"),
        )

    def summary(self, state: ResponseState) -> dict[str, float]:
        """Return where the disk and the diffraction shift stand; nothing where it is not seen."""
        if state.seen.known.disk is None:
            return {}
        (x_px, y_px), (x_rad, y_rad) = state.places_px[-1], state.read_rad[-1]
        return {"x_px": x_px, "y_px": y_px, "shift_x_rad": x_rad, "shift_y_rad": y_rad}

    def explain(self, state: ResponseState) -> str:
        """Return why the response cannot be read, in the words of the centring."""
        return self._beam.explain(state.seen)

    def marks(self, state: ResponseState) -> dict[str, Point]:
        """Return ``found``, or the candidates, (x, y) in pixels of the frame, origin top left."""
        return self._beam.marks(state.seen)


def _with(state: ResponseState, target: Point, measured: Measured) -> ResponseState:
    """Return the state with what a frame shows; without a place where the beam is not seen."""
    disk = state.seen.known.disk
    if disk is None:
        return state
    x_rad, y_rad = measured.shift_rad
    return evolve(
        state,
        asked_rad=(*state.asked_rad, target),
        read_rad=(*state.read_rad, (x_rad, y_rad)),
        places_px=(*state.places_px, disk.position_px),
    )
