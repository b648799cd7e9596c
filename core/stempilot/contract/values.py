"""The values that tasks, backends and the framework exchange.

All are frozen. Quantities are SI with the unit in the name, images are (row, col) with the
origin at the top left, knobs are (x, y).
"""

import math
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import Attribute, field, frozen, validators

KnobValue = tuple[float, ...]
"""One knob's components, in the unit of its `KnobSpec`."""


def as_knob_value(value: object) -> KnobValue:
    """Return the components as plain floats, whatever sequence or scalar they came in."""
    return tuple(float(item) for item in np.atleast_1d(np.asarray(value, dtype=float)))


def read_only(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return a copy of the mapping that cannot be changed."""
    return MappingProxyType(dict(mapping))


def _same_size(spec: "KnobSpec", attribute: "Attribute[KnobValue]", value: KnobValue) -> None:
    if len(value) != len(spec.lower):
        msg = f"{attribute.name} has {len(value)} components, lower has {len(spec.lower)}"
        raise ValueError(msg)
    if any(math.isnan(item) for item in value):
        msg = f"{attribute.name} = {value} holds NaN"
        raise ValueError(msg)


@frozen(kw_only=True)
class KnobSpec:
    """What may be asked of a knob; also a row of the envelope.

    Attributes:
        unit: SI unit of all components, or ``index``.
        lower: smallest value of each component.
        upper: largest value of each component.
        max_change: largest change of each component in one write.
        resolution: smallest difference of each component that a read-back shows reliably.
    """

    unit: str
    lower: KnobValue = field(converter=as_knob_value, validator=_same_size)
    upper: KnobValue = field(converter=as_knob_value, validator=_same_size)
    max_change: KnobValue = field(converter=as_knob_value, validator=_same_size)
    resolution: KnobValue = field(converter=as_knob_value, validator=_same_size)

    def __attrs_post_init__(self) -> None:
        """Check that the range is not empty and the steps are positive."""
        for index, (low, high) in enumerate(zip(self.lower, self.upper, strict=True)):
            if low > high:
                msg = f"component {index}: lower = {low:g} exceeds upper = {high:g} {self.unit}"
                raise ValueError(msg)
        if min(self.max_change) <= 0:
            msg = f"max_change = {self.max_change} {self.unit} must be above 0"
            raise ValueError(msg)
        if min(self.resolution) < 0:
            msg = f"resolution = {self.resolution} {self.unit} must not be negative"
            raise ValueError(msg)

    @property
    def size(self) -> int:
        """Number of components."""
        return len(self.lower)


@frozen(kw_only=True)
class SourceSpec:
    """What a camera or detector delivers.

    Attributes:
        shape: (rows, cols) of every frame.
        dtype: NumPy name of the pixel type, for example ``uint16``.
        saturation: pixel value from which a pixel counts as clipped; ``None`` if unknown.
    """

    shape: tuple[int, int]
    dtype: str
    saturation: float | None = None


@frozen(kw_only=True)
class StateSpec:
    """A mode that can be read and is never set, for example the screen's position."""

    values: tuple[str, ...]


@frozen(kw_only=True)
class NumberSpec:
    """A number that can be read and is never set, for example the screen current.

    Attributes:
        unit: its SI unit.
    """

    unit: str


@frozen(kw_only=True)
class Offers:
    """All that a backend offers, by name.

    Attributes:
        knobs: what can be written and read.
        sources: cameras and detectors.
        states: modes that can only be read.
        numbers: numbers that can only be read.
        misaligns: `stempilot.Reseedable.reseed` leaves the instrument misaligned by
            itself, so that no scramble is needed for a new start (simulators).
        simulated: nothing real moves, so no envelope file and no confirmation are asked for.
    """

    knobs: Mapping[str, KnobSpec] = field(converter=read_only, factory=dict)
    sources: Mapping[str, SourceSpec] = field(converter=read_only, factory=dict)
    states: Mapping[str, StateSpec] = field(converter=read_only, factory=dict)
    numbers: Mapping[str, NumberSpec] = field(converter=read_only, factory=dict)
    misaligns: bool = False
    simulated: bool = False


@frozen(kw_only=True)
class KnobNeed:
    """A knob that a task writes.

    Attributes:
        unit: the unit that the task plans in.
        size: number of components.
        largest_step: the largest change of each component that one action can ask for.
    """

    unit: str
    size: int
    largest_step: KnobValue = field(converter=as_knob_value)

    def __attrs_post_init__(self) -> None:
        """Check that each component has a step that is none or finite."""
        steps = self.largest_step
        if len(steps) != self.size:
            msg = f"largest_step has {len(steps)} components, size says {self.size}"
            raise ValueError(msg)
        if not all(math.isfinite(step) and step >= 0 for step in steps):
            msg = f"largest_step = {steps} {self.unit} must be finite and not negative"
            raise ValueError(msg)


@frozen(kw_only=True)
class Needs:
    """All that a task requires, by name.

    Attributes:
        knobs: knobs that the task writes.
        sources: cameras it looks at.
        states: modes that must hold, name to the required value.
        reads: further knobs recorded in each snapshot where the backend offers them.
        shapes: (rows, cols) that the frames of a source must have, where it matters.
        numbers: numbers that it reads, name to the unit that it expects.
    """

    knobs: Mapping[str, KnobNeed] = field(converter=read_only, factory=dict)
    sources: tuple[str, ...] = ()
    states: Mapping[str, str] = field(converter=read_only, factory=dict)
    reads: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, int]] = field(converter=read_only, factory=dict)
    numbers: Mapping[str, str] = field(converter=read_only, factory=dict)

    def __attrs_post_init__(self) -> None:
        """Check that no other frames have a shape than those that are looked at."""
        others = sorted(self.shapes.keys() - set(self.sources))
        if others:
            msg = f"shapes names {', '.join(others)}; sources are {', '.join(self.sources)}"
            raise ValueError(msg)


