"""The safety envelope: what may be written, how far, how often.

Limits are refused, never clipped: an agent must not learn a world that does not exist.
"""

from collections.abc import Mapping

from attrs import evolve, field, frozen

from stempilot.contract.names import CAMERA_LENGTH_INDEX
from stempilot.contract.values import KnobSpec, KnobValue, Needs, Offers, SetPoint, read_only
from stempilot.errors import EnvelopeError
from stempilot.instrument.checks import (
    check_bounds,
    differs,
    may_change,
    nearest_allowed,
    require_fine_resolution,
)
from stempilot.plugins.suggest import listed

PixelAngles = Mapping[str, Mapping[int, float]]
"""Angle of a pixel in mrad by source and camera length index."""


def _read_only_tables(tables: PixelAngles) -> PixelAngles:
    return read_only({source: read_only(table) for source, table in tables.items()})


@frozen(kw_only=True)
class Response:
    """How far a knob moves what a camera shows, as it was measured.

    Attributes:
        px_per_unit: x and y in px of the frame, each for every component of the knob.
        uncertainty: standard uncertainties of the same numbers.
        camera_length_index: the camera length that it belongs to.
        measured: the date.
    """

    px_per_unit: tuple[KnobValue, ...]
    uncertainty: tuple[KnobValue, ...]
    camera_length_index: int
    measured: str


@frozen(kw_only=True)
class KnobLimits:
    """A row of an envelope file.

    Attributes:
        spec: unit, bounds, largest step and resolution.
        reach: largest distance of each component from the baseline; ``None`` for no such limit.
        approach: how far from home the last move home begins, against hysteresis; ``None`` for
            straight home.
    """

    spec: KnobSpec
    reach: KnobValue | None = None
    approach: KnobValue | None = None


@frozen(kw_only=True)
class Envelope:
    """The limits that a site sets on one instrument (see `stempilot.instrument.envelope_file`).

    Attributes:
        backend: name of the backend it was written for.
        knobs: limits by knob; a knob that is not listed may not be written.
        writes_per_s: highest rate of writes; a write that comes sooner waits.
        max_writes: run budget; when it is spent the run ends cleanly.
        may_park: whether the backend may go to its safest state when putting back failed.
        pixel_mrad: angle of a pixel by source and camera length index, for frames whose backend
            does not know it.
        response: by knob, where it was measured; limits nothing.
    """

    backend: str
    knobs: Mapping[str, KnobLimits] = field(converter=read_only)
    writes_per_s: float | None = None
    max_writes: int | None = None
    may_park: bool = False
    pixel_mrad: PixelAngles = field(converter=_read_only_tables, factory=dict)
    response: Mapping[str, Response] = field(converter=read_only, factory=dict)


def open_envelope(backend: str, offers: Offers) -> Envelope:
    """Return the envelope that allows all that a backend offers; for simulators."""
    knobs = {name: KnobLimits(spec=spec) for name, spec in offers.knobs.items()}
    return Envelope(backend=backend, knobs=knobs)


def effective_limits(
    envelope: Envelope, offers: Offers, needs: Needs, baseline: Mapping[str, KnobValue]
) -> dict[str, KnobSpec]:
    """Return what may be written: offers and envelope together, for the task's knobs only.

    Raises:
        EnvelopeError: a needed knob is not listed, in another unit, or stands outside its limits
            at the start, or a full action exceeds the largest step.
    """
    limits = {}
    for knob, need in needs.knobs.items():
        offer = offers.knobs[knob]
        row = envelope.knobs.get(knob)
        if row is None:
            what = f"the envelope does not list {knob}, so it must not be moved; it lists"
            msg = listed(what, knob, envelope.knobs)
            raise EnvelopeError(msg, knob=knob)
        if (row.spec.unit, row.spec.size) != (offer.unit, offer.size):
            msg = (
                f"{knob}: the envelope says {row.spec.size} x {row.spec.unit}, "
                f"the backend takes {offer.size} x {offer.unit}; correct the envelope file"
            )
            raise EnvelopeError(msg, knob=knob)
        limits[knob] = _intersect(offer, row, baseline[knob], knob)
        for index, step in enumerate(need.largest_step):
            allowed = limits[knob].max_change[index]
            if not may_change(step, allowed):
                msg = (
                    f"{knob}[{index}]: a full action moves {step:.4g} {offer.unit}, the envelope "
                    f"allows {allowed:.4g} {offer.unit} a step; lower the task's step size"
                )
                raise EnvelopeError(msg, knob=knob)
    return limits


def _intersect(offer: KnobSpec, row: KnobLimits, start: KnobValue, knob: str) -> KnobSpec:
    lower = list(map(max, offer.lower, row.spec.lower))
    upper = list(map(min, offer.upper, row.spec.upper))
    resolution = list(map(max, offer.resolution, row.spec.resolution))
    nearest = nearest_allowed(nearest_allowed(start, offer), row.spec)
    if not differs(start, nearest, evolve(offer, resolution=resolution)):
        start = nearest
    check_bounds(SetPoint(knob, start), lower, upper, offer.unit, "stands at the start")
    if row.reach is not None:
        lower = [max(a, b - r) for a, b, r in zip(lower, start, row.reach, strict=True)]
        upper = [min(a, b + r) for a, b, r in zip(upper, start, row.reach, strict=True)]
    max_change = list(map(min, offer.max_change, row.spec.max_change))
    limits = evolve(offer, lower=lower, upper=upper, max_change=max_change, resolution=resolution)
    require_fine_resolution(knob, limits)
    return limits


def check_calibration(envelope: Envelope, offers: Offers, backend: str) -> None:
    """Check that each calibrated source exists and that the camera length can be read.

    Raises:
        EnvelopeError: a calibration would never be used.
    """
    for source in envelope.pixel_mrad:
        if source not in offers.sources:
            msg = listed(
                f"correct [calibration.{source}] in the envelope file: the envelope calibrates "
                f"the source {source}; {backend} offers",
                source,
                offers.sources,
            )
            raise EnvelopeError(msg)
        if CAMERA_LENGTH_INDEX not in offers.knobs:
            msg = (
                f"the envelope calibrates {source} by camera length, but {backend} does not tell "
                f"{CAMERA_LENGTH_INDEX}; remove [calibration.{source}] from the envelope file"
            )
            raise EnvelopeError(msg)
