"""Holds set points and read-backs against the limits of their knob. Nothing here moves anything."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from stempilot.contract.backend import Backend
from stempilot.contract.task import FloatArray
from stempilot.contract.values import KnobSpec, KnobValue, SetPoint
from stempilot.errors import BackendError, EnvelopeError


def require_fine_resolution(knob: str, spec: KnobSpec) -> None:
    """Check that a read-back can tell a largest step from none.

    Raises:
        EnvelopeError: it cannot; a step limit would mean nothing.
    """
    for index, (grain, step) in enumerate(zip(spec.resolution, spec.max_change, strict=True)):
        if grain > step:
            msg = (
                f"{knob}[{index}]: resolution = {grain:.4g} {spec.unit} exceeds max_step = "
                f"{step:.4g} {spec.unit}, so that no read-back could tell whether a step was made; "
                "correct the envelope file"
            )
            raise EnvelopeError(msg, knob=knob)


def check_bounds(
    point: SetPoint, lower: Sequence[float], upper: Sequence[float], unit: str, verb: str
) -> None:
    """Check that each component lies within its bounds.

    Raises:
        EnvelopeError: one lies outside; the message says what it does there with ``verb``.
    """
    for index, (item, low, high) in enumerate(zip(point.value, lower, upper, strict=True)):
        if not low <= item <= high:
            where = f"{point.knob}[{index}] {verb} = {item:.6g} {unit}"
            msg = f"{where} outside [{low:.6g}, {high:.6g}]"
            raise EnvelopeError(msg, knob=point.knob)


@overload
def may_change(change: float, largest: float, resolution: float = 0.0) -> bool: ...
@overload
def may_change(
    change: FloatArray, largest: FloatArray, resolution: FloatArray | float = 0.0
) -> npt.NDArray[np.bool_]: ...
def may_change(change: Any, largest: Any, resolution: Any = 0.0) -> Any:
    """Return whether a knob may change by so much in one write; NaN may not."""
    return abs(change) <= largest * (1 + 1e-9) + resolution


def check_set_point(point: SetPoint, limits: Mapping[str, KnobSpec], standing: KnobValue) -> None:
    """Check one set point against the limits and the present read-back.

    Raises:
        EnvelopeError: knob not allowed, wrong size, not finite, out of bounds or too large a step.
    """
    knob = point.knob
    spec = limits.get(knob)
    if spec is None:
        msg = f"{knob} may not be written; allowed: {', '.join(limits) or 'nothing'}"
        raise EnvelopeError(msg, knob=knob)
    if len(point.value) != spec.size:
        msg = f"{knob} takes {spec.size} components, not {len(point.value)}"
        raise EnvelopeError(msg, knob=knob)
    if not all(map(math.isfinite, point.value)):
        msg = f"{knob} = {point.value} is not finite"
        raise EnvelopeError(msg, knob=knob)
    check_bounds(point, spec.lower, spec.upper, spec.unit, "planned")
    for index, (target, now, limit, grain) in enumerate(
        zip(point.value, standing, spec.max_change, spec.resolution, strict=True)
    ):
        if not may_change(target - now, limit, grain):
            msg = (
                f"{knob}[{index}] would step {target - now:+.6g} {spec.unit} from {now:.6g}, "
                f"more than {limit:.6g} {spec.unit} at once"
            )
            raise EnvelopeError(msg, knob=knob)


def nearest_allowed(value: KnobValue, spec: KnobSpec) -> KnobValue:
    """Return the value within the bounds of a knob that is nearest to a finite one."""
    return tuple(
        min(max(item, low), high)
        for item, low, high in zip(value, spec.lower, spec.upper, strict=True)
    )


def as_allowed(found: KnobValue, spec: KnobSpec) -> KnobValue:
    """Return a read-back; one behind a bound by no more than the resolution is the bound."""
    nearest = nearest_allowed(found, spec)
    return found if differs(found, nearest, spec) else nearest


def differs(one: KnobValue, other: KnobValue, spec: KnobSpec) -> bool:
    """Return whether two readings of a knob differ by more than its resolution; NaN always does."""
    return any(
        not abs(a - b) <= grain + 1e-9 * min(abs(a), abs(b))
        for a, b, grain in zip(one, other, spec.resolution, strict=True)
    )


def read_back(backend: Backend, knob: str, spec: KnobSpec) -> KnobValue:
    """Return where a knob stands.

    Raises:
        BackendError: the instrument failed, or what it says cannot be the reading of this knob.
    """
    found = backend.read(knob)
    if len(found) != spec.size or not all(map(math.isfinite, found)):
        msg = f"{knob} reads {found}, not {spec.size} finite components in {spec.unit}"
        raise BackendError(msg)
    return found


def ramp_steps(start: KnobValue, target: KnobValue, max_change: KnobValue) -> Iterator[KnobValue]:
    """Yield the set points of a straight ramp to the target, ``max_change`` apart at most."""
    distance = [b - a for a, b in zip(start, target, strict=True)]
    share = max(abs(d) / limit for d, limit in zip(distance, max_change, strict=True))
    count = max(1, math.ceil(share * (1 - 1e-12)))
    for index in range(1, count):
        yield tuple(a + d * index / count for a, d in zip(start, distance, strict=True))
    yield target
