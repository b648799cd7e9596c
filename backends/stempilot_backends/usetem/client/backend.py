"""The client of a USETEM temscript server as a backend. It holds what is safe and no more."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np

from stempilot import (
    CAMERA_LENGTH,
    CAMERA_LENGTH_INDEX,
    FLUCAM,
    NUMBER_UNITS,
    SCREEN_CURRENT,
    Backend,
    BackendError,
    EnvelopeSuggestion,
    Frame,
    HandsOffError,
    KnobSpec,
    KnobValue,
    NumberSpec,
    Offers,
    Opening,
    SourceSpec,
    StateSpec,
    StempilotError,
    differs,
    network_address,
)
from stempilot_backends.usetem.client.catalogue import (
    GET_SCREEN_CURRENT,
    IS_BLANKED,
    IS_STEM_AVAILABLE,
    KNOBS,
    STATES,
)
from stempilot_backends.usetem.client.config import UsetemThemisConfig
from stempilot_backends.usetem.client.offers import knob_specs, required_states, suggestion
from stempilot_backends.usetem.client.readings import Readings
from stempilot_backends.usetem.client.server import Answer, Call, Server
from stempilot_backends.usetem.client.sources import frame_source
from stempilot_backends.usetem.wire.arrays import Array
from stempilot_backends.usetem.wire.values import boolean, doubles

V = TypeVar("V")
_POLL_S = 0.01
_NUMBERS = (SCREEN_CURRENT, CAMERA_LENGTH)
_log = logging.getLogger(__name__)


class UsetemThemis(Backend):
    """A microscope behind a USETEM temscript server. It can be parked.

    Args:
        config: its options.
        opening: what the session is for. To put an instrument back it need not be ready for
            frames, so with the purpose ``restore`` nothing but the server is required.
    """

    def __init__(self, config: UsetemThemisConfig, opening: Opening) -> None:
        self._config = config
        self._server = Server(config)
        self._frames = frame_source(config, self._server)
        self._specs = knob_specs(config)
        restoring = opening.purpose == "restore"
        self._required = {} if restoring else required_states(config)
        self._needs_frames = not restoring
        self._owner: int | None = None
        self._identity: dict[str, str] = {}
        self._forget()

    def _forget(self) -> None:
        self._readings = Readings()
        self._second_hand: dict[str, KnobValue] = {}
        self._previous: Array | None = None
        self._written = False
        self._first_current_a: float | None = None

    def open(self) -> None:
        """Connect, check that the instrument is ready, and get its frames ready.

        Sets nothing that moves. A camera is put on the server's list of devices; see `camera`.

        Raises:
            BackendError: the server cannot be reached, or the instrument is not ready; all that
                is wrong is listed, with what the operator should do.
        """
        self._owner = threading.get_ident()
        self._forget()
        further = [Call(IS_STEM_AVAILABLE), Call(GET_SCREEN_CURRENT)]
        *states, stem, current = self._server.multicall(
            [*(Call(STATES[name].method) for name in self._required), *further]
        )
        problems = list(self._problems(dict(zip(self._required, states, strict=True))))
        if self._needs_frames:
            try:
                self._frames.put_up()
            except StempilotError as error:
                problems.append(str(error))
        if problems:
            listing = "\n".join(f"- {problem}" for problem in problems)
            msg = f"the instrument is not ready:\n{listing}\nThen start again."
            raise BackendError(msg)
        self._first_current_a = self._judgeable(current)
        self._identity = {
            "model": "USETEM temscript server",
            "instrument": self._config.instrument or str(self._server.endpoint),
            "camera": self._config.camera if self._config.frames == "camera" else "screen",
            "stem": "unknown" if stem.fault else str(boolean(stem.method, stem.value())).lower(),
        }

    def _judgeable(self, current: Answer) -> float | None:
        """Return the current by which later ones are judged, ``None`` where it tells nothing."""
        if self._config.beam_lost_share is None or not self._needs_frames:
            return None
        found_a = 0.0 if current.fault else doubles(current.method, current.value(), 1)[0]
        if found_a > 0:
            return found_a
        _log.warning("no current on the screen can be measured; a lost beam will not be noticed")
        return None

    def close(self) -> None:
        """Take the camera off the server's list if it was not there before."""
        if self._owner is not None:
            self._frames.take_down()
        self._owner = None
        self._forget()

    def offers(self) -> Offers:
        """Return the knobs that the options offer, the camera, and all states."""
        source = SourceSpec(
            shape=self._config.frame_shape,
            dtype=self._config.delivered_dtype,
            saturation=self._config.saturation,
        )
        states = {
            name: StateSpec(values=tuple(state.words.values())) for name, state in STATES.items()
        }
        numbers = {name: NumberSpec(unit=NUMBER_UNITS[name]) for name in _NUMBERS}
        return Offers(knobs=self._specs, sources={FLUCAM: source}, states=states, numbers=numbers)

    def lock_name(self) -> str:
        """Return host and port: two runs never drive through the same server."""
        endpoint = self._server.endpoint
        return network_address(endpoint.host, endpoint.port)

    def suggest_envelope(self) -> EnvelopeSuggestion:
        """Return careful limits of the diffraction shift alone, all of them guesses."""
        return suggestion(self._config)

    def identity(self) -> dict[str, str]:
        """Return the instrument's name, its camera, and whether it has STEM."""
        self._check_usable()
        return dict(self._identity)

    def state(self, name: str) -> str:
        """Return a state; after a frame, as it was right after the exposure."""
        self._check_usable()
        state = _known(STATES, name, "state")
        held = self._readings.take(name)
        return state.word(self._server.call(state.method) if held is None else held.value())

    def read(self, knob: str) -> KnobValue:
        """Return a read-back; the first after a frame or a write is the one made right after it."""
        self._check_usable()
        self._spec(knob)
        held = self._readings.take(knob)
        if held is None:
            self._second_hand.pop(knob, None)
            return self._read_anew(knob)
        found = KNOBS[knob].reading(held.value())
        self._second_hand[knob] = found
        return found

    def _read_anew(self, knob: str) -> KnobValue:
        return KNOBS[knob].reading(self._server.call(KNOBS[knob].method))

    def write(self, knob: str, value: KnobValue) -> None:
        """Write, wait for it to settle, and see that it reads back.

        Raises:
            HandsOffError: it no longer reads what it did when it was last read.
            BackendError: the server failed, or the knob does not read back what was written.
        """
        self._check_usable()
        spec = self._spec(knob)
        wire = KNOBS[knob]
        argument = wire.argument(value)
        self._check_unmoved(knob, spec)
        self._readings.forget()
        self._written = True
        done, reading = self._server.multicall([Call(wire.method, (argument,)), Call(wire.method)])
        done.value()
        found = wire.reading(reading.value())
        self._readings.came_with_write(knob, reading)
        time.sleep(self._config.settle_s)
        if differs(found, value, spec):
            self._await(knob, value, spec, found)

    def _await(self, knob: str, value: KnobValue, spec: KnobSpec, found: KnobValue) -> None:
        """Read a knob until it reads what was written, or for too long."""
        self._readings.forget()
        _log.warning("%s reads %s after %s was written; reading again", knob, found, value)
        end_s = time.monotonic() + self._config.readback_s
        while differs(found, value, spec):
            if time.monotonic() >= end_s:
                msg = (
                    f"{knob} reads {found} {spec.unit} after {tuple(value)} was written, and may "
                    f"differ by {spec.resolution}: it is stuck, another user moved it, or its "
                    "read-back is coarser than the resolution in the options"
                )
                raise BackendError(msg)
            time.sleep(_POLL_S)
            found = self._read_anew(knob)

    def _check_unmoved(self, knob: str, spec: KnobSpec) -> None:
        """Where the last reading of a knob was not made for itself, see that it still stands."""
        stood = self._second_hand.pop(knob, None)
        if stood is None:
            return
        found = self._read_anew(knob)
        if differs(found, stood, spec):
            msg = (
                f"{knob} reads {found} {spec.unit} and read {stood} just before: another user "
                "moved it. Stopping; start again when the instrument is free"
            )
            raise HandsOffError(msg, knob=knob)

    def acquire(self, source: str) -> Frame:
        """Return a frame exposed after the last write, with the instrument still ready after it.

        Raises:
            FrameError: what came is not one frame as promised.
            BackendError: the server failed, or what `open` required no longer holds.
        """
        self._check_usable()
        _known({FLUCAM: self._config.camera}, source, "source")
        if self._written:
            for _ in range(self._config.discard_frames):
                self._frames.fetch()
        pixels, answers = self._fetch()
        for _ in range(self._config.stale_fetches):
            if self._previous is None or not _same(pixels, self._previous):
                break
            pixels, answers = self._fetch()
        problems = list(self._problems({name: answers[name] for name in self._required}))
        problems += self._beam_problems(answers.pop(GET_SCREEN_CURRENT, None))
        if problems:
            msg = f"the instrument is no longer ready: {'; '.join(problems)}"
            raise BackendError(msg)
        self._previous, self._written = pixels, False
        self._readings.came_with_frame(answers)
        return Frame(
            pixels=pixels,
            exposure_s=self._config.exposure_s,
            taken_at_s=time.perf_counter(),
            pixel_rad=self._pixel_rad(answers),
        )

    def _fetch(self) -> tuple[Array, dict[str, Answer]]:
        """Return pixels, and what is required, expected and calibrated by as read after them."""
        names = dict.fromkeys((*self._required, *self._readings.expected()))
        if self._config.pixel_mrad:
            names[CAMERA_LENGTH_INDEX] = None
        if self._first_current_a is not None:
            names[GET_SCREEN_CURRENT] = None
        pixels, answers = self._frames.fetch([Call(_method(name)) for name in names])
        return pixels, dict(zip(names, answers, strict=True))

    def _pixel_rad(self, answers: Mapping[str, Answer]) -> float | None:
        if not self._config.pixel_mrad:
            return None
        index = KNOBS[CAMERA_LENGTH_INDEX].reading(answers[CAMERA_LENGTH_INDEX].value())
        return self._config.pixel_rad(int(index[0]))

    def _problems(self, answers: Mapping[str, Answer]) -> Iterator[str]:
        """Yield what the operator should do about each required state that does not hold."""
        for name, answer in answers.items():
            state, wanted = STATES[name], self._required[name]
            try:
                found = state.word(answer.value())
            except BackendError as error:
                yield f"{name} must be {wanted}: {error}"
                continue
            if found != wanted:
                yield f"{name} is {found} and must be {wanted}: {state.advice[wanted]}"

    def _beam_problems(self, current: Answer | None) -> Iterator[str]:
        """Yield that the beam is lost, if the current on the screen says so."""
        first_a, share = self._first_current_a, self._config.beam_lost_share
        if current is None or first_a is None or share is None:
            return
        found_a = doubles(current.method, current.value(), 1)[0]
        if found_a < share * first_a:
            yield (
                f"the current on the screen is {found_a:.3g} A and was {first_a:.3g} A at the "
                "start: the beam is lost, or the disk left the screen; get it back and start "
                "again, or set backend.beam_lost_share"
            )

    def park(self) -> None:
        """Blank the beam, and see that it is blanked.

        Raises:
            BackendError: that failed.
        """
        self._check_usable()
        self._readings.forget()
        done, found = self._server.multicall([Call(IS_BLANKED, (True,)), Call(IS_BLANKED)])
        done.value()
        if not boolean(IS_BLANKED, found.value()):
            msg = "the beam is not blanked although that was asked for; blank it by hand"
            raise BackendError(msg)

    def number(self, name: str) -> float:
        """Return the current on the fluorescent screen in A, or the camera length in m.

        Raises:
            BackendError: no such number, or the server failed.
        """
        self._check_usable()
        if name not in _NUMBERS:
            msg = f"no number {name!r}; usetem-themis has {' and '.join(_NUMBERS)}"
            raise BackendError(msg)
        if name == CAMERA_LENGTH:
            return self.camera_length_m()
        return doubles(GET_SCREEN_CURRENT, self._server.call(GET_SCREEN_CURRENT), 1)[0]

    def camera_length_m(self) -> float:
        """Return the nominal camera length in metres, from the table in the options.

        The server's own call for it would set the camera length.

        Raises:
            BackendError: the server failed, or the table has no such index.
        """
        self._check_usable()
        index = int(self._read_anew(CAMERA_LENGTH_INDEX)[0])
        length = self._config.camera_length_m(index)
        if length is None:
            msg = f"camera length {index} is not in backend.camera_lengths_mm; correct the table"
            raise BackendError(msg)
        return length

    def _spec(self, knob: str) -> KnobSpec:
        return _known(self._specs, knob, "knob")

    def _check_usable(self) -> None:
        if self._owner is None:
            msg = "the connection to the microscope is closed; open it first"
            raise BackendError(msg)
        if self._owner != threading.get_ident():
            msg = "the microscope was opened by another thread; use it from that one alone"
            raise BackendError(msg)


def _method(name: str) -> str:
    """Return the method behind a knob or a state; what is neither is a method itself."""
    if name not in KNOBS and name not in STATES:
        return name
    return KNOBS[name].method if name in KNOBS else STATES[name].method


def _known(known: Mapping[str, V], name: str, kind: str) -> V:
    """Return the entry of a name.

    Raises:
        BackendError: there is none.
    """
    if name not in known:
        msg = f"no {kind} {name!r}; usetem-themis offers {', '.join(known)}"
        raise BackendError(msg)
    return known[name]


def _same(one: Array, other: Array) -> bool:
    """Return whether two frames are equal; a few rows usually tell."""
    return np.array_equal(one[:4], other[:4]) and np.array_equal(one, other)
