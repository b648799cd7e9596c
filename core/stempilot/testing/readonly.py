"""The contract of every backend, without moving it: `ReadOnlyBackendContract`."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from stempilot.contract.backend import Backend, Truthful
from stempilot.contract.names import KNOB_UNITS, UNITS
from stempilot.contract.values import Frame, KnobValue, Offers
from stempilot.errors import BackendError, FrameError
from stempilot.instrument.checks import differs
from stempilot.instrument.frame_guard import FrameGuard
from stempilot.testing.contract import Contract, does_not_apply, expect, is_finite, is_tuple_of

UNKNOWN = "no-such-name"


def readings(backend: Backend) -> dict[str, KnobValue]:
    """Return where all knobs stand."""
    return {knob: backend.read(knob) for knob in backend.offers().knobs}


def moved(backend: Backend, before: Mapping[str, KnobValue], after: Mapping[str, KnobValue]) -> str:
    """Return which knobs differ by more than their resolution, as text; empty when none does."""
    return "; ".join(
        f"{knob} at {before[knob]} before and {after[knob]} {spec.unit} after"
        for knob, spec in backend.offers().knobs.items()
        if differs(before[knob], after[knob], spec)
    )


class ReadOnlyBackendContract(Contract, ABC):
    """Checks that move nothing, for example at an instrument in use.

    It connects, reads, exposes and disconnects, a few times over.
    """

    @abstractmethod
    def make(self) -> Backend:
        """Return the backend to check, not opened. Called several times in one check."""

    def test_offers_never_change(self) -> None:
        """They may be asked for before opening and are the same later."""
        backend = self.make()
        before = backend.offers()
        expect(isinstance(before, Offers), "offers() are a Offers", before)
        with backend:
            later = backend.offers()
            expect(later == before, "offers never change", f"{before}, when open {later}")
        later = backend.offers()
        expect(later == before, "offers never change", f"{before}, when closed {later}")

    def test_units_are_the_shared_ones(self) -> None:
        """Knobs are in SI units, those with shared names as the vocabulary says."""
        for knob, spec in self.make().offers().knobs.items():
            found = f"{knob} in {spec.unit}"
            expect(spec.unit in UNITS, f"a knob is in one of {', '.join(UNITS)}", found)
            unit, size = KNOB_UNITS.get(knob, (spec.unit, spec.size))
            expect(
                (spec.unit, spec.size) == (unit, size),
                f"the shared knob {knob} has {size} components in {unit}",
                f"{spec.size} in {spec.unit}",
            )

    def test_sources_are_described_fully(self) -> None:
        """A source has two sides of at least one pixel and a NumPy pixel type of numbers."""
        for source, spec in self.make().offers().sources.items():
            sides = (
                is_tuple_of(spec.shape, int) and [side >= 1 for side in spec.shape] == [True] * 2
            )
            expect(sides, "a source's shape is (rows, cols)", f"{source}: {spec.shape}")
            numeric = np.dtype(spec.dtype).kind in "uif"
            expect(numeric, "pixels are integers or floats", f"{source}: {spec.dtype}")

    def test_identity_is_text_and_stays(self) -> None:
        """It says by text what tells this instrument from others."""
        with self.make() as backend:
            identity = backend.identity()
            texts = all(is_tuple_of(pair, str) for pair in identity.items())
            expect(texts and len(identity) > 0, "identity() has text under text", identity)
            json.dumps(dict(identity), allow_nan=False)
            again = backend.identity()
            expect(again == identity, "it is the same while nothing changes", (identity, again))

    def test_states_have_promised_values(self) -> None:
        """Each state has one of the values in its StateSpec."""
        with self.make() as backend:
            for name, spec in backend.offers().states.items():
                value = backend.state(name)
                expect(value in spec.values, f"{name} is one of {spec.values}", repr(value))

    def test_readings_are_finite_numbers(self) -> None:
        """Each knob reads as a tuple of as many finite floats as its KnobSpec says."""
        with self.make() as backend:
            for knob, spec in backend.offers().knobs.items():
                value = backend.read(knob)
                expect(is_tuple_of(value, float), f"{knob} reads as a tuple of floats", repr(value))
                expect(len(value) == spec.size, f"{knob} has {spec.size} components", value)
                expect(all(map(math.isfinite, value)), f"{knob} reads finite numbers", value)

    def test_frames_match_their_source(self) -> None:
        """Shape and pixel type are those of the SourceSpec, and all pixels are finite."""
        with self.make() as backend:
            for source, spec in backend.offers().sources.items():
                frame = backend.acquire(source)
                expect(isinstance(frame, Frame), f"{source} delivers a Frame", type(frame))
                found = (frame.pixels.shape, frame.pixels.dtype.name)
                promised = (tuple(spec.shape), np.dtype(spec.dtype).name)
                expect(found == promised, f"{source} delivers {promised}", found)
                bad = int((~np.isfinite(frame.pixels)).sum())
                expect(bad == 0, f"{source} delivers finite pixels", f"{bad} that are not")

    def test_frames_tell_their_times(self) -> None:
        """Each frame ends later than the one before; exposures are finite and not negative."""
        with self.make() as backend:
            for source in backend.offers().sources:
                frames = [backend.acquire(source) for _ in range(3)]
                for frame in frames:
                    known = math.isfinite(frame.exposure_s) and frame.exposure_s >= 0
                    expect(known, "exposure_s is finite and at least 0", frame.exposure_s)
                    angle = frame.pixel_rad
                    positive = angle is None or (math.isfinite(angle) and angle > 0)
                    expect(positive, "pixel_rad is None or above 0", angle)
                times = [frame.taken_at_s for frame in frames]
                grow = all(map(math.isfinite, times)) and times[0] < times[1] < times[2]
                expect(grow, f"taken_at_s of {source} grows from frame to frame", times)

    def test_frames_differ_by_noise(self) -> None:
        """No two exposures are alike; a run stops at a repeated frame as one of a dead camera.

        A camera that is off, with the same number in every pixel, shows nothing to compare.
        """
        with self.make() as backend:
            sources = backend.offers().sources
            guard = FrameGuard(sources)
            for source in sources:
                frames = [backend.acquire(source) for _ in range(3)]
                if all(np.ptp(frame.pixels) == 0 for frame in frames):
                    raise does_not_apply(f"{source} shows {frames[0].pixels.flat[0]} everywhere")
                try:
                    for frame in frames:
                        guard.check(source, frame)
                        guard.saw_something(source)
                except FrameError as error:
                    expect(False, "each exposure has its own noise", error)

    def test_frames_cannot_be_changed(self) -> None:
        """Pixels are read-only, and a later exposure does not overwrite an earlier one."""
        with self.make() as backend:
            for source in backend.offers().sources:
                frame = backend.acquire(source)
                writeable = frame.pixels.flags.writeable
                expect(not writeable, "pixels are read-only", "writeable ones")
                kept = frame.pixels.copy()
                backend.acquire(source)
                same = np.array_equal(kept, frame.pixels)
                expect(same, "a frame stays as it was", f"{source} wrote the next one into it")

    def test_numbers_are_finite(self) -> None:
        """Each number that is offered can be read, is finite, and has a shared unit."""
        with self.make() as backend:
            offered = backend.offers().numbers
            if not offered:
                raise does_not_apply("it offers no numbers")
            for name, spec in offered.items():
                expect(spec.unit in UNITS, f"{name} has one of {', '.join(UNITS)}", spec.unit)
                value = backend.number(name)
                expect(is_finite(value), f"{name} is a finite number", repr(value))

    def test_unknown_names_are_refused(self) -> None:
        """Asking for what is not offered raises BackendError with the known names."""
        with self.make() as backend:
            offers = backend.offers()
            for what, call, known in (
                ("knob", backend.read, offers.knobs),
                ("source", backend.acquire, offers.sources),
                ("state", backend.state, offers.states),
                ("number", backend.number, offers.numbers),
            ):
                message = refusal(f"an unknown {what} raises BackendError", call, UNKNOWN)
                unnamed = [name for name in (UNKNOWN, *known) if name not in message]
                sentence = f"the message names the {what} asked for and all known ones"
                expect(not unnamed, sentence, f"{message!r} without {', '.join(unnamed)}")

    def test_closed_backend_refuses(self) -> None:
        """After close, reading and exposing raise BackendError."""
        backend = self.make()
        with backend:
            offers = backend.offers()
        for knob in offers.knobs:
            refusal("read() on a closed backend raises BackendError", backend.read, knob)
        for source in offers.sources:
            refusal("acquire() on a closed backend raises BackendError", backend.acquire, source)
        for name in offers.states:
            refusal("state() on a closed backend raises BackendError", backend.state, name)

    def test_closing_is_harmless(self) -> None:
        """Close may be repeated, and may come when nothing was opened."""
        self.make().close()
        backend = self.make()
        with backend:
            pass
        backend.close()

    def test_opening_does_not_write(self) -> None:
        """Nothing moves when the backend is opened."""
        with self.make() as backend:
            before = readings(backend)
        backend = self.make()
        written: list[str] = []
        original = backend.write

        def spy(knob: str, value: KnobValue) -> None:
            written.append(knob)
            original(knob, value)

        if hasattr(backend, "__dict__"):
            vars(backend)["write"] = spy
        with backend:
            after = readings(backend)
        expect(not written, "open() does not write", f"writes to {', '.join(written)}")
        moves = moved(backend, before, after)
        expect(not moves, "open() moves nothing", moves)

    def test_truth_is_finite(self) -> None:
        """What a backend says of the truth is a tuple of finite floats under each name."""
        with self.make() as backend:
            if not isinstance(backend, Truthful):
                raise does_not_apply("it offers no truth")
            for source in backend.offers().sources:
                backend.acquire(source)
            for name, value in backend.truth().items():
                finite = is_tuple_of(value, float) and all(map(math.isfinite, value))
                expect(finite, "the truth is tuples of finite floats", f"{name} = {value!r}")


def refusal(contract: str, call: Any, *arguments: Any) -> str:
    """Return the message of the BackendError that a call must raise."""
    try:
        answer = call(*arguments)
    except BackendError as error:
        return str(error)
    except (LookupError, AttributeError, TypeError, ValueError, OSError) as error:
        expect(False, contract, f"{type(error).__name__}: {error}")
    expect(False, contract, f"the answer {answer!r}")
    return ""
