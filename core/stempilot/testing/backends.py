"""The contract of every backend. Subclass `BackendContract` and say how yours is made."""

import contextlib
import math
from collections.abc import Iterator

from numpy.random import SeedSequence

from stempilot.contract.backend import Backend, Parkable, Reseedable, Truthful, Twinnable
from stempilot.contract.values import KnobSpec, KnobValue
from stempilot.instrument.checks import differs, ramp_steps
from stempilot.testing.contract import does_not_apply, expect
from stempilot.testing.fingerprint import fingerprint
from stempilot.testing.readonly import UNKNOWN, ReadOnlyBackendContract, moved, readings, refusal


class BackendContract(ReadOnlyBackendContract):
    """All that a backend must do. It moves every knob by up to half of its largest step.

    At a real instrument run `ReadOnlyBackendContract` first, and this one while a person watches.
    Each check puts the knobs back.
    """

    def test_knobs_stand_within_their_range(self) -> None:
        """After opening no knob stands outside of its limits; a session would be refused there."""
        with self.make() as backend:
            for knob, spec in backend.offers().knobs.items():
                value = backend.read(knob)
                limits = zip(spec.lower, value, spec.upper, strict=True)
                inside = all(low <= item <= high for low, item, high in limits)
                sentence = f"{knob} stands within {spec.lower} to {spec.upper} {spec.unit}"
                expect(inside, sentence, value)

    def test_reads_back_what_was_written(self) -> None:
        """A read-back equals what was written, within the resolution."""
        with self.make() as backend, _putting_back(backend) as home:
            for knob, spec in backend.offers().knobs.items():
                target = reachable(spec, home[knob])
                backend.write(knob, target)
                found = backend.read(knob)
                sentence = f"{knob} reads {target} after that was written, within {spec.resolution}"
                expect(not differs(found, target, spec), sentence, found)

    def test_repeated_writes_are_harmless(self) -> None:
        """Values are absolute: writing one again moves nothing."""
        with self.make() as backend, _putting_back(backend) as home:
            for knob, spec in backend.offers().knobs.items():
                target = reachable(spec, home[knob])
                for _ in range(3):
                    backend.write(knob, target)
                found = backend.read(knob)
                sentence = f"{knob} reads {target} when that was written three times"
                expect(not differs(found, target, spec), sentence, found)

    def test_unknown_knob_is_not_written(self) -> None:
        """Writing a knob that is not offered raises BackendError with the known names."""
        with self.make() as backend:
            sentence = "writing an unknown knob raises BackendError"
            message = refusal(sentence, backend.write, UNKNOWN, (0.0,))
            known = backend.offers().knobs
            unnamed = [name for name in (UNKNOWN, *known) if name not in message]
            sentence = "the message names the knob asked for and all known ones"
            expect(not unnamed, sentence, f"{message!r} without {', '.join(unnamed)}")

    def test_closed_backend_is_not_written(self) -> None:
        """After close, writing raises BackendError."""
        backend = self.make()
        with backend:
            home = readings(backend)
        for knob, value in home.items():
            refusal("write() on a closed backend raises BackendError", backend.write, knob, value)

    def test_parking_succeeds(self) -> None:
        """The safest state is always within reach."""
        with self.make() as backend:
            if not isinstance(backend, Parkable):
                raise does_not_apply("it cannot be parked")
            backend.park()

    def test_same_seed_gives_same_frames(self) -> None:
        """All randomness of a reseedable backend comes from the seed."""
        with self._reseedable() as backend:
            first = _series(backend, seed=1)
        with self._reseedable() as backend:
            second = _series(backend, seed=1)
        sentence = "two instruments reseeded alike deliver the same frames and truth, bit for bit"
        expect(first == second, sentence, _first_difference(first, second))

    def test_frames_follow_the_last_write(self) -> None:
        """The first frame after a write shows it; a buffer would show it one frame later."""
        with self._reseedable() as backend:
            for knob, spec in backend.offers().knobs.items():
                target = reachable(spec, backend.read(knob))
                for source in backend.offers().sources:
                    still, moved = (_watched(backend, source, knob, to) for to in (None, target))
                    late = moved[0] == still[0] and moved != still
                    sentence = f"the first frame of {source} after a move of {knob} shows it"
                    expect(not late, sentence, "what stood there before; a later frame shows it")

    def test_other_seed_gives_other_frames(self) -> None:
        """Another seed is another draw."""
        with self._reseedable() as backend:
            first, second = _series(backend, seed=1), _series(backend, seed=2)
        expect(first[0] != second[0], "another seed gives other frames", "the same frames")

    def test_reseeding_forgets_what_went_before(self) -> None:
        """An episode depends on nothing before it: no hysteresis, drift or noise is left over."""
        with self._reseedable() as backend:
            first = _series(backend, seed=1)
            _series(backend, seed=2)
            for _ in range(3):
                _exercise(backend)
            second = _series(backend, seed=1)
        sentence = "after reseeding, frames and truth do not depend on what was done before"
        expect(first == second, sentence, _first_difference(first, second))

    def test_reseeding_moves_no_knob(self) -> None:
        """Knobs read the same after reseeding; the framework would think that a person moved them.

        The framework puts them home first.
        """
        with self._reseedable() as backend:
            before = readings(backend)
            _reseed(backend, 1)
            after = readings(backend)
            moves = moved(backend, before, after)
            expect(not moves, "reseeding moves no knob", moves)

    def test_twin_is_an_opened_copy(self) -> None:
        """It is the same instrument as it is now, ready to use."""
        with self.make() as backend, _twin(backend) as twin:
            expect(isinstance(twin, Backend), "twin() is a Backend", type(twin))
            expect(twin is not backend, "twin() is another object", "itself")
            pairs = (
                ("offers", twin.offers(), backend.offers()),
                ("identity", dict(twin.identity()), dict(backend.identity())),
                ("knobs", readings(twin), readings(backend)),
            )
            for what, copied, original in pairs:
                sentence = f"the twin's {what} are those of the original, {original}"
                expect(copied == original, sentence, copied)
            for source in twin.offers().sources:
                twin.acquire(source)

    def test_twin_has_its_own_knobs(self) -> None:
        """Moving or closing the twin does nothing to the original."""
        with self.make() as backend, _putting_back(backend) as home:
            with _twin(backend) as twin:
                for knob, spec in twin.offers().knobs.items():
                    twin.write(knob, reachable(spec, home[knob]))
            moves = moved(backend, home, readings(backend))
            expect(not moves, "moving the twin moves nothing on the original", moves)
            for source in backend.offers().sources:
                backend.acquire(source)

    def test_twin_leaves_the_randomness_alone(self) -> None:
        """The original's frames are the same whether a twin was used in between or not."""
        with self._reseedable() as backend:
            _reseed(backend, 1)
            without = [*_exposures(backend), *_exposures(backend)]
        with self._reseedable() as backend:
            _reseed(backend, 1)
            before = _exposures(backend)
            with _twin(backend) as twin:
                _exercise(twin)
                if isinstance(twin, Reseedable):
                    _series(twin, seed=2)
            with_twin = [*before, *_exposures(backend)]
        sentence = "the original's frames and truth do not depend on what its twin does"
        expect(without == with_twin, sentence, _first_difference(without, with_twin))

    @contextlib.contextmanager
    def _reseedable(self) -> Iterator[Backend]:
        backend = self.make()
        if not isinstance(backend, Reseedable):
            raise does_not_apply("it cannot be reseeded")
        with backend, _putting_back(backend):
            yield backend