@frozen
class SetPoint:
    """An ABSOLUTE target for one knob, in the unit of its `KnobSpec`."""

    knob: str
    value: KnobValue = field(converter=as_knob_value)


def _locked(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = pixels.view()
    view.flags.writeable = False
    return view


@frozen(kw_only=True, eq=False)
class Frame:
    """One exposure, begun after the last write had settled.

    Attributes:
        pixels: (row, col) image, read-only.
        exposure_s: exposure time.
        taken_at_s: the backend's clock at the end of the exposure.
        pixel_rad: angle of one pixel as calibrated for the present camera length, or ``None``
            where it is not calibrated.
    """

    pixels: npt.NDArray[Any] = field(converter=_locked)
    exposure_s: float = field(validator=validators.ge(0))
    taken_at_s: float
    pixel_rad: float | None = None


@frozen(kw_only=True, eq=False)
class Snapshot:
    """What a task may look at: frames, knob read-backs, states and numbers of one moment.

    It lives for one timestep only; nothing of a task's state may keep its pixels.
    """

    frames: Mapping[str, Frame] = field(converter=read_only)
    knobs: Mapping[str, KnobValue] = field(converter=read_only)
    states: Mapping[str, str] = field(converter=read_only)
    numbers: Mapping[str, float] = field(converter=read_only, factory=dict)
    simulated: bool = True
    """Whether no real instrument is behind it, as `Offers.simulated` has it."""


class Outcome(Enum):
    """How a timestep left the episode."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    BLOCKED = "blocked"
    """The envelope refused the plan and nothing was sent."""
    AMBIGUOUS = "ambiguous"
    """What the task works on cannot be told from something else; a failure."""


@frozen(kw_only=True, eq=False)
class Transitions:
    """Timesteps as a learner meets them, as arrays with n rows.

    Attributes:
        observations: before each action, (n, ...), as the observation space has them.
        actions: (n, ...), as the action space has them.
        rewards: (n,), unscaled.
        next_observations: after each action, (n, ...).
        terminated: (n,) booleans: the task ended the episode.
        truncated: (n,) booleans: the framework did.
    """

    observations: npt.NDArray[Any]
    actions: npt.NDArray[Any]
    rewards: npt.NDArray[Any]
    next_observations: npt.NDArray[Any]
    terminated: npt.NDArray[Any]
    truncated: npt.NDArray[Any]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rewards)
