"""Reads and writes ``envelope.toml``, the file in which a site says what may be moved how far."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen, validators

from stempilot import config
from stempilot.envelope import Envelope, KnobLimits
from stempilot.errors import ConfigError, EnvelopeError, RunDirError
from stempilot.model import Capabilities, KnobSpec, Reading
from stempilot.rundir import RECORD, SCHEMA, write_file
from stempilot.vocabulary import UNITS

_BARE_KEY = re.compile("[A-Za-z0-9_-]+")


@frozen(kw_only=True)
class KnobRow:
    """The table of one knob as it stands in the file; see `stempilot.model.KnobSpec`."""

    unit: str = field(validator=validators.in_(UNITS))
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    max_step: tuple[float, ...]
    resolution: tuple[float, ...]
    reach: tuple[float, ...] | None = None


@frozen(kw_only=True)
class EnvelopeFile:
    """The file as a whole; see `stempilot.envelope.Envelope`."""

    schema: Literal[1]
    backend: str
    writes_per_s: float | None = field(
        default=None, validator=validators.optional(validators.gt(0))
    )
    max_writes: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    may_park: bool = False
    knobs: dict[str, KnobRow]


def read_envelope(path: Path) -> Envelope:
    """Return the envelope of a file.

    Raises:
        EnvelopeError: the file cannot be read, or does not say what it must.
    """
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
    )


def recorded_envelope(record: Mapping[str, Any]) -> Envelope | None:
    """Return the envelope that the record of a run holds, ``None`` where it went without.

    Raises:
        RunDirError: the record is damaged.
    """
    if record["envelope"] is None:
        return None
    try:
        return parse_envelope(record["envelope"], RECORD)
    except (ConfigError, EnvelopeError) as error:
        msg = f"{RECORD} is damaged: {error}"
        raise RunDirError(msg) from error


def _limits(knob: str, row: KnobRow) -> KnobLimits:
    try:
        spec = KnobSpec(
            unit=row.unit,
            lower=row.lower,
            upper=row.upper,
            max_step=row.max_step,
            resolution=row.resolution,
        )
    except ValueError as error:
        msg = f"envelope, knob {knob}: {error}; correct the envelope file"
        raise EnvelopeError(msg, knob=knob) from error
    reach = row.reach
    if reach is not None and len(reach) != spec.size:
        problem = f"reach has {len(reach)} components, not {spec.size}"
    elif reach is not None and min(reach) < 0:
        problem = f"reach = {reach} {spec.unit} must not be negative"
    else:
        return KnobLimits(spec=spec, reach=reach)
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
                "max_step": list(row.spec.max_step),
                "resolution": list(row.spec.resolution),
                "reach": None if row.reach is None else list(row.reach),
            }
            for knob, row in envelope.knobs.items()
        },
    }


def write_envelope(path: Path, backend: str, offers: Capabilities) -> None:
    """Write a commented envelope file that allows what the backend offers.

    Raises:
        EnvelopeError: the file exists already.
        RecordError: it cannot be written.
    """
    if path.exists():
        msg = f"{path} exists already; move it away or choose another --out"
        raise EnvelopeError(msg)
    lines = [
        f'# What stempilot may do with "{backend}". Narrow it to what your site allows;',
        "# nothing outside is ever sent, and what is not listed here is never moved.",
        f"schema = {SCHEMA}",
        f'backend = "{backend}"',
        "# Highest rate of writes; one that comes sooner waits.",
        "# writes_per_s = 20.0",
        "# Run budget: after so many writes by the agent the run ends cleanly.",
        "# max_writes = 20000",
        "# Whether the beam may be blanked when a knob could not be put back.",
        "may_park = false",
    ]
    for knob, spec in offers.knobs.items():
        lines += _knob_lines(knob, spec)
    write_file(path, ("\n".join(lines) + "\n").encode())


def _knob_lines(knob: str, spec: KnobSpec) -> list[str]:
    return [
        "",
        f"[knobs.{_toml_key(knob)}]",
        f'unit = "{spec.unit}"',
        f"lower = {_toml(spec.lower)}",
        f"upper = {_toml(spec.upper)}",
        "# Largest change in one write; resets and putting back ramp in steps of this.",
        f"max_step = {_toml(spec.max_step)}",
        "# A read-back that differs by more than this from what was written means that somebody",
        "# else moved the knob; the run then stops.",
        f"resolution = {_toml(spec.resolution)}",
        "# Largest distance from where the knob stands when a run starts.",
        f"# reach = {_toml(spec.upper)}",
    ]


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)


def _toml(reading: Reading) -> str:
    return "[" + ", ".join(repr(float(value)) for value in reading) + "]"
