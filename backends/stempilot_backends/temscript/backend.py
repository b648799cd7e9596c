"""Drives a microscope through a temscript server."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from attrs import frozen

from stempilot import (
    BEAM_BLANKER,
    BEAM_SHIFT,
    COLUMN_VALVES,
    DIFFRACTION_SHIFT,
    FLUCAM,
    PROJECTION_MODE,
    SCREEN,
    Backend,
    BackendError,
    Frame,
    KnobSpec,
    KnobValue,
    Offers,
    Opening,
    SourceSpec,
    StateSpec,
    as_knob_value,
    network_address,
)
from stempilot_backends.temscript.config import TemscriptConfig
from stempilot_backends.temscript.link import Link


@frozen
class _State:
    """A mode: how to read it, what its values are called here, and what the operator does."""

    method: str
    names: Mapping[Any, str]
    required: str
    remedy: str


_STATES: Final[Mapping[str, _State]] = {
    SCREEN: _State("get_screen_position", {"UP": "up", "DOWN": "down"}, "down", "lower the screen"),
    BEAM_BLANKER: _State(
        "get_beam_blanked", {False: "open", True: "blanked"}, "open", "unblank the beam"
    ),
    COLUMN_VALVES: _State(
        "get_column_valves_open",
        {False: "closed", True: "open"},
        "open",
        "open the column valves",
    ),
    PROJECTION_MODE: _State(
        "get_projection_mode",
        {"IMAGING": "imaging", "DIFFRACTION": "diffraction"},
        "diffraction",
        "change to diffraction",
    ),
}
_KNOBS: Final = {
    DIFFRACTION_SHIFT: ("get_diffraction_shift", "set_diffraction_shift"),
    BEAM_SHIFT: ("get_beam_shift", "set_beam_shift"),
}
_SIZE: Final = 2


class Temscript(Backend):
    """A microscope behind the package temscript's server.

    Args:
        config: its options.
        opening: with the purpose ``restore`` nothing but the server is required.
        link: the connection; made from the options by default.
        sleep: waits for a number of seconds.
        clock: seconds since any fixed moment.
    """

    def __init__(
        self,
        config: TemscriptConfig,
        opening: Opening,
        link: Link | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._restoring = opening.purpose == "restore"
        self._link = Link(config.address, config.timeout_s) if link is None else link
        self._sleep = sleep
        self._clock = clock
        self._owner: int | None = None
        self._exposure_s = 0.0
        self._identity: dict[str, str] = {}

    def open(self) -> None:
        """Connect, and check everything that the operator has to see to. Sets nothing."""
        self._owner = threading.get_ident()
        self._identity = {
            "family": str(self._call("get_family")),
            "microscope": str(self._call("get_microscope_id")),
            "temscript": str(self._call("get_version")),
        }
        if self._restoring:
            return
        problems = [
            f"{name} is {found}, must be {state.required}: {state.remedy}"
            for name, state in _STATES.items()
            if (found := self.state(name)) != state.required
        ]
        problems += self._camera_problems()
        if problems:
            lines = "\n".join(f"- {problem}" for problem in problems)
            msg = f"the microscope at {self._config.url} is not ready:\n{lines}"
            raise BackendError(msg)

    def _camera_problems(self) -> list[str]:
        name, shape = self._config.camera, self._config.camera_shape
        cameras = self._call("get_cameras")
        if name not in cameras:
            listed = ", ".join(cameras) or "none"
            return [f"no camera is called {name!r} (there are: {listed}): set backend.camera"]
        setup = self._call("get_camera_param", name)
        try:
            self._exposure_s = float(setup["exposure(s)"])
            share = {"FULL": 1, "HALF": 2, "QUARTER": 4}[setup["image_size"]]
            reduced = int(setup["binning"]) * share
            sides = (
                int(cameras[name]["height"]) // reduced,
                int(cameras[name]["width"]) // reduced,
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            msg = f"the camera {name} describes itself as {cameras[name]}, {setup}: {error!r}"
            raise BackendError(msg) from error
        if sides != shape:
            return [f"{name} delivers {sides} (rows, cols), not {shape}: set backend.camera_shape"]
        return []

    def close(self) -> None:
        """Disconnect."""
        self._link.hang_up()
        self._owner = None

    def offers(self) -> Offers:
        """Return two knobs, one camera and four modes."""
        config = self._config

        def knob(unit: str, limit: float, step: float, resolution: float) -> KnobSpec:
            both = (1.0,) * _SIZE
            return KnobSpec(
                unit=unit,
                lower=[-limit * one for one in both],
                upper=[limit * one for one in both],
                max_change=[step * one for one in both],
                resolution=[resolution * one for one in both],
            )

        return Offers(
            knobs={
                DIFFRACTION_SHIFT: knob(
                    "rad",
                    config.shift_limit_rad,
                    config.shift_step_rad,
                    config.shift_resolution_rad,
                ),
                BEAM_SHIFT: knob(
                    "m",
                    config.beam_shift_limit_m,
                    config.beam_shift_step_m,
                    config.beam_shift_resolution_m,
                ),
            },
            sources={
                FLUCAM: SourceSpec(
                    shape=config.camera_shape,
                    dtype=config.camera_dtype,
                    saturation=config.saturation,
                )
            },
            states={
                name: StateSpec(values=(*state.names.values(), "unknown"))
                for name, state in _STATES.items()
            },
        )

    def lock_name(self) -> str:
        """Return host and port: one server drives one microscope."""
        return network_address(*self._config.address)

    def identity(self) -> Mapping[str, str]:
        """Return what the server says of the microscope, and where the server is."""
        return {**self._identity, "url": self._config.url}

    def state(self, name: str) -> str:
        """Return the value of a mode; ``unknown`` for what temscript calls otherwise."""
        state = _STATES.get(name)
        if state is None:
            msg = f"no state is called {name!r}; there are {', '.join(_STATES)}"
            raise BackendError(msg)
        found = self._call(state.method)
        return state.names.get(found, "unknown") if isinstance(found, str | bool) else "unknown"

    def read(self, knob: str) -> KnobValue:
        """Return where a knob stands."""
        return self._reading(_methods(knob)[0])

    def _reading(self, method: str) -> KnobValue:
        found = self._call(method)
        try:
            reading = as_knob_value(found)
        except (TypeError, ValueError) as error:
            msg = f"{method} returned {found!r}, not {_SIZE} numbers"
            raise BackendError(msg) from error
        if len(reading) != _SIZE or not np.isfinite(reading).all():
            msg = f"{method} returned {found!r}, not {_SIZE} finite numbers"
            raise BackendError(msg)
        return reading

    def write(self, knob: str, value: KnobValue) -> None:
        """Move a knob, wait for it to settle, and make sure by its read-back that it moved."""
        getter, setter = _methods(knob)
        self._call(setter, [float(item) for item in value])
        self._sleep(self._config.settle_s)
        found = self._reading(getter)
        spec = self.offers().knobs[knob]
        far = np.abs(np.subtract(found, value)) > np.asarray(spec.resolution)
        if far.any():
            msg = f"{knob} reads {found} {spec.unit} after {tuple(value)} was written"
            raise BackendError(msg)

    def acquire(self, source: str) -> Frame:
        """Return a new exposure: the server exposes when it is asked to."""
        if source != FLUCAM:
            msg = f"no source is called {source!r}; there is {FLUCAM}"
            raise BackendError(msg)
        found = self._call("acquire", self._config.camera)
        pixels = found.get(self._config.camera) if isinstance(found, dict) else None
        if not isinstance(pixels, np.ndarray):
            msg = f"acquire returned no image of {self._config.camera}"
            raise BackendError(msg)
        scale = self._config.pixel_mrad
        return Frame(
            pixels=pixels,
            exposure_s=self._exposure_s,
            taken_at_s=self._clock(),
            pixel_rad=None if scale is None else scale * 1e-3,
        )

    def park(self) -> None:
        """Blank the beam."""
        blanked = True
        self._call("set_beam_blanked", blanked)

    def _call(self, method: str, *arguments: Any) -> Any:
        if self._owner != threading.get_ident():
            msg = f"{method} was called before open, after close, or from a second thread"
            raise BackendError(msg)
        return self._link.call(method, *arguments)


def _methods(knob: str) -> tuple[str, str]:
    methods = _KNOBS.get(knob)
    if methods is None:
        msg = f"no knob is called {knob!r}; there are {', '.join(_KNOBS)}"
        raise BackendError(msg)
    return methods
