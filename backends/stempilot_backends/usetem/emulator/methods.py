"""The server's methods by their real names, with their real types and traps."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from stempilot import (
    BEAM_SHIFT,
    CAMERA_LENGTH_INDEX,
    CONDENSER_STIGMATOR,
    DIFFRACTION_SHIFT,
    STEM_DEFOCUS,
    KnobValue,
)
from stempilot.faults import Effect, Fault, Role
from stempilot_backends.usetem.emulator import frames
from stempilot_backends.usetem.emulator.bench import Bench
from stempilot_backends.usetem.emulator.comerror import FAIL, INVALID_ARGUMENT, COMError
from stempilot_backends.usetem.emulator.struck import Call

IMAGING, DIFFRACTION = 1, 2
UP, DOWN = 2, 3
MODES = ("TEM", "STEM")

STIGMATOR = "illumination.condenserStigmator"
_KNOBS = {
    "projection.diffractionShift": DIFFRACTION_SHIFT,
    "projection.cameraLengthIndex": CAMERA_LENGTH_INDEX,
    "projection.cameraLength": CAMERA_LENGTH_INDEX,
    "illumination.STEMDefocus": STEM_DEFOCUS,
    "illumination.beamShift": BEAM_SHIFT,
    STIGMATOR: CONDENSER_STIGMATOR,
}
_ACQUIRE = "acquisition.acquireImages"
_BROKEN = (
    "illumination.tilt",
    "illumination.imageShift",
    "illumination.rotationCenter",
    STIGMATOR,
    "acquisition.imageSize",
)


def call_of(method: str, params: Sequence[Any]) -> Call:
    """Return what kind of call this is, for counting faults."""
    if method == _ACQUIRE:
        return Call(method, "acquire")
    if method in _KNOBS:
        role: Role = "read" if not params or params[0] is None else "write"
        return Call(method, role, _KNOBS[method])
    return Call(method, "other")


class Methods:
    """Carries out calls on a bench, one at a time.

    Args:
        bench: the microscope.
        repaired: methods that work although they are broken on the published server.
    """

    def __init__(self, bench: Bench, repaired: Collection[str] = ()) -> None:
        self._bench = bench
        self._faults: Mapping[Effect, Fault] = {}
        self._before: list[frames.Pixels] | None = None
        self.dotted: dict[str, Callable[..., Any]] = {
            "projection.diffractionShift": self._diffraction_shift,
            "projection.cameraLengthIndex": self._camera_length_index,
            "projection.cameraLength": self._camera_length,
            "projection.mode": self._projection_mode,
            "camera.screenCurrent": self._screen_current,
            "camera.mainScreenPosition": self._screen_position,
            "illumination.isBeamBlanked": self._beam_blanked,
            "illumination.STEMDefocus": self._stem_defocus,
            "illumination.beamShift": self._beam_shift,
            "vacuum.columnValvesOpen": self._valves_open,
            "vacuum.gauges": self._gauges,
            "acquisition.addCameraByName": bench.add_camera,
            "acquisition.removeAcqDeviceByName": bench.remove_camera,
            "acquisition.removeAllAcqDevices": self._remove_all_devices,
            _ACQUIRE: self._acquire_images,
            STIGMATOR: self._condenser_stigmator,
            **{name: _broken(name) for name in _BROKEN if name not in repaired},
        }
        self.plain: dict[str, Callable[..., Any]] = {
            "mode": self._mode,
            "isSTEMAvailable": self._stem_available,
            "configInfo": self._config_info,
        }
        self._all = {**self.dotted, **self.plain}

    def knows(self, method: str) -> bool:
        """Return whether there is such a method."""
        return method in self._all

    def call(self, method: str, params: Sequence[Any], faults: Sequence[Fault]) -> Any:
        """Carry out a call that faults strike.

        Raises:
            COMError: the microscope refused.
            TypeError: an argument is of the wrong type, or there are too many.
        """
        self._faults = {fault.effect: fault for fault in faults}
        if "call-error" in self._faults:
            raise COMError(FAIL, "Unspecified error")
        return self._all[method](*params)

    def _read(self, knob: str) -> KnobValue:
        value = self._bench.read(knob)
        wrong = self._faults.get("wrong-readback")
        if wrong is None:
            return value
        return tuple(a + b for a, b in zip(value, wrong.turn, strict=False))

    def _write(self, knob: str, value: KnobValue) -> None:
        if "stuck-knob" not in self._faults:
            self._bench.write(knob, value)

    def _diffraction_shift(self, shift: Any = None) -> list[float] | None:
        return self._vector(DIFFRACTION_SHIFT, shift)

    def _beam_shift(self, shift: Any = None) -> list[float] | None:
        return self._vector(BEAM_SHIFT, shift)

    def _condenser_stigmator(self, value: Any = None) -> list[float] | None:
        return self._vector(CONDENSER_STIGMATOR, value)

    def _vector(self, knob: str, value: Any) -> list[float] | None:
        if value is None:
            return list(self._read(knob))
        if not isinstance(value, list | tuple):
            msg = f"{value!r} is not an array of two numbers"
            raise TypeError(msg)
        self._write(knob, tuple(_double(item) for item in value))
        return None

    def _stem_defocus(self, defocus_m: Any = None) -> float | None:
        if defocus_m is None:
            return self._read(STEM_DEFOCUS)[0]
        self._write(STEM_DEFOCUS, (_double(defocus_m),))
        return None

    def _camera_length_index(self, index: Any = None) -> int | None:
        if index is None:
            return int(self._read(CAMERA_LENGTH_INDEX)[0])
        self._write(CAMERA_LENGTH_INDEX, (float(_whole(index)),))
        return None

    def _camera_length(self, index: Any = None) -> float | int:
        # The published server's bug: the index without an argument, and a change with one.
        if index is None:
            return int(self._read(CAMERA_LENGTH_INDEX)[0])
        wanted = _whole(index)
        self._write(CAMERA_LENGTH_INDEX, (float(wanted),))
        return self._bench.lengths_m()[wanted]

    def _projection_mode(self, mode: Any = None) -> int | None:
        if mode is None:
            return DIFFRACTION if self._bench.beam.diffracting else IMAGING
        self._bench.switch(diffracting=_one_of(mode, (IMAGING, DIFFRACTION)) == DIFFRACTION)
        return None

    def _screen_current(self) -> float:
        return self._bench.screen_current_a()

    def _screen_position(self, position: Any = None) -> int | None:
        if position is None:
            return DOWN if self._bench.beam.screen == "down" else UP
        self._bench.switch(screen="down" if _one_of(position, (UP, DOWN)) == DOWN else "up")
        return None

    def _beam_blanked(self, blanked: Any = None) -> bool | None:
        if blanked is None:
            return self._bench.beam.blanked
        if isinstance(blanked, bool):
            self._bench.switch(blanked=blanked)
        # Anything else is silently ignored, as on the published server.
        return None

    def _valves_open(self, open_: Any = None) -> bool | None:
        if open_ is None:
            return self._bench.beam.valves == "open"
        # No type check, as on the published server: whatever counts as true opens them.
        self._bench.switch(valves="open" if open_ else "closed")
        return None

    def _gauges(self) -> list[Any]:
        return []

    def _mode(self, mode: Any = None) -> int | None:
        if mode is None:
            return MODES.index(self._bench.mode)
        self._bench.set_mode(MODES[_one_of(mode, (0, 1))])
        return None

    def _stem_available(self) -> bool:
        return True

    def _config_info(self, expression: str) -> Any:
        msg = f"{expression!r} is not evaluated: the emulator runs nothing that it is sent"
        raise PermissionError(msg)

    def _remove_all_devices(self) -> None:
        self._bench.remove_cameras()

    def _acquire_images(self) -> bytes:
        if "stale-frame" in self._faults and self._before is not None:
            return frames.pickled(self._before)
        sent: list[frames.Pixels] = [frames.on_the_wire(one) for one in self._bench.acquire()]
        self._before = list(sent)
        for effect in self._faults:
            sent = [frames.spoiled(effect, one) for one in sent]
        return frames.pickled([] if "no-frame" in self._faults else sent)


def _broken(name: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        msg = f"{name} is broken on the published server too"
        raise AttributeError(msg)

    return refuse


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"must be real number, not {type(value).__name__}"
        raise TypeError(msg)
    return float(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        msg = f"{type(value).__name__!r} object cannot be interpreted as an integer"
        raise TypeError(msg)
    return value


def _one_of(value: Any, known: tuple[int, ...]) -> int:
    if _whole(value) not in known:
        raise COMError(INVALID_ARGUMENT, "Value does not fall within the expected range.")
    return int(value)
