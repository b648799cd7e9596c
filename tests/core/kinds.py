"""The kinds of task beside centring: one that raises a number, a reading, one with two cameras."""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve, field, frozen
from gymnasium.spaces import Box
from numpy.random import SeedSequence
from tests.core.fakes import plugin, toy_registry

from stempilot.contract.agent import Agent, Brief, Policy
from stempilot.contract.backend import Backend
from stempilot.contract.goals import Product, Quantity, Raise
from stempilot.contract.names import SCREEN_CURRENT, STEM_DEFOCUS
from stempilot.contract.task import Reading, Task
from stempilot.contract.values import (
    Frame,
    KnobNeed,
    KnobSpec,
    KnobValue,
    Needs,
    NumberSpec,
    Offers,
    Outcome,
    SetPoint,
    Snapshot,
    SourceSpec,
)
from stempilot.errors import BackendError
from stempilot.plugins.registry import Registry
from stempilot.testing.toys import ToyBackend, ToyCentring

STEP_M = 1e-7
NOISE_A = 1e-12
DARK = "dark_camera"
_NEEDS = Needs(
    knobs={STEM_DEFOCUS: KnobNeed(unit="m", size=1, largest_step=STEP_M)},
    numbers={SCREEN_CURRENT: "A"},
)


@frozen(kw_only=True)
class LampOptions:
    """Options of the lamp.

    Attributes:
        flat: the current does not depend on the defocus.
        real: it counts as real.
    """

    flat: bool = False
    real: bool = False


class Lamp(Backend):
    """A current on the screen that is largest at one defocus; no camera."""

    def __init__(self, options: LampOptions) -> None:
        self.options = options
        self.standing = (0.0,)
        self.written: list[float] = []
        self._draw(SeedSequence(1))

    def _draw(self, seed: SeedSequence) -> None:
        self._rng = np.random.default_rng(seed)
        self._best_m = self.standing[0] + self._rng.choice([-4e-7, 4e-7])

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def offers(self) -> Offers:
        knob = KnobSpec(unit="m", lower=-5e-6, upper=5e-6, max_change=2e-7, resolution=1e-12)
        return Offers(
            knobs={STEM_DEFOCUS: knob},
            numbers={SCREEN_CURRENT: NumberSpec(unit="A")},
            misaligns=not self.options.real,
            simulated=not self.options.real,
        )

    def identity(self) -> Mapping[str, str]:
        return {"model": "lamp"}

    def state(self, name: str) -> str:
        raise BackendError(name)

    def number(self, name: str) -> float:
        if name != SCREEN_CURRENT:
            return super().number(name)
        away = 0.0 if self.options.flat else (self.standing[0] - self._best_m) / 4e-7
        return float(1e-10 * np.exp(-(away**2) / 2) + NOISE_A * self._rng.normal())

    def read(self, knob: str) -> KnobValue:
        if knob != STEM_DEFOCUS:
            raise BackendError(f"no knob {knob}; there is {STEM_DEFOCUS}")
        return self.standing

    def write(self, knob: str, value: KnobValue) -> None:
        self.read(knob)
        self.written.append(value[0])
        self.standing = value

    def acquire(self, source: str) -> Frame:
        raise BackendError(f"no source {source}")

    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        self._draw(seed)

    def twin(self) -> Backend:
        return copy.deepcopy(self)


class Brighter(Task[float, float]):
    """Raise the screen_current with the defocus: five members, the rest are defaults."""

    needs = _NEEDS
    goal = Raise(entry=0, noise=0.02)
    observation_space = Box(-10.0, 10.0, (1,), dtype=np.float32)
    quantities = (Quantity(name="current_pa", unit="pA", better="higher", symbol="current"),)

    def measure(self, snapshot: Snapshot) -> float:
        return snapshot.numbers[SCREEN_CURRENT]

    def observe(self, state: float) -> Any:
        return np.array([state * 1e10], dtype=np.float32)

    def summary(self, state: float) -> dict[str, float]:
        return {"current_pa": state * 1e12}


class Slope(NamedTuple):
    """Currents at home, above, below and at home again."""

    home_m: float
    seen: tuple[float, ...] = ()


