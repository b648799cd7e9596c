"""The backend ``desktop``: a small simulated STEM."""

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen, validators
from numpy.random import SeedSequence

from stempilot import (
    BEAM_BLANKER,
    STEM_DEFOCUS,
    Backend,
    BackendError,
    Frame,
    KnobSpec,
    KnobValue,
    Offers,
    Opening,
    SourceSpec,
    StateSpec,
)
from stempilot_example.optics import SIDE_PX, blur_sigma_m, blurred, draw_sample

HAADF = "haadf"
"""Source: the annular dark-field detector."""

_RANGE_M = 3e-6
_OFFERS = Offers(
    knobs={
        STEM_DEFOCUS: KnobSpec(
            unit="m", lower=-_RANGE_M, upper=_RANGE_M, max_change=5e-7, resolution=1e-11
        )
    },
    sources={HAADF: SourceSpec(shape=(SIDE_PX, SIDE_PX), dtype="uint16", saturation=65535)},
    states={BEAM_BLANKER: StateSpec(values=("open", "blanked"))},
    misaligns=True,
    simulated=True,
)


@frozen(kw_only=True)
class DesktopConfig:
    """Options of the desktop STEM.

    Attributes:
        preset: ``default``, or ``low-dose`` for a quarter of the electrons.
        electrons_per_px: mean number of electrons that an unblurred particle adds to a pixel.
        misalignment_m: how far from zero the true focus lies at most; drawn for each episode.
        exposure_s: what the frames say of their exposure; nothing waits for it.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "default": MappingProxyType({}),
            "low-dose": MappingProxyType({"electrons_per_px": 50.0}),
        }
    )

    preset: str = field(default="default", validator=validators.in_(("default", "low-dose")))
    electrons_per_px: float = field(default=200.0, validator=validators.gt(0))
    misalignment_m: float = field(
        default=6e-7, validator=[validators.ge(0), validators.le(_RANGE_M)]
    )
    exposure_s: float = field(default=0.1, validator=validators.gt(0))


class Desktop(Backend):
    """One knob, the defocus, and one detector of 128 x 128 pixels of 0.5 nm.

    The particles on the sample belong to the instrument; where the focus lies is drawn whenever it
    is reseeded. It can be twinned and tells the truth.

    Args:
        config: the options.
        opening: which instrument it is, and how it stands.
    """

    def __init__(self, config: DesktopConfig, opening: Opening) -> None:
        self._config = config
        self._serial = opening.instrument_seed
        self._seed = opening.seed
        self._is_open = False

    def open(self) -> None:
        """Put the sample in and find the lens at zero."""
        self._sample = draw_sample(np.random.default_rng(self._serial))
        self._defocus_m = 0.0
        self._clock_s = 0.0
        self._is_open = True
        self.reseed(SeedSequence(self._seed))

    def close(self) -> None:
        """Stop answering."""
        self._is_open = False

    def offers(self) -> Offers:
        """Return the defocus, the dark-field detector and the beam blanker's state."""
        return _OFFERS

    def identity(self) -> Mapping[str, str]:
        """Return model and serial number."""
        return {"model": "desktop", "serial": str(self._serial)}

    def state(self, name: str) -> str:
        """Return that the beam is on."""
        self._check(name, _OFFERS.states, "state")
        return "open"

    def read(self, knob: str) -> KnobValue:
        """Return the defocus that the lens is set to, in m."""
        self._check(knob, _OFFERS.knobs, "knob")
        return (self._defocus_m,)

    def write(self, knob: str, value: KnobValue) -> None:
        """Set the lens to a defocus in m."""
        self._check(knob, _OFFERS.knobs, "knob")
        (self._defocus_m,) = value

    def acquire(self, source: str) -> Frame:
        """Return an image of the sample with shot noise."""
        self._check(source, _OFFERS.sources, "source")
        image = blurred(self._sample, blur_sigma_m(self._defocus_m - self._focus_m))
        electrons = self._rng.poisson(self._config.electrons_per_px * image)
        self._clock_s += self._config.exposure_s
        return Frame(
            pixels=np.minimum(electrons, 65535).astype(np.uint16),
            exposure_s=self._config.exposure_s,
            taken_at_s=self._clock_s,
        )

    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        """Draw where the focus lies, and the noise to come, from the seed alone."""
        del timestep
        self._rng = np.random.default_rng(seed)
        reach = self._config.misalignment_m
        self._focus_m = float(self._rng.uniform(-reach, reach))

    def twin(self) -> Backend:
        """Return an independent copy."""
        return copy.deepcopy(self)

    def truth(self) -> Mapping[str, KnobValue]:
        """Return ``focus_m``, the defocus setting at which the probe is smallest."""
        return {"focus_m": (self._focus_m,)}

    def _check(self, name: str, known: Mapping[str, Any], what: str) -> None:
        if not self._is_open:
            msg = "the desktop STEM is closed; open it first"
            raise BackendError(msg)
        if name not in known:
            msg = f"the desktop STEM has no {what} {name}; known: {', '.join(known)}"
            raise BackendError(msg)
