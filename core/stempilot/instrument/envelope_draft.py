"""The text of a first envelope file: usable as it is, careful, and open about what it guesses."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve, field, frozen

from stempilot.contract.backend import EnvelopeSuggestion, Suggested
from stempilot.contract.names import CAMERA_LENGTH_INDEX
from stempilot.contract.values import KnobSpec, KnobValue, Offers
from stempilot.instrument.envelope import Response

SCHEMA = 1


@frozen(kw_only=True)
class Measured:
    """What readings at the instrument measured; bounds, steps and rates are not among it.

    Attributes:
        resolution: by knob.
        pixel_mrad: angle of a pixel by source and camera length index.
        response: by knob, with where it comes from.
    """

    resolution: Mapping[str, Suggested] = field(factory=dict)
    pixel_mrad: Mapping[str, Mapping[int, Suggested]] = field(factory=dict)
    response: Mapping[str, tuple[Response, str]] = field(factory=dict)


NOTHING = Measured()

REACH_STEPS = 10
"""A real knob may leave its baseline by so many of its largest steps, unless more is known."""

_BARE_KEY = re.compile("[A-Za-z0-9_-]+")

_WHAT = {
    "lower": "Smallest and largest value of each component that is ever sent.",
    "max_step": "Largest change in one write; resets and putting back ramp in steps of this.",
    "resolution": "A read-back that differs by more than this from what was written means that "
    "another user moved the knob; the run then stops.",
    "reach": "Largest distance from where the knob stands when a run starts.",
    "approach": "Where the knob has hysteresis: how far from home its last move home begins, so "
    "that home is always reached from the same side.",
    "writes_per_s": "Highest rate of writes; one that comes sooner waits.",
    "max_writes": "Run budget: after so many writes by the agent the run ends cleanly.",
    "may_park": "Whether the instrument may go to its safest state, for example with the beam "
    "blanked, when a knob could not be put back.",
}

_RATE = Suggested(
    value=25.0,
    because="faster than frames come, so that it slows down ramps alone; the published loop made "
    "5.5 writes per second.",
    measure="how soon after a write the image stands still; allow no more writes than that.",
)
_BUDGET = Suggested(
    value=20_000,
    because="about an hour of corrections at the published rate.",
    measure="how many timesteps your longest training needs.",
)
_PARK = Suggested(
    value=False,
    because="it has not been tried whether blanking the beam disturbs what else runs here.",
    measure="whether the safest state is safe for your sample; then set it to true.",
)


def draft(
    backend: str,
    offers: Offers,
    suggestion: EnvelopeSuggestion | None = None,
    measured: Measured = NOTHING,
) -> list[str]:
    """Return the lines of an envelope file.

    Args:
        backend: its name.
        offers: what it offers.
        suggestion: what it suggests; a real one gets careful guesses where it suggests nothing.
        measured: what readings measured, in place of guesses.
    """
    lines = [
        f"# What stempilot may do with {_toml(backend)}. Narrow it to what your site allows;",
        "# nothing outside is ever sent, and what is not listed here is never moved.",
    ]
    if not offers.simulated:
        lines += _comment(
            "An entry marked GUESS has not been measured at your instrument. Measure what it says, "
            "put your value in its place and remove the mark."
        )
    for note in suggestion.notes if suggestion else ():
        lines += ["#", *_comment(note)]
    lines += ["", f"schema = {SCHEMA}", f"backend = {_toml(backend)}"]
    lines += _run_lines(offers, suggestion)
    for knob, spec in offers.knobs.items():
        if suggestion is None:
            rows: Mapping[str, Suggested] = {} if offers.simulated else _careful(spec)
        elif knob in suggestion.knobs:
            rows = suggestion.knobs[knob]
        else:
            continue
        lines += _knob_lines(knob, spec, {**rows, **_resolution(knob, spec, rows, measured)})
    left_out = [knob for knob in offers.knobs if suggestion and knob not in suggestion.knobs]
    if left_out:
        text = f"Not listed and so never moved: {', '.join(left_out)}."
        lines += ["", *_comment(text)]
    return [*lines, *_calibration_lines(offers, measured), *_response_lines(measured)]


def _resolution(
    knob: str, spec: KnobSpec, rows: Mapping[str, Suggested], measured: Measured
) -> dict[str, Suggested]:
    """Return the measured resolution; never below what is offered, never above the guess."""
    found = measured.resolution.get(knob)
    if found is None or not isinstance(found.value, tuple):
        return {}
    guess = rows["resolution"].value if "resolution" in rows else spec.resolution
    most = guess if isinstance(guess, tuple) else spec.resolution
    value = tuple(map(min, most, map(max, spec.resolution, found.value)))
    return {"resolution": evolve(found, value=value)}


def _run_lines(offers: Offers, suggestion: EnvelopeSuggestion | None) -> Iterator[str]:
    """Yield what holds for the whole run; what a simulator does not need is only shown."""
    for entry, careful in (("writes_per_s", _RATE), ("max_writes", _BUDGET), ("may_park", _PARK)):
        suggested: Suggested | None = getattr(suggestion, entry) if suggestion else None
        if suggested is not None or not offers.simulated:
            yield from _entry(entry, suggested or careful)
        elif entry == "may_park":
            yield from _entry(entry, False)
        else:
            yield from _comment(_WHAT[entry])
            yield f"# {entry} = {_toml(careful.value)}"


def _careful(spec: KnobSpec) -> dict[str, Suggested]:
    """Return guesses for a real knob of which its backend says no more than its specification."""
    reach = tuple(
        min(REACH_STEPS * step, high - low)
        for step, low, high in zip(spec.max_change, spec.lower, spec.upper, strict=True)
    )
    whence = "what the backend offers."
    return {
        "lower": Suggested(
            value=spec.lower,
            because=whence,
            measure="how far you would move this knob by hand on a bad day; allow no more.",
        ),
        "max_step": Suggested(
            value=spec.max_change,
            because=whence,
            measure="the largest change at once that neither loses the beam nor rings.",
        ),
        "resolution": Suggested(
            value=spec.resolution,
            because=whence,
            measure="the spread of the read-back after writing the same value ten times.",
        ),
        "reach": Suggested(
            value=reach,
            because=f"{REACH_STEPS} of the largest steps.",
            measure="how far from the baseline the knob may go with everything still in view.",
        ),
    }


def _knob_lines(knob: str, spec: KnobSpec, rows: Mapping[str, Suggested]) -> Iterator[str]:
    yield from ["", f"[knobs.{_toml_key(knob)}]", f"unit = {_toml(spec.unit)}"]
    offered = {"max_step": spec.max_change}
    for entry in ("lower", "upper", "max_step", "resolution"):
        default = offered[entry] if entry in offered else getattr(spec, entry)
        yield from _entry(entry, rows.get(entry, default))
    if "reach" in rows:
        yield from _entry("reach", rows["reach"])
    else:
        yield from _comment(_WHAT["reach"])
        yield f"# reach = {_toml(spec.upper)}"
    yield from _comment(_WHAT["approach"])
    yield f"# approach = {_toml(tuple(0.5 * step for step in spec.max_change))}"


def _entry(name: str, given: Any) -> Iterator[str]:
    if name in _WHAT:
        yield from _comment(_WHAT[name])
    if isinstance(given, Suggested):
        mark = "GUESS: " if given.measure else ""
        yield from _comment(mark + given.because)
        if given.measure:
            yield from _comment(f"Measure: {given.measure}")
        given = given.value
    yield f"{name} = {_toml(given)}"


def _response_lines(measured: Measured) -> Iterator[str]:
    for knob, (response, because) in measured.response.items():
        yield ""
        yield from _comment(because)
        yield f"[response.{_toml_key(knob)}]"
        yield f"measured = {_toml(response.measured)}"
        yield f"camera_length_index = {response.camera_length_index}"
        for name in ("px_per_unit", "uncertainty"):
            yield f"{name} = [{', '.join(map(_toml, getattr(response, name)))}]"


def _calibration_lines(offers: Offers, measured: Measured) -> Iterator[str]:
    if CAMERA_LENGTH_INDEX not in offers.knobs:
        return
    for source in offers.sources:
        yield ""
        if source in measured.pixel_mrad:
            yield f"[calibration.{_toml_key(source)}]"
            for index, found in measured.pixel_mrad[source].items():
                yield from _entry(str(index), found)
            continue
        yield from _comment(
            f"Angle of one pixel of {source} in mrad by camera length index, where you have "
            "calibrated it. Without an entry it counts as unknown."
        )
        yield from [f"# [calibration.{_toml_key(source)}]", "# 12 = 0.565"]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, width=96)]


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)


def _toml(value: KnobValue | float | bool | str) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(repr(float(item)) for item in value) + "]"
    return json.dumps(value) if isinstance(value, bool | str) else repr(value)
