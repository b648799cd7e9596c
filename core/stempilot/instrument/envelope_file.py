"""Reads and writes ``envelope.toml``, the file in which a site says what may be moved how far."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen, validators

from stempilot.contract.backend import EnvelopeSuggestion
from stempilot.contract.names import UNITS
from stempilot.contract.values import KnobSpec, Offers
from stempilot.errors import ConfigError, EnvelopeError
from stempilot.files import recording, write_file
from stempilot.instrument.checks import require_fine_resolution
from stempilot.instrument.envelope import Envelope, KnobLimits, Response
from stempilot.instrument.envelope_draft import NOTHING, Measured, draft
from stempilot.plugins import options as config

SCHEMA = 1
"""Number of the form of an envelope file, which no other file shares."""


@frozen(kw_only=True)
class KnobRow:
    """The table of one knob as it stands in the file; see `stempilot.KnobSpec`."""

    unit: str = field(validator=validators.in_(UNITS))
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    max_step: tuple[float, ...]
    resolution: tuple[float, ...]
    reach: tuple[float, ...] | None = None
    approach: tuple[float, ...] | None = None


@frozen(kw_only=True)
class EnvelopeFile:
    """The file as a whole; see `stempilot.Envelope`."""

    schema: Literal[1]
    backend: str
    writes_per_s: float | None = field(
        default=None, validator=validators.optional(validators.gt(0))
    )
    max_writes: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    may_park: bool = False
    knobs: dict[str, KnobRow]
    calibration: dict[str, dict[str, float]] = field(factory=dict)
    response: dict[str, Response] = field(factory=dict)


def read_envelope(path: str | Path) -> Envelope:
    """Return the envelope of a file.

    Raises:
        EnvelopeError: the file cannot be read, or does not say what it must.
    """
    path = Path(path)
    try:
        return parse_envelope(config.read_toml(path), path.name)
    except ConfigError as error:
        msg = f"{error}; correct the envelope file"
        raise EnvelopeError(msg) from error


def parse_envelope(content: Mapping[str, Any], name: str) -> Envelope:
    """Return the envelope of a parsed file.

    Raises:
        ConfigError: the content does not say what it must.
        EnvelopeError: the limits of a knob contradict each other.
    """
    parsed = config.build(EnvelopeFile, content, section=name)
    return Envelope(
        backend=parsed.backend,
        knobs={knob: _limits(knob, row) for knob, row in parsed.knobs.items()},
        writes_per_s=parsed.writes_per_s,
        max_writes=parsed.max_writes,
        may_park=parsed.may_park,
        pixel_mrad={
            source: dict(_pixel_mrad(source, row) for row in table.items())
            for source, table in parsed.calibration.items()
        },
        response=parsed.response,
    )


def _pixel_mrad(source: str, row: tuple[str, float]) -> tuple[int, float]:
    index, pixel_mrad = row
    if not (index.isascii() and index.isdigit()):
        problem = f"{index!r} is not a camera length index such as 12"
    elif not pixel_mrad > 0:
        problem = f"{pixel_mrad:g} mrad per pixel at index {index} must be above 0"
    else:
        return int(index), pixel_mrad
    msg = f"envelope, calibration of {source}: {problem}; correct the envelope file"
    raise EnvelopeError(msg)


def _limits(knob: str, row: KnobRow) -> KnobLimits:
    try:
        spec = KnobSpec(
            unit=row.unit,
            lower=row.lower,
            upper=row.upper,
            max_change=row.max_step,
            resolution=row.resolution,
        )
    except ValueError as error:
        said = str(error).replace("max_change", "max_step")  # the key of the file
        msg = f"envelope, knob {knob}: {said}; correct the envelope file"
        raise EnvelopeError(msg, knob=knob) from error
    require_fine_resolution(knob, spec)
    reach, approach = row.reach, row.approach
    if reach is not None and len(reach) != spec.size:
        problem = f"reach has {len(reach)} components, not {spec.size}"
    elif reach is not None and min(reach) < 0:
        problem = f"reach = {reach} {spec.unit} must not be negative"
    elif approach is not None and len(approach) != spec.size:
        problem = f"approach has {len(approach)} components, not {spec.size}"
    else:
        return KnobLimits(spec=spec, reach=reach, approach=approach)
    msg = f"envelope, knob {knob}: {problem}; correct the envelope file"
    raise EnvelopeError(msg, knob=knob)


def plain_envelope(envelope: Envelope) -> dict[str, Any]:
    """Return the envelope as plain values that `parse_envelope` takes."""
    return {
        "schema": SCHEMA,
        "backend": envelope.backend,
        "writes_per_s": envelope.writes_per_s,
        "max_writes": envelope.max_writes,
        "may_park": envelope.may_park,
        "knobs": {
            knob: {
                "unit": row.spec.unit,
                "lower": list(row.spec.lower),
                "upper": list(row.spec.upper),
                "max_step": list(row.spec.max_change),
                "resolution": list(row.spec.resolution),
                "reach": None if row.reach is None else list(row.reach),
                "approach": None if row.approach is None else list(row.approach),
            }
            for knob, row in envelope.knobs.items()
        },
        "calibration": {
            source: {str(index): pixel_mrad for index, pixel_mrad in table.items()}
            for source, table in envelope.pixel_mrad.items()
        },
        "response": {knob: config.plain(row) for knob, row in envelope.response.items()},
    }


def write_envelope(
    path: Path,
    backend: str,
    offers: Offers,
    suggestion: EnvelopeSuggestion | None = None,
    measured: Measured = NOTHING,
) -> None:
    """Write a commented envelope file: all that a simulator offers, or carefully little.

    Args:
        path: the file.
        backend: its name.
        offers: what it offers.
        suggestion: what it suggests beyond that.
        measured: what readings measured, in place of guesses.

    Raises:
        EnvelopeError: the file exists already.
        RecordError: it cannot be written.
    """
    with recording():
        exists = path.exists()
    if exists:
        msg = f"{path} exists already; move it away or choose another --out"
        raise EnvelopeError(msg)
    lines = draft(backend, offers, suggestion, measured)
    write_file(path, ("\n".join(lines) + "\n").encode())
