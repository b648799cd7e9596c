"""An instrument with a film on a small camera, drawn apart from the simulator."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import SeedSequence
from tests.tasks.imaging.shadow import PIXEL_RAD, ronchigram

from stempilot import (
    BEAM_BLANKER,
    CONDENSER_STIGMATOR,
    FLUCAM,
    SCREEN,
    STEM_DEFOCUS,
    Backend,
    Frame,
    KnobSpec,
    KnobValue,
    Offers,
    Snapshot,
    SourceSpec,
    StateSpec,
    discover,
)
from stempilot_tasks.probe.seeing import Measured

SIDE, TINY = 260, 8
NM = 1e-9


class Film(Backend):
    """A film, a focus and a stigmator.

    Args:
        c1_nm: sizes of the defocus at a start, from and to.
        a1_nm: largest astigmatism at a start.
        side: -1 or 1; 0 draws it.
        film: without one, there is vacuum.
        drawn: whether frames are drawn; else they hold numbers that `glance` understands, as a
            drawn frame would tell them.
    """

    def __init__(
        self,
        c1_nm: tuple[float, float] = (180.0, 220.0),
        a1_nm: float = 90.0,
        side: int = 0,
        *,
        film: bool = True,
        drawn: bool = True,
    ) -> None:
        self.parts = (c1_nm, a1_nm, side, film)
        self.drawn = drawn
        self.clock = 0.0
        self.reseed(SeedSequence(0))

    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        del timestep
        self.rng = rng = np.random.default_rng(seed)
        c1_nm, a1_nm, side, _ = self.parts
        turn, mirror = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
        cos, sin = np.cos(turn), np.sin(turn)
        stigmator = 1e-6 * rng.uniform(0.25, 4) * np.array([[cos, -sin], [sin, cos]])
        self.response = np.zeros((3, 3))
        self.response[0, 0] = rng.uniform(0.9, 1.1)
        self.response[1:, 1:] = stigmator * [1.0, mirror]
        self.noise = rng.uniform(0, 0.03)
        self.knobs = {STEM_DEFOCUS: (0.0,), CONDENSER_STIGMATOR: (0.0, 0.0)}
        sign = side or rng.choice([-1, 1])
        away = a1_nm * rng.uniform() * np.exp(2j * np.pi * rng.uniform())
        self.at = NM * np.array([sign * rng.uniform(*c1_nm), away.real, away.imag])

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def twin(self) -> Backend:
        return copy.deepcopy(self)

    def offers(self) -> Offers:
        focus = KnobSpec(unit="m", lower=-5e-6, upper=5e-6, max_change=1e-6, resolution=1e-12)
        pair = {"lower": (-1, -1), "upper": (1, 1), "max_change": (1, 1), "resolution": (1e-6,) * 2}
        return Offers(
            knobs={STEM_DEFOCUS: focus, CONDENSER_STIGMATOR: KnobSpec(unit="1", **pair)},
            sources={
                FLUCAM: SourceSpec(
                    shape=(SIDE, SIDE) if self.drawn else (TINY, TINY),
                    dtype="uint16" if self.drawn else "float64",
                )
            },
            states={
                SCREEN: StateSpec(values=("down", "up")),
                BEAM_BLANKER: StateSpec(values=("open", "blanked")),
            },
            misaligns=True,
            simulated=True,
        )

    def identity(self) -> Mapping[str, str]:
        return {"model": "film", "gain": f"{self.response[1, 1]:g}"}

    def state(self, name: str) -> str:
        return {SCREEN: "down", BEAM_BLANKER: "open"}[name]

    def read(self, knob: str) -> KnobValue:
        return self.knobs[knob]

    def write(self, knob: str, value: KnobValue) -> None:
        before = np.concatenate([self.knobs[STEM_DEFOCUS], self.knobs[CONDENSER_STIGMATOR]])
        self.knobs[knob] = value
        after = np.concatenate([self.knobs[STEM_DEFOCUS], self.knobs[CONDENSER_STIGMATOR]])
        moved = self.response @ (after - before)
        self.at = self.at + moved + np.abs(moved).max() * self.noise * self.rng.normal(size=3)

    def acquire(self, source: str) -> Frame:
        self.clock += 0.2
        c1, x, y = self.at.tolist()
        pixel_rad = PIXEL_RAD * 1040 / SIDE
        if not self.drawn:
            told = abs(c1) > 50 * NM + 5 * NM * self.rng.normal() and np.hypot(x, y) < 0.8 * abs(c1)
            pixels = self.rng.normal(size=(TINY, TINY))
            pixels[0, :4] = (float(told and self.parts[3]), *np.sign(c1) * self.at)
            pixels[0, 1:4] += 0.4 * NM * self.rng.normal(size=3)
            return Frame(pixels=pixels, exposure_s=0.1, taken_at_s=self.clock, pixel_rad=pixel_rad)
        pixels = ronchigram(
            self.rng, c1, (x, y), side=SIDE, pixel_rad=pixel_rad, has_film=self.parts[3]
        )
        return Frame(pixels=pixels, exposure_s=0.1, taken_at_s=self.clock, pixel_rad=pixel_rad)

    def truth(self) -> Mapping[str, KnobValue]:
        response: Any = tuple(self.response.ravel().tolist())
        found = tuple(self.at.tolist())
        return {
            "defocus_m": found[:1],
            "astigmatism_m": found[1:],
            "aberration_response": response,
        }


def glance(snapshot: Snapshot) -> Measured:
    """Return what the frame of an instrument that draws none holds."""
    told, c1, x, y = snapshot.frames[FLUCAM].pixels[0, :4].tolist()
    knob_m = snapshot.knobs.get(STEM_DEFOCUS, (0.0,))[0]
    if not told:
        return Measured(lit=True, knob_m=knob_m)
    unsure = (0.4 * NM,) * 3
    return Measured(
        lit=True, c1_m=abs(c1), a1_m=(x, y), uncertainty_m=unsure, trust=30.0, knob_m=knob_m
    )


def quick(name: str, **options: Any) -> Any:
    """Return a task that looks at such frames."""
    made: Any = discover().task(name, **options)
    kind = type(made)
    made_quick = type(kind.__name__, (kind,), {"measure": lambda _, seen: glance(seen)})
    return made_quick(made.config)
