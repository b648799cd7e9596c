"""Each check of the backends' contract fails on a toy that breaks what it is about."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from numpy.random import SeedSequence

from stempilot.contract.backend import Backend
from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import Frame, KnobValue, NumberSpec, Offers
from stempilot.errors import BackendError
from stempilot.testing import BackendContract, ReadOnlyBackendContract, ToyBackend, run_contract
from stempilot.testing.checks import run_check


class TestToyBackend(BackendContract):
    """The toy keeps its contract, as pytest sees it."""

    def make(self) -> Backend:
        return ToyBackend()


class Fickle(ToyBackend):
    def offers(self) -> Offers:
        return evolve(super().offers(), misaligns=self._is_open)


class EndlessNumber(ToyBackend):
    def offers(self) -> Offers:
        return evolve(super().offers(), numbers={"screen_current": NumberSpec(unit="A")})

    def number(self, name: str) -> float:
        return math.inf if name == "screen_current" else super().number(name)


class InRadians(ToyBackend):
    def offers(self) -> Offers:
        offers = super().offers()
        return evolve(offers, knobs={BEAM_SHIFT: evolve(offers.knobs[BEAM_SHIFT], unit="rad")})


class OfComplexPixels(ToyBackend):
    def offers(self) -> Offers:
        offers = super().offers()
        sources = {name: evolve(spec, dtype="complex64") for name, spec in offers.sources.items()}
        return evolve(offers, sources=sources)


class Anonymous(ToyBackend):
    def identity(self) -> Mapping[str, str]:
        return {}


class Ajar(ToyBackend):
    def state(self, name: str) -> str:
        super().state(name)
        return "ajar"


class NotANumber(ToyBackend):
    def read(self, knob: str) -> KnobValue:
        super().read(knob)
        return (math.nan, 0.0)


class OtherPixels(ToyBackend):
    def acquire(self, source: str) -> Frame:
        frame = super().acquire(source)
        return evolve(frame, pixels=frame.pixels.astype(np.int32))


class StoppedClock(ToyBackend):
    def acquire(self, source: str) -> Frame:
        return evolve(super().acquire(source), taken_at_s=1.0)


class Frozen(ToyBackend):
    def acquire(self, source: str) -> Frame:
        frame = super().acquire(source)
        self._kept = getattr(self, "_kept", frame)
        return evolve(self._kept, taken_at_s=frame.taken_at_s)


class OneBuffer(ToyBackend):
    _buffer = np.zeros((48, 64), dtype=np.uint16)

    def acquire(self, source: str) -> Frame:
        frame = super().acquire(source)
        self._buffer[...] = frame.pixels
        return evolve(frame, pixels=self._buffer)


class Tacit(ToyBackend):
    def _check(self, name: str, known: Mapping[str, Any], what: str) -> None:
        if not self._is_open or name not in known:
            raise BackendError("no")


class NeverClosed(ToyBackend):
    def close(self) -> None:
        """Go on answering."""


class ClosedOnce(ToyBackend):
    def close(self) -> None:
        if not self._is_open:
            raise BackendError("not connected")
        super().close()


class WritesOnOpen(ToyBackend):
    def open(self) -> None:
        super().open()
        self.write(BEAM_SHIFT, (0.0, 0.0))


class MovesOnOpen(ToyBackend):
    opened = 0

    def open(self) -> None:
        super().open()
        MovesOnOpen.opened += 1
        self._shift = np.array([1e-9 * self.opened, 0.0])


class TruthOfNan(ToyBackend):
    def truth(self) -> Mapping[str, KnobValue]:
        return {**super().truth(), "position_px": (math.nan, 0.0)}


class OutOfRange(ToyBackend):
    def read(self, knob: str) -> KnobValue:
        super().read(knob)
        return (5e-6, 0.0)


class Coarse(ToyBackend):
    def write(self, knob: str, value: KnobValue) -> None:
        super().write(knob, tuple(round(item, 7) + 1e-8 for item in value))


class Relative(ToyBackend):
    def write(self, knob: str, value: KnobValue) -> None:
        super().write(knob, tuple(a + b for a, b in zip(self.read(knob), value, strict=True)))


class WritesAnything(ToyBackend):
    def write(self, knob: str, value: KnobValue) -> None:
        if knob == BEAM_SHIFT:
            super().write(knob, value)


class WritesWhenClosed(ToyBackend):
    def write(self, knob: str, value: KnobValue) -> None:
        if self._is_open:
            super().write(knob, value)


class Unparkable(ToyBackend):
    def park(self) -> None:
        raise BackendError("the blanker is stuck")


class OwnRandomness(ToyBackend):
    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        super().reseed(seed, timestep=timestep)
        self._rng = np.random.default_rng()


class Buffered(ToyBackend):
    def acquire(self, source: str) -> Frame:
        fresh = super().acquire(source)
        held, self._held = getattr(self, "_held", fresh), fresh
        return evolve(held, taken_at_s=fresh.taken_at_s)


class IgnoresSeed(ToyBackend):
    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        super().reseed(SeedSequence(0), timestep=timestep)


class KeepsPlay(ToyBackend):
    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        played = self._played
        super().reseed(seed, timestep=timestep)
        self._played = played


class MovesOnReseed(ToyBackend):
    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        super().reseed(seed, timestep=timestep)
        self._shift = self._shift + 1e-9


class ClosedTwin(ToyBackend):
    def twin(self) -> Backend:
        return ToyBackend(serial=7)


class SharedKnobs(ToyBackend):
    def write(self, knob: str, value: KnobValue) -> None:
        self._shift[:] = value

    def twin(self) -> Backend:
        return copy.copy(self)


class SharedRandomness(ToyBackend):
    def twin(self) -> Backend:
        twin = copy.copy(self)
        twin._shift = self._shift.copy()
        return twin


BROKEN: dict[str, Callable[[], Backend]] = {
    "offers_never_change": Fickle,
    "units_are_the_shared_ones": InRadians,
    "sources_are_described_fully": OfComplexPixels,
    "identity_is_text_and_stays": Anonymous,
    "states_have_promised_values": Ajar,
    "readings_are_finite_numbers": NotANumber,
    "numbers_are_finite": EndlessNumber,
    "frames_match_their_source": OtherPixels,
    "frames_tell_their_times": StoppedClock,
    "frames_differ_by_noise": Frozen,
    "frames_cannot_be_changed": OneBuffer,
    "unknown_names_are_refused": Tacit,
    "closed_backend_refuses": NeverClosed,
    "closing_is_harmless": ClosedOnce,
    "opening_does_not_write": WritesOnOpen,
    "truth_is_finite": TruthOfNan,
    "knobs_stand_within_their_range": OutOfRange,
    "reads_back_what_was_written": Coarse,
    "repeated_writes_are_harmless": Relative,
    "unknown_knob_is_not_written": WritesAnything,
    "closed_backend_is_not_written": WritesWhenClosed,
    "parking_succeeds": Unparkable,
    "same_seed_gives_same_frames": OwnRandomness,
    "frames_follow_the_last_write": Buffered,
    "other_seed_gives_other_frames": IgnoresSeed,
    "reseeding_forgets_what_went_before": KeepsPlay,
    "reseeding_moves_no_knob": MovesOnReseed,
    "twin_is_an_opened_copy": ClosedTwin,
    "twin_has_its_own_knobs": SharedKnobs,
    "twin_leaves_the_randomness_alone": SharedRandomness,
}


def suite_of(make_backend: Callable[[], Backend]) -> type[BackendContract]:
    class Suite(BackendContract):
        def make(self) -> Backend:
            return make_backend()

    return Suite


@pytest.mark.parametrize("name", BackendContract.checks())
def test_check_fails_on_a_backend_that_breaks_it(name: str) -> None:
    result = run_check(suite_of(BROKEN[name.removeprefix("test_")]), name)
    assert not result.passed
    assert result.message.startswith("the contract says: ")
    assert "; found: " in result.message
    assert not result.message.endswith("found: ")


def test_hidden_moves_on_open_are_found_by_reading() -> None:
    result = run_check(suite_of(MovesOnOpen), "test_opening_does_not_write")
    assert "open() moves nothing" in result.message


def test_wrong_exception_is_named() -> None:
    class RaisesKeyError(ToyBackend):
        def _check(self, name: str, known: Mapping[str, Any], what: str) -> None:
            known[name]

    result = run_check(suite_of(RaisesKeyError), "test_unknown_names_are_refused")
    assert "KeyError" in result.message


def test_optional_protocols_are_left_out_where_they_are_not_offered() -> None:
    class Plain(ToyBackend):
        reseed = twin = truth = park = None  # type: ignore[assignment]

    for hidden in ("reseed", "twin", "truth", "park"):
        assert getattr(Plain, hidden) is None
    results = run_contract(suite_of(Plain))
    assert {result.check for result in results if not result.applies} == {
        "numbers_are_finite",
        "truth_is_finite",
        "parking_succeeds",
        "same_seed_gives_same_frames",
        "frames_follow_the_last_write",
        "other_seed_gives_other_frames",
        "reseeding_forgets_what_went_before",
        "reseeding_moves_no_knob",
        "twin_is_an_opened_copy",
        "twin_has_its_own_knobs",
        "twin_leaves_the_randomness_alone",
    }
    assert all(result.passed for result in results)


def test_reading_suite_writes_nothing() -> None:
    class Immovable(ToyBackend):
        def write(self, knob: str, value: KnobValue) -> None:
            raise AssertionError("written")

        def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
            raise AssertionError("reseeded")

        def park(self) -> None:
            raise AssertionError("parked")

    class Suite(ReadOnlyBackendContract):
        def make(self) -> Backend:
            return Immovable()

    results = run_contract(Suite)
    assert len(results) == 16
    assert all(result.passed for result in results)
