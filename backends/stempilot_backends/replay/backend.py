"""A recorded run as an instrument: it plays the frames back as long as one acts as recorded."""

from collections.abc import Mapping

import numpy as np

from stempilot import (
    Backend,
    BackendError,
    Frame,
    KnobValue,
    Offers,
    RunDirError,
    SetPoint,
    differs,
    read_array,
)
from stempilot_backends.replay.recording import Moment, Recording


class Replay(Backend):
    """Plays a recorded run back.

    Each exposure is the next recorded one. Until the first write they simply follow one another.
    From then on every write must be the recorded one, within the knob's resolution, and every
    exposure is made where the recorded one was. Two ways are free, and go nowhere: to the start of
    an episode (`start_of`), and back to where the knobs stood at the beginning.

    Args:
        recording: what to play.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._open = False
        self._begin()

    def _begin(self) -> None:
        self._index = -1
        self._delivered: set[str] = set()
        self._readings = dict(self._recording.moments[0].knobs)
        self._home = dict(self._readings)
        self._written: set[str] = set()
        self._matched = 0
        self._strict = False
        self._positioning = False
        self._left: str | None = None
        self._clock_s = -np.inf
        self._clock_shift_s = 0.0

    def open(self) -> None:
        """Begin to play."""
        self._begin()
        self._open = True

    def close(self) -> None:
        """End."""
        self._open = False

    def offers(self) -> Offers:
        """Return what of the recorded instrument's offers was recorded."""
        return self._recording.offers

    def identity(self) -> Mapping[str, str]:
        """Return what the recorded instrument said, and its short name at this moment."""
        moment = self._recording.moments[max(0, self._index)]
        return {**self._recording.identity, "recorded_as": moment.instrument}

    def state(self, name: str) -> str:
        """Return the state as it was at the last exposure."""
        self._require("state", name, self._recording.offers.states)
        return self._recording.moments[max(0, self._index)].states[name]

    def read(self, knob: str) -> KnobValue:
        """Return what was written last or, after an exposure, what was read then."""
        self._require("knob", knob, self._recording.offers.knobs)
        return self._readings[knob]

    def start_of(self, episode: int) -> tuple[SetPoint, ...]:
        """Go to the beginning of a recorded episode; the way there is free."""
        moments = self._recording.moments
        for index, moment in enumerate(moments):
            if (moment.episode, moment.step) == (episode, 0):
                self._index = index - 1
                self._positioning, self._strict, self._left = True, True, None
                return tuple(SetPoint(knob, value) for knob, value in moment.knobs.items())
        first, last = moments[0].episode, moments[-1].episode
        msg = f"{self._recording.run} recorded episodes {first} to {last}; there is no {episode}"
        raise BackendError(msg)

    def write(self, knob: str, value: KnobValue) -> None:
        """Take a write that was recorded.

        Raises:
            BackendError: it differs from the record, which is named beside it.
        """
        self._require("knob", knob, self._recording.offers.knobs)
        if self._positioning:
            self._take(knob, value)
            return
        following = self._following()
        pending = () if following is None else following.writes[self._matched :]
        if pending and pending[0][0] == knob and not self._differs(knob, value, pending[0][1]):
            self._matched += 1
        elif value == self._readings[knob]:
            pass
        elif _leads(self._readings[knob], value, self._home[knob]):
            self._left = self._difference(knob, value)
        else:
            raise BackendError(self._difference(knob, value))
        self._take(knob, value)

    def acquire(self, source: str) -> Frame:
        """Return the next recorded frame.

        Raises:
            BackendError: the record ends here, or the knobs stand elsewhere than they did.
        """
        self._require("source", source, self._recording.offers.sources)
        if self._index < 0 or self._positioning or self._matched or source in self._delivered:
            self._advance()
        elif self._left is not None:
            raise BackendError(self._left)
        self._delivered.add(source)
        return self._frame(source)

    def _advance(self) -> None:
        if self._left is not None:
            raise BackendError(self._left)
        following = self._following()
        if following is None:
            raise BackendError(self._end())
        moved = () if self._positioning else (knob for knob, _ in following.writes)
        # What this session never writes stands as it did.
        for knob in sorted({*self._written, *moved} if self._strict else ()):
            was, stands = following.knobs[knob], self._readings[knob]
            if self._differs(knob, stands, was):
                msg = (
                    f"{knob} stands at {stands} but stood at {was} in the record of "
                    f"{self._recording.run}, {following}"
                )
                raise BackendError(msg)
        self._index = self._recording.moments.index(following)
        self._readings.update(following.knobs)
        self._delivered, self._matched, self._positioning = set(), 0, False

    def _following(self) -> Moment | None:
        """Return the next moment to play, ``None`` where the record, or its episode, ends."""
        moments, index = self._recording.moments, self._index + 1
        if index >= len(moments):
            return None
        following = moments[index]
        free = not self._strict or self._positioning
        same = following.episode == moments[self._index].episode
        return following if free or same else None

    def _take(self, knob: str, value: KnobValue) -> None:
        self._readings[knob] = value
        self._written.add(knob)
        self._strict = True

    def _differs(self, knob: str, one: KnobValue, other: KnobValue) -> bool:
        return differs(one, other, self._recording.offers.knobs[knob])

    def _difference(self, knob: str, value: KnobValue) -> str:
        following = self._following()
        pending = () if following is None else following.writes[self._matched :]
        if not pending:
            return f"{knob} = {value} was to be written, but {self._end()}"
        other, recorded = pending[0]
        return (
            f"{knob} = {value} was to be written, but the record of {self._recording.run}, "
            f"{following}, has {other} = {recorded}"
        )

    def _end(self) -> str:
        moment = self._recording.moments[max(0, self._index)]
        following = self._following()
        end = moment if following is None else following
        return f"nothing further is recorded in {self._recording.run} after {end}"

    def _frame(self, source: str) -> Frame:
        kept = self._recording.moments[self._index].frames[source]
        spec = self._recording.offers.sources[source]
        try:
            pixels = read_array(kept.file, inside=self._recording.run)
        except RunDirError as error:
            raise BackendError(str(error)) from error
        if (pixels.shape, pixels.dtype.name) != (spec.shape, spec.dtype):
            found = f"{pixels.shape} {pixels.dtype.name}"
            msg = f"{kept.file} holds {found}, not {spec.shape} {spec.dtype}"
            raise BackendError(msg)
        if kept.taken_at_s + self._clock_shift_s <= self._clock_s:
            # The recorded clock began again, as a simulator's does with each episode.
            self._clock_shift_s = self._clock_s - kept.taken_at_s + max(kept.exposure_s, 1e-3)
        self._clock_s = kept.taken_at_s + self._clock_shift_s
        return Frame(
            pixels=pixels,
            exposure_s=kept.exposure_s,
            taken_at_s=self._clock_s,
            pixel_rad=kept.pixel_rad,
        )

    def _require(self, kind: str, name: str, known: Mapping[str, object]) -> None:
        if not self._open:
            msg = f"the replay of {self._recording.run} is closed"
            raise BackendError(msg)
        if name not in known:
            listed = ", ".join(known) or "none"
            msg = f"{self._recording.run} recorded no {kind} {name}; recorded: {listed}"
            raise BackendError(msg)


class TruthfulReplay(Replay):
    """Plays a run back that was recorded on a simulator."""

    def truth(self) -> Mapping[str, KnobValue]:
        """Return the recorded truth of the last exposure."""
        return self._recording.moments[max(0, self._index)].truth


def _leads(start: KnobValue, value: KnobValue, goal: KnobValue) -> bool:
    """Return whether a value lies on the straight way to a goal, beyond the start."""
    way, move = np.subtract(goal, start), np.subtract(value, start)
    length = float(way @ way)
    if not length:
        return False
    share = float(move @ way) / length
    return 0 < share <= 1 + 1e-9 and bool(np.abs(move - share * way).max() <= 1e-9 * length**0.5)
