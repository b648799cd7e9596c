"""What a task aims at, which quantities it tells people, and what it hands on.

The paper names three kinds of sub-task: centre a feature, maximise a value, read a pattern.
`Centre` and `Raise` are the first two; a task that only reads (`stempilot.Reading`) has no goal.
"""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from attrs import field, frozen, validators

from stempilot.contract.values import KnobValue, as_knob_value


def _pair(edges: Sequence[object]) -> tuple[KnobValue, KnobValue]:
    lower, upper = edges
    return as_knob_value(lower), as_knob_value(upper)


@frozen(kw_only=True)
class Centre:
    """A part of the observation, the residual, is to be driven to zero.

    All numbers are in the unit of those observation entries, so that an agent needs no knowledge of
    the task.

    Attributes:
        residual: indices of the observation entries that form the residual.
        unit: what those entries are measured in, to show to people.
        tolerance: the goal is reached when the residual's length is at most this, and the task
            has no move of its own left by which it makes sure.
        edges: residuals (lower, upper) at which the feature is lost, with one number per entry.
        resolution: rounding of the residual; 0 where it is not rounded.
        full_action: displacement that an action of length 1 along one axis is nominally expected
            to cause; ``None`` when it is not known.
    """

    kind: ClassVar[str] = "centre"

    residual: tuple[int, ...]
    unit: str
    tolerance: float
    edges: tuple[KnobValue, KnobValue] = field(converter=_pair)
    resolution: float = 0.0
    full_action: float | None = None


@frozen(kw_only=True)
class Raise:
    """One entry of the observation is to become as large as it gets.

    Attributes:
        entry: index of that observation entry.
        noise: standard deviation of the entry from frame to frame; a run has succeeded only when
            the entry at its best place, measured again, exceeds the start by twice this.
        full_action: change of the entry that a full action is nominally expected to cause; ``None``
            when it is not known.
    """

    kind: ClassVar[str] = "raise"

    entry: int = field(validator=validators.ge(0))
    noise: float = field(validator=validators.ge(0))
    full_action: float | None = None


Goal = Centre | Raise
"""What the agent is asked for."""

Better = Literal["lower", "higher", "neither"]


@frozen(kw_only=True)
class Quantity:
    """A number of `stempilot.Task.summary` that people want to see tabulated and drawn.

    Attributes:
        name: its key in the summary.
        unit: its unit; empty for none.
        better: whether lower or higher values are better, or neither.
        symbol: how a plot calls it.
        error: the key of `stempilot.Scored.true_error` that is the truth of it; evaluations then
            give ``<error>_rms`` and ``measured_<error>_rms``. Empty where there is none.
    """

    name: str
    unit: str = ""
    better: Better = field(
        default="neither", validator=validators.in_(("lower", "higher", "neither"))
    )
    symbol: str = ""
    error: str = ""

    @property
    def label(self) -> str:
        """Symbol (or name) and unit, as on an axis."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.symbol or self.name}{unit}"


@frozen(kw_only=True)
class Product:
    """A number that a finished episode hands on.

    Attributes:
        value: the number.
        unit: its unit; empty for none.
        uncertainty: standard uncertainty, in the same unit.
    """

    value: float
    unit: str
    uncertainty: float


def rounded(value: object, uncertainty: object) -> tuple[str, str]:
    """Return a value and its standard uncertainty as text, to two digits of the latter.

    Without an uncertainty above 0 the value has four digits; what is no finite number is a dash.
    """
    if not (isinstance(value, int | float) and isinstance(uncertainty, int | float)):
        return _brief(value), _brief(uncertainty)
    if not (math.isfinite(value) and 0 < uncertainty < math.inf):
        return _brief(value), _brief(uncertainty)
    digits = 1 - math.floor(math.log10(uncertainty))
    largest = max(abs(value), uncertainty)
    if 1e-4 <= largest < 1e9 and digits < 9:  # noqa: PLR2004 - what is read without a power of ten
        form = f",.{max(digits, 0)}f"
        return format(round(value, digits), form), format(round(uncertainty, digits), form)
    power = math.floor(math.log10(largest))
    unit, form = 10.0**power, f".{max(digits + power, 0)}f"
    return f"{value / unit:{form}}e{power:+03d}", f"{uncertainty / unit:{form}}e{power:+03d}"


def _brief(number: object) -> str:
    finite = isinstance(number, int | float) and math.isfinite(number)
    return f"{number:.4g}" if finite else "-"
