"""An instrument of one knob and one camera, in memory."""

import copy
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.random import SeedSequence

from stempilot.contract.backend import Backend
from stempilot.contract.names import BEAM_BLANKER, BEAM_SHIFT
from stempilot.contract.values import Frame, KnobSpec, KnobValue, Offers, SourceSpec, StateSpec
from stempilot.errors import BackendError

TOY_CAMERA: Final = "toy_camera"
"""Source: the camera of `ToyBackend`."""

Floats = npt.NDArray[np.float64]

_SHAPE: Final = (48, 64)
_PX_PER_M: Final = 4e7
_PLAY_M: Final = 2e-9
_EXPOSURE_S: Final = 0.01
_OFFERS: Final = Offers(
    knobs={
        BEAM_SHIFT: KnobSpec(
            unit="m",
            lower=(-4e-6, -4e-6),
            upper=(4e-6, 4e-6),
            max_change=(4e-7, 4e-7),
            resolution=(1e-12, 1e-12),
        )
    },
    sources={TOY_CAMERA: SourceSpec(shape=_SHAPE, dtype="uint16", saturation=65535)},
    states={BEAM_BLANKER: StateSpec(values=("open", "blanked"))},
    misaligns=True,
    simulated=True,
)


class ToyBackend(Backend):
    """A camera of 48 x 64 pixels that shows a dot, moved by the beam shift at 40 px per micrometre.

    The knob has a play of 2 nm either way. Reseeding puts the dot somewhere within 0.6 of the half
    field. The response is a rotation that belongs to the serial number.

    Args:
        serial: which instrument this is; also the seed of all randomness until it is reseeded.
    """

    def __init__(self, serial: int = 0) -> None:
        angle = np.random.default_rng(serial).uniform(-np.pi, np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        self._serial = serial
        self._response = _PX_PER_M * np.array([[cos, -sin], [sin, cos]])
        self._is_open = False
        self._blanked = False
        self._shift: Floats = np.zeros(2)
        self._played: Floats = np.zeros(2)
        self._clock_s = 0.0
        self._draw(SeedSequence(serial))

    def open(self) -> None:
        """Begin to answer."""
        self._is_open = True

    def close(self) -> None:
        """Stop answering."""
        self._is_open = False

    def offers(self) -> Offers:
        """Return the one knob, the one camera and the beam blanker's state."""
        return _OFFERS

    def identity(self) -> Mapping[str, str]:
        """Return model and serial number."""
        return {"model": "toy", "serial": str(self._serial)}

    def state(self, name: str) -> str:
        """Return whether the beam is blanked; raises as `Backend.state` does."""
        self._check(name, _OFFERS.states, "state")
        return "blanked" if self._blanked else "open"

    def read(self, knob: str) -> KnobValue:
        """Return the beam shift; raises as `Backend.read` does."""
        self._check(knob, _OFFERS.knobs, "knob")
        return float(self._shift[0]), float(self._shift[1])

    def write(self, knob: str, value: KnobValue) -> None:
        """Move the beam shift; raises as `Backend.write` does."""
        self._check(knob, _OFFERS.knobs, "knob")
        self._shift = np.array(value)
        self._played = self._shift - np.clip(self._shift - self._played, -_PLAY_M, _PLAY_M)

    def acquire(self, source: str) -> Frame:
        """Return a frame of the dot, or of noise alone; raises as `Backend.acquire` does."""
        self._check(source, _OFFERS.sources, "source")
        self._position_px = self._dot_px()
        self._clock_s += _EXPOSURE_S
        dot = 0.0 if self._blanked else _dot(self._position_px)
        pixels = np.rint(self._rng.normal(100 + dot, 5.0, _SHAPE)).clip(0, 65535)
        return Frame(
            pixels=pixels.astype(np.uint16), exposure_s=_EXPOSURE_S, taken_at_s=self._clock_s
        )

    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        """Draw misalignment and noise again and take up half of the play."""
        del timestep
        self._draw(seed)

    def twin(self) -> Backend:
        """Return an independent copy."""
        return copy.deepcopy(self)

    def truth(self) -> Mapping[str, KnobValue]:
        """Return ``position_px``, x and y from the centre, and ``response_px_per_m``, by rows."""
        x, y = self._position_px
        response = tuple(float(item) for item in self._response.ravel())
        return {"position_px": (float(x), float(y)), "response_px_per_m": response}

    def park(self) -> None:
        """Blank the beam."""
        self._blanked = True

    def _draw(self, seed: SeedSequence) -> None:
        # Its own entropy, so that the caller's sequence is not changed by spawning from it.
        self._rng = np.random.default_rng(seed)
        half_px = np.array(_SHAPE[::-1]) / 2
        self._misaligned_px = self._rng.uniform(-0.6, 0.6, 2) * half_px
        self._played = self._shift.copy()
        self._home = self._shift.copy()
        self._position_px = self._dot_px()

    def _dot_px(self) -> Floats:
        moved: Floats = self._response @ (self._played - self._home)
        return self._misaligned_px + moved

    def _check(self, name: str, known: Mapping[str, Any], what: str) -> None:
        if not self._is_open:
            msg = "the toy is not open; open it first"
            raise BackendError(msg)
        if name not in known:
            msg = f"the toy has no {what} {name}; known: {', '.join(known)}"
            raise BackendError(msg)


def _dot(position_px: Floats) -> Floats:
    """Return the dot as counts above the background, (rows, cols)."""
    rows, cols = (np.arange(side) - (side - 1) / 2 for side in _SHAPE)
    dx, dy = cols - position_px[0], rows[:, None] - position_px[1]
    dot: Floats = 1000 * np.exp(-(dx**2 + dy**2) / (2 * 2.5**2))
    return dot
