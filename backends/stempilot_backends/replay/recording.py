"""Reads what a run recorded with all its frames."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from stempilot import (
    FRAMES,
    KnobValue,
    Offers,
    RunDir,
    RunDirError,
    as_knob_value,
    read_events,
    recorded_offers,
)


@frozen(kw_only=True)
class RecordedFrame:
    """A kept frame.

    Attributes:
        file: its NPY file.
        exposure_s: exposure time.
        taken_at_s: the instrument's clock at the end of the exposure.
        pixel_rad: angle of a pixel; ``None`` where it was unknown.
    """

    file: Path
    exposure_s: float
    taken_at_s: float
    pixel_rad: float | None


@frozen(kw_only=True)
class Moment:
    """One look at the instrument.

    Attributes:
        episode: number of the episode.
        step: timestep within it; 0 is its start.
        writes: knob and value of what was written just before, in order.
        frames: by source.
        knobs: what all recorded knobs read.
        states: what all recorded states were.
        truth: what the simulator knew; empty where there was none.
        instrument: which instrument it was.
    """

    episode: int
    step: int
    writes: tuple[tuple[str, KnobValue], ...]
    frames: Mapping[str, RecordedFrame]
    knobs: Mapping[str, KnobValue]
    states: Mapping[str, str]
    truth: Mapping[str, KnobValue]
    instrument: str

    def __str__(self) -> str:
        return f"episode {self.episode}, timestep {self.step}"


@frozen(kw_only=True)
class Recording:
    """A run to play back.

    Attributes:
        run: its directory.
        moments: all looks, in order.
        offers: what of its instrument was recorded.
        identity: what the instrument said of itself.
    """

    run: Path
    moments: tuple[Moment, ...]
    offers: Offers
    identity: Mapping[str, str]

    @property
    def has_truth(self) -> bool:
        """Whether the truth was recorded with every look."""
        return all(moment.truth for moment in self.moments)


def read_recording(run: Path) -> Recording:
    """Return what a run recorded.

    Raises:
        RunDirError: it is no run, was not recorded with all frames, or is damaged.
    """
    folder = RunDir.open(run)
    record = folder.record()
    if record.frames.every != 1:
        msg = f"{run} does not hold all its frames; record it with --frames all to play it back"
        raise RunDirError(msg)
    try:
        moments = tuple(_moments(run))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        msg = f"{run}: the events are damaged: {error!r}"
        raise RunDirError(msg) from error
    if not moments:
        msg = f"{run} holds no frames to play back"
        raise RunDirError(msg)
    offers, first = recorded_offers(folder), moments[0]
    seen = evolve(
        offers,
        knobs={name: spec for name, spec in offers.knobs.items() if name in first.knobs},
        sources={name: spec for name, spec in offers.sources.items() if name in first.frames},
        states={name: spec for name, spec in offers.states.items() if name in first.states},
        simulated=True,
    )
    _require_alike(run, moments, seen)
    return Recording(run=run, moments=moments, offers=seen, identity=record.identity)


def _moments(run: Path) -> Iterator[Moment]:
    instrument = ""
    for event in read_events(run):
        instrument = str(event.get("instrument", instrument))
        if "seen" not in event:
            continue
        seen = event["seen"]
        yield Moment(
            episode=event["e"],
            step=event["k"],
            writes=tuple((str(write[0]), as_knob_value(write[1])) for write in event["writes"]),
            frames={
                str(source): _frame(run / FRAMES, kept) for source, kept in seen["frames"].items()
            },
            knobs={str(knob): as_knob_value(value) for knob, value in seen["knobs"].items()},
            states={str(name): str(value) for name, value in seen["states"].items()},
            truth={str(k): as_knob_value(value) for k, value in event.get("truth", {}).items()},
            instrument=instrument,
        )


def _frame(folder: Path, kept: Mapping[str, Any]) -> RecordedFrame:
    name = Path(kept["file"]).name
    if name != kept["file"]:
        msg = f"{kept['file']!r} lies outside of {folder}"
        raise ValueError(msg)
    angle = kept["pixel_rad"]
    return RecordedFrame(
        file=folder / name,
        exposure_s=float(kept["exposure_s"]),
        taken_at_s=float(kept["taken_at_s"]),
        pixel_rad=None if angle is None else float(angle),
    )


def _require_alike(run: Path, moments: tuple[Moment, ...], seen: Offers) -> None:
    """Check that every look has all knobs, sources and states, in their sizes."""
    for moment in moments:
        sizes = {knob: len(value) for knob, value in moment.knobs.items()}
        alike = (
            sizes == {knob: spec.size for knob, spec in seen.knobs.items()}
            and moment.frames.keys() == seen.sources.keys()
            and moment.states.keys() == seen.states.keys()
        )
        if not alike:
            msg = f"{run}: {moment} has other knobs, sources or states than the instrument"
            raise RunDirError(msg)
