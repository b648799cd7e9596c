"""The virtual microscope behind the server: knobs, states, a camera, and a log."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from stempilot import (
    BEAM_SHIFT,
    CAMERA_LENGTH_INDEX,
    CONDENSER_STIGMATOR,
    DIFFRACTION_SHIFT,
    FLUCAM,
    STEM_DEFOCUS,
    KnobValue,
)
from stempilot.faults import Effect, Fault
from stempilot_backends.usetem.emulator.comerror import INVALID_ARGUMENT, UNEXPECTED, COMError
from stempilot_backends.usetem.emulator.config import EmulatorConfig
from stempilot_backends.usetem.emulator.switches import Beam, Switched

_LOG_LENGTH = 100_000
_SIZES = {
    DIFFRACTION_SHIFT: 2,
    CAMERA_LENGTH_INDEX: 1,
    BEAM_SHIFT: 2,
    STEM_DEFOCUS: 1,
    CONDENSER_STIGMATOR: 2,
}
_LIMITS = {STEM_DEFOCUS: 1.0, CONDENSER_STIGMATOR: 1.0}
_SWITCHED: Mapping[Effect, Mapping[str, Any]] = {
    "beam-lost": {"lost": True},
    "beam-blanked": {"blanked": True},
    "screen-raised": {"screen": "up"},
    "valves-closed": {"valves": "closed"},
}


@frozen(kw_only=True)
class Command:
    """One command that took effect.

    Attributes:
        at_s: seconds since the emulator was made.
        what: a knob or state, ``acquire``, or what was done to the list of cameras.
        value: what it was set to, or the true position in a frame; ``None`` where there is nothing
            to say.
        by: ``client``, or ``operator`` for what came another way.
    """

    at_s: float
    what: str
    value: Any = None
    by: str = "client"


@frozen
class _Move:
    """A shift or camera length that is still settling."""

    due_s: float
    knob: str
    value: KnobValue = field(repr=False)


class Bench:
    """One virtual microscope. Safe to use from several threads; waits are outside its lock.

    Args:
        config: its options.
        seed: which instrument it is.
        wait: waits for a number of seconds, or less when the emulator is closed.
    """

    def __init__(self, config: EmulatorConfig, seed: int, wait: Callable[[float], object]) -> None:
        self._config = config
        self._wait = wait
        self._born_s = time.monotonic()
        self._lock = threading.RLock()
        self._column = Switched.of_seed(config, seed)
        self._log: deque[Command] = deque(maxlen=_LOG_LENGTH)
        self._moves: deque[_Move] = deque()
        self._others: dict[str, KnobValue] = {BEAM_SHIFT: (0.0, 0.0)}
        self._mode = config.instrument_mode
        self._cameras: list[str] = []
        self._beam = self._as_configured()

    def _as_configured(self) -> Beam:
        return Beam(
            screen=self._config.screen,
            blanked=self._config.beam_blanker == "blanked",
            valves=self._config.valves,
            diffracting=self._config.projection == "diffraction",
        )

    def warm_up(self) -> None:
        """Get ready, so that the first exposure takes no longer than the others."""
        with self._lock:
            self._column.warm_up()

    @property
    def beam(self) -> Beam:
        """The switches that decide whether the disk shows."""
        return self._beam

    @property
    def mode(self) -> str:
        """Mode of the instrument, STEM or TEM."""
        return self._mode

    def take_latency(self) -> None:
        """Wait for as long as each call takes in addition to its work."""
        self._pace(self._config.latency_s)

    def _pace(self, seconds: float) -> None:
        if self._config.realtime and seconds > 0:
            self._wait(seconds)

    def read(self, knob: str) -> KnobValue:
        """Return what a knob reads: what was written, rounded as the instrument rounds."""
        value = self.position(knob)
        grain = self._config.shift_resolution_rad
        if knob == DIFFRACTION_SHIFT and grain > 0:
            return tuple(round(item / grain) * grain for item in value)
        return value

    def position(self, knob: str) -> KnobValue:
        """Return where a knob stands.

        Raises:
            KeyError: no such knob.
        """
        with self._lock:
            for move in reversed(self._moves):
                if move.knob == knob:
                    return move.value
            return self._others[knob] if knob in self._others else self._column.read(knob)

    def write(self, knob: str, value: KnobValue, *, by: str = "client") -> None:
        """Set a knob.

        Raises:
            COMError: the value is out of range; nothing moved.
            KeyError: no such knob.
        """
        self._check(knob, value)
        with self._lock:
            if knob in self._others:
                self._others[knob] = value
            elif self._config.realtime and self._config.settle_s > 0:
                self._moves.append(_Move(self._now() + self._config.settle_s, knob, value))
            else:
                self._column.write(knob, value)
            self._note(knob, list(value), by)

    def _check(self, knob: str, value: KnobValue) -> None:
        if len(value) != _SIZES[knob] or not all(map(math.isfinite, value)):
            raise COMError(INVALID_ARGUMENT, "The parameter is incorrect.")
        limits = {**_LIMITS, DIFFRACTION_SHIFT: self._config.shift_limit_rad}
        length = len(self._column.lengths_m())
        if max(map(abs, value)) > limits.get(knob, math.inf) or (
            knob == CAMERA_LENGTH_INDEX and not 0 <= value[0] < length
        ):
            raise COMError(INVALID_ARGUMENT, "Value does not fall within the expected range.")

    def turn(self, knob: str, by: KnobValue) -> None:
        """Turn a knob by hand, by so much per component."""
        with self._lock:
            standing = self.position(knob)
            turned = tuple(a + b for a, b in zip(standing, by, strict=False))
            self.write(knob, turned + standing[len(turned) :], by="operator")

    def switch(self, *, by: str = "client", **states: Any) -> None:
        """Set screen, blanked, valves, diffracting or lost."""
        with self._lock:
            self._beam = evolve(self._beam, **states)
            for name, value in states.items():
                self._note(name, value, by)

    def operate(self, **changes: Any) -> None:
        """Change by hand what no call changes; see `Simulator.operate`."""
        with self._lock:
            self._settle(math.inf)
            self._column.operate(**changes)
            self._column.warm_up()
            for name, value in changes.items():
                self._note(name, value, "operator")

    def set_mode(self, mode: str) -> None:
        """Set the mode of the instrument."""
        with self._lock:
            self._mode = "STEM" if mode == "STEM" else "TEM"
            self._note("mode", self._mode, "client")

    def suffer(self, fault: Fault) -> None:
        """Undergo a fault of the microscope itself; others are none of its business."""
        if fault.effect == "operator":
            self.turn(fault.knob or DIFFRACTION_SHIFT, fault.turn)
        elif fault.effect in _SWITCHED:
            self.switch(by="operator", **_SWITCHED[fault.effect])

    def as_configured(self) -> None:
        """Put beam, screen, valves, blanker and projection back as the options say."""
        with self._lock:
            self._beam = self._as_configured()

    def lengths_m(self) -> tuple[float, ...]:
        """Return the table of camera lengths."""
        return self._column.lengths_m()

    def screen_current_a(self) -> float:
        """Return the current on the screen."""
        return self._column.current_a() if self._beam.on_screen else 0.0

    def add_camera(self, name: str) -> None:
        """Add a camera to the list, which all clients share.

        Raises:
            COMError: there is no such camera.
        """
        if name != self._config.camera:
            raise COMError(INVALID_ARGUMENT, f"No acquisition device is called {name}.")
        with self._lock:
            self._cameras.append(name)
            self._note("add_camera", name, "client")

    def remove_camera(self, name: str) -> None:
        """Take a camera off the list.

        Raises:
            COMError: it is not on the list.
        """
        with self._lock:
            if name not in self._cameras:
                raise COMError(INVALID_ARGUMENT, f"{name} was not added.")
            self._cameras.remove(name)
            self._note("remove_camera", name, "client")

    def remove_cameras(self, *, by: str = "client") -> None:
        """Empty the list."""
        with self._lock:
            self._cameras.clear()
            self._note("remove_cameras", None, by)

    def acquire(self) -> list[npt.NDArray[np.uint16]]:
        """Expose, and return a (row, col) frame for each camera on the list.

        Raises:
            COMError: the list is empty.
        """
        started_s = self._now()
        with self._lock:
            if not self._cameras:
                raise COMError(UNEXPECTED, "No acquisition device was added.")
            self._settle(started_s)
            self._column.light(self._beam)
            frames = [self._column.acquire(FLUCAM).pixels for _ in self._cameras]
            shown = list(self._column.truth()["position_px"])
            self._note("acquire", {"position_px": shown}, "client")
        self._pace(self._config.exposure_s - (self._now() - started_s))
        return frames

    def _settle(self, until_s: float) -> None:
        while self._moves and self._moves[0].due_s <= until_s:
            move = self._moves.popleft()
            self._column.write(move.knob, move.value)

    def log(self) -> tuple[Command, ...]:
        """Return the commands that took effect, the oldest first, the last 100,000 at most."""
        with self._lock:
            return tuple(self._log)

    def look(self) -> dict[str, Any]:
        """Return all there is to know, the truth included, as plain JSON values."""
        with self._lock:
            beam = self._beam
            return {
                "knobs": {knob: list(self.position(knob)) for knob in _SIZES},
                "screen": beam.screen,
                "beam_blanker": "blanked" if beam.blanked else "open",
                "valves": beam.valves,
                "projection": "diffraction" if beam.diffracting else "imaging",
                "mode": self._mode,
                "beam_lost": beam.lost,
                **self._column.by_hand(),
                "cameras": list(self._cameras),
                "truth": {name: list(value) for name, value in self._column.truth().items()},
            }

    def _note(self, what: str, value: Any, by: str) -> None:
        self._log.append(Command(at_s=self._now(), what=what, value=value, by=by))

    def _now(self) -> float:
        return time.monotonic() - self._born_s
