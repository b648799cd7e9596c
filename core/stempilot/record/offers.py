"""Writes the offers of a backend into a run's record as plain values, and reads them."""

from typing import Any

from stempilot.contract.values import KnobSpec, Offers, SourceSpec, StateSpec
from stempilot.errors import RunDirError
from stempilot.record.recorder import plain_numbers
from stempilot.record.run_dir import RunDir

_KNOB = {"lower": "lower", "upper": "upper", "max_step": "max_change", "resolution": "resolution"}
"""Attributes of a `KnobSpec` by their keys in the record."""


def plain_offers(offers: Offers) -> dict[str, Any]:
    """Return knobs, sources and states as JSON values; what is not finite is text."""
    return {
        "knobs": {
            knob: {
                "unit": spec.unit,
                **{key: plain_numbers(getattr(spec, name)) for key, name in _KNOB.items()},
            }
            for knob, spec in offers.knobs.items()
        },
        "sources": {
            name: {"shape": list(s.shape), "dtype": s.dtype, "saturation": s.saturation}
            for name, s in offers.sources.items()
        },
        "states": {name: list(spec.values) for name, spec in offers.states.items()},
    }


def recorded_offers(run: RunDir) -> Offers:
    """Return what the instrument of a run offered.

    Raises:
        RunDirError: the record does not say, or not in a way that makes sense.
    """
    content = run.record().capabilities
    if content is None:
        msg = f"{run.path} does not say what its instrument offers: it is of an earlier version"
        raise RunDirError(msg)
    try:
        return Offers(
            knobs={
                name: KnobSpec(unit=row["unit"], **{own: row[key] for key, own in _KNOB.items()})
                for name, row in content["knobs"].items()
            },
            sources={
                name: SourceSpec(
                    shape=(int(row["shape"][0]), int(row["shape"][1])),
                    dtype=str(row["dtype"]),
                    saturation=row["saturation"],
                )
                for name, row in content["sources"].items()
            },
            states={
                name: StateSpec(values=tuple(map(str, values)))
                for name, values in content["states"].items()
            },
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        msg = f"{run.path}: capabilities in the record are damaged: {error!r}"
        raise RunDirError(msg) from error
