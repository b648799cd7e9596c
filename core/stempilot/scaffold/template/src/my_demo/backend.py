"""The backend ``my-demo``: an instrument of one knob and one camera."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import field, frozen, validators
from numpy.random import SeedSequence

from stempilot import (
    DIFFRACTION_SHIFT,
    FLUCAM,
    Backend,
    BackendError,
    Frame,
    KnobSpec,
    KnobValue,
    Offers,
    Opening,
    SourceSpec,
)

SIDE_PX = 128
PX_PER_RAD = 200.0
EXPOSURE_S = 0.1

OFFERS = Offers(
    knobs={
        DIFFRACTION_SHIFT: KnobSpec(
            unit="rad",
            lower=(-1.0, -1.0),
            upper=(1.0, 1.0),
            max_change=(0.2, 0.2),
            resolution=(1e-9, 1e-9),
        )
    },
    sources={FLUCAM: SourceSpec(shape=(SIDE_PX, SIDE_PX), dtype="uint16", saturation=65535)},
    misaligns=True,  # reseed() puts the spot somewhere else
    simulated=True,  # False for a real instrument: it then asks for an envelope and a yes
)


@frozen(kw_only=True)
class MyDemoBackendConfig:
    """Options of the instrument.

    Attributes:
        brightness: counts of the spot above the background.
    """

    brightness: float = field(default=1000.0, validator=validators.gt(0))


class MyDemoBackend(Backend):
    """A camera of 128 x 128 pixels with a spot that follows the knob.

    Args:
        config: the options.
        opening: which instrument it is, and how it stands.
    """

    def __init__(self, config: MyDemoBackendConfig, opening: Opening) -> None:
        self._config = config
        self._serial = opening.instrument_seed
        self._is_open = False
        self._shift_rad = (0.0, 0.0)
        self._clock_s = 0.0
        self.reseed(SeedSequence(opening.seed))

    def open(self) -> None:
        """Connect. A real instrument is read here, and never written to."""
        self._is_open = True

    def close(self) -> None:
        """Disconnect."""
        self._is_open = False

    def offers(self) -> Offers:
        """Return the knob and the camera."""
        return OFFERS

    def identity(self) -> Mapping[str, str]:
        """Return model and serial number."""
        return {"model": "my-demo", "serial": str(self._serial)}

    def state(self, name: str) -> str:
        """Refuse: it has no states."""
        self._check(name, OFFERS.states, "state")
        return ""

    def read(self, knob: str) -> KnobValue:
        """Return where the knob stands, (x, y) in rad."""
        self._check(knob, OFFERS.knobs, "knob")
        return self._shift_rad

    def write(self, knob: str, value: KnobValue) -> None:
        """Move the knob to an absolute value, (x, y) in rad."""
        self._check(knob, OFFERS.knobs, "knob")
        x, y = value
        self._shift_rad = (x, y)

    def acquire(self, source: str) -> Frame:
        """Expose, and return the spot with shot noise."""
        self._check(source, OFFERS.sources, "source")
        x, y = self._start_px + PX_PER_RAD * np.array(self._shift_rad)
        cols = np.arange(SIDE_PX) - (SIDE_PX - 1) / 2
        spot = np.exp(-((cols - x) ** 2 + (cols[:, None] - y) ** 2) / (2 * 4.0**2))
        counts = self._rng.poisson(100 + self._config.brightness * spot)
        self._clock_s += EXPOSURE_S
        return Frame(
            pixels=counts.clip(0, 65535).astype(np.uint16),
            exposure_s=EXPOSURE_S,
            taken_at_s=self._clock_s,
        )

    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        """Draw the noise, and where the spot lies when the knob is at zero. Simulators only."""
        del timestep
        self._rng = np.random.default_rng(seed)
        self._start_px = self._rng.uniform(-40, 40, 2)

    def _check(self, name: str, known: Mapping[str, Any], what: str) -> None:
        if not self._is_open:
            msg = "my-demo is closed; open it first"
            raise BackendError(msg)
        if name not in known:
            msg = f"my-demo has no {what} {name}; known: {', '.join(known) or 'none'}"
            raise BackendError(msg)