class ReadSlope(Reading[tuple[float, float], Slope]):
    """Read how the screen_current changes with the defocus, by three moves of its own."""

    needs = _NEEDS
    order = (0.0, STEP_M, -STEP_M, 0.0)

    def measure(self, snapshot: Snapshot) -> tuple[float, float]:
        return snapshot.knobs[STEM_DEFOCUS][0], snapshot.numbers[SCREEN_CURRENT]

    def initial(self, measured: tuple[float, float]) -> Slope:
        return Slope(measured[0], (measured[1],))

    def own_moves(self, state: Slope, standing: Any) -> tuple[SetPoint, ...] | None:
        del standing
        if len(state.seen) == len(self.order):
            return None
        return self.toward(state.home_m + self.order[len(state.seen)])

    def toward(self, value_m: float) -> tuple[SetPoint, ...]:
        return (SetPoint(STEM_DEFOCUS, value_m),)

    def advance(self, state: Slope, action: Any, measured: tuple[float, float]) -> Slope:
        assert action is None, "a reading has no agent"
        return Slope(state.home_m, (*state.seen, measured[1]))

    def outcome(self, state: Slope) -> Outcome:
        return Outcome.SUCCESS if len(state.seen) == len(self.order) else Outcome.RUNNING

    def products(self, state: Slope) -> Mapping[str, Product]:
        if len(state.seen) < len(self.order):
            return {}
        slope = (state.seen[1] - state.seen[2]) / (2 * STEP_M)
        unsure = NOISE_A / STEP_M / np.sqrt(2)
        return {"slope": Product(value=slope, unit="A/m", uncertainty=unsure)}


class LeapingReading(ReadSlope):
    """Asks for more than the envelope allows, half way."""

    order = (0.0, STEP_M, 5e-7, 0.0)


class StrayReading(ReadSlope):
    """Succeeds away from home: its last move does not return."""

    order = (0.0, STEP_M, -STEP_M, STEP_M)


class TwoEyes(ToyBackend):
    """The toy with a second camera, which is dark."""

    def offers(self) -> Offers:
        offers = super().offers()
        dark = SourceSpec(shape=(8, 8), dtype="uint16")
        return evolve(offers, sources={**offers.sources, DARK: dark})

    def acquire(self, source: str) -> Frame:
        if source != DARK:
            return super().acquire(source)
        return Frame(pixels=np.zeros((8, 8), np.uint16), exposure_s=0.01, taken_at_s=0.0)


class TwoCameras(ToyCentring):
    """Centre the dot on toy_camera and look at dark_camera too."""

    @property
    def needs(self) -> Needs:
        needs = super().needs
        return evolve(needs, sources=(*needs.sources, DARK))


class Climber(Agent):
    """Walks on as long as the first entry grows, else turns round."""

    def __init__(self, brief: Brief) -> None:
        self.brief = brief

    def policy(self) -> Policy:
        return _Climb()


class _Climb:
    def reset(self, instrument_id: str) -> None:
        self.last, self.way = -np.inf, 1.0

    def act(self, observation: Any) -> Any:
        if observation[0] < self.last:
            self.way = -self.way
        self.last = observation[0]
        return np.array([self.way], dtype=np.float32)


@frozen(kw_only=True)
class Nothing:
    """No options."""

    seed: int = field(default=0)


def kinds_registry(lamp: Lamp | None = None) -> Registry:
    """Return a registry of these and the toys."""
    return toy_registry(
        ("backend", plugin("lamp", LampOptions, lambda c, _: lamp or Lamp(c))),
        ("backend", plugin("two-eyes", Nothing, lambda _, __: TwoEyes())),
        ("task", plugin("brighter", Nothing, lambda _: Brighter())),
        ("task", plugin("read-slope", Nothing, lambda _: ReadSlope())),
        ("task", plugin("leaping", Nothing, lambda _: LeapingReading())),
        ("task", plugin("stray", Nothing, lambda _: StrayReading())),
        ("task", plugin("two-cameras", Nothing, lambda _: TwoCameras())),
        ("agent", plugin("climber", Nothing, lambda _, brief: Climber(brief))),
    )