def reachable(spec: KnobSpec, standing: KnobValue) -> KnobValue:
    """Return a set point within the range and at most half of the largest step away.

    Components whose range leaves no room stay where they are. Those in ``index`` move by 1.
    """
    target = []
    for low, high, step, now in zip(spec.lower, spec.upper, spec.max_change, standing, strict=True):
        room = min(step, high - low)
        move = 1.0 if spec.unit == "index" else room / 2 if math.isfinite(room) else 1e-9
        fitting = [value for value in (now + move, now - move) if low <= value <= high]
        target.append(fitting[0] if fitting else now)
    return tuple(target)


@contextlib.contextmanager
def _putting_back(backend: Backend) -> Iterator[dict[str, KnobValue]]:
    """Yield where the knobs stand, and ramp them back there at the end."""
    home = readings(backend)
    try:
        yield home
    finally:
        for knob, spec in backend.offers().knobs.items():
            start = backend.read(knob)
            if differs(start, home[knob], spec):
                for value in ramp_steps(start, home[knob], spec.max_change):
                    backend.write(knob, value)


@contextlib.contextmanager
def _twin(backend: Backend) -> Iterator[Backend]:
    if not isinstance(backend, Twinnable):
        raise does_not_apply("it cannot be copied")
    twin = backend.twin()
    try:
        yield twin
    finally:
        twin.close()


def _reseed(backend: Backend, seed: int) -> None:
    assert isinstance(backend, Reseedable)
    backend.reseed(SeedSequence(seed, spawn_key=(0, 0)), timestep=0)


def _exposures(backend: Backend) -> list[str]:
    """Return fingerprints of an exposure of each source and of the truth that belongs to it."""
    found = []
    for source in backend.offers().sources:
        found.append(fingerprint(backend.acquire(source).pixels))
        if isinstance(backend, Truthful):
            found.append(fingerprint(dict(backend.truth())))
    if not found:
        raise does_not_apply("it has no source to tell its randomness by")
    return found


def _exercise(backend: Backend) -> list[str]:
    """Move each knob there and back with an exposure at each stop; return their fingerprints."""
    found = _exposures(backend)
    home = readings(backend)
    for knob, spec in backend.offers().knobs.items():
        backend.write(knob, reachable(spec, home[knob]))
        found += _exposures(backend)
        backend.write(knob, home[knob])
        found += _exposures(backend)
    return found


def _watched(backend: Backend, source: str, knob: str, target: KnobValue | None) -> list[str]:
    """Return what three frames show, always drawn alike, before which the knob is moved or not."""
    home = backend.read(knob)
    _reseed(backend, 1)
    backend.acquire(source)
    if target is not None:
        backend.write(knob, target)
    found = [fingerprint(backend.acquire(source).pixels) for _ in range(3)]
    if target is not None:
        backend.write(knob, home)
    return found


def _series(backend: Backend, seed: int) -> list[str]:
    _reseed(backend, seed)
    return _exercise(backend)


def _first_difference(one: list[str], other: list[str]) -> str:
    differing = [n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return f"observations {differing} of {len(one)} differ (counted from 0)" if differing else ""
