"""What one row says of a parameter of the column; `parameters` is the table of them."""

from collections.abc import Callable, Mapping
from operator import index
from types import MappingProxyType
from typing import Any, Final, Literal

from attrs import Attribute, field, frozen
from attrs.validators import instance_of

from stempilot_backends.column.matrix import Matrix, Numbers

Span = float | tuple[float, float]
"""A number, or the range that each new instrument draws it from."""

Draws = Literal["move", "exposure"]
"""What makes the disk miss by a random amount."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@frozen(kw_only=True)
class Row:
    """What there is to know of a parameter beside name (with unit), type, default and meaning.

    Attributes:
        lower: smallest value.
        upper: largest value.
        below: whether it stays below ``upper``.
        option: whether it is an option of the simulator.
        share: which of an instrument's uniform numbers it is drawn from, where the option is a
            range. A new row takes the next number: then a seed stays the same instrument. Without
            one, all instruments of the same options have the parameter in common.
        logarithmic: whether it is drawn log-uniformly.
        presets: its value or range in the conditions that set it, by their names.
        changes: whether it may change in the middle of a run.
        told: whether the truth tells it.
        pixels_only: whether it shows in pixels alone, so that it is not modelled without frames.
        specimen: whether it is of what a frame shows beside the disk. Where the option is a range
            it is drawn for each instrument from numbers of its own, in the order of the rows.
        probe: whether it is of the probe, which a film shows; drawn in the same way.
        response: its part in the response, from one value or n; applied after the rows above.
        spread: what leaves an error with this RMS per axis: a ``move``, as a share of its larger
            component, or an ``exposure``, in pixels.
    """

    lower: float
    upper: float
    below: bool = False
    option: bool = True
    share: int | None = None
    logarithmic: bool = False
    presets: Mapping[str, Any] = NOTHING
    changes: bool = False
    told: bool = False
    pixels_only: bool = False
    specimen: bool = False
    probe: bool = False
    response: Callable[[Numbers], Matrix] | None = None
    spread: Draws | None = None

    @property
    def ranges(self) -> bool:
        """Whether the option may be a range that each instrument draws from."""
        return self.specimen or self.probe or self.share is not None


def ends(span: Span) -> tuple[float, float]:
    """Return the ends of a span; a single number is both."""
    return span if isinstance(span, tuple) else (span, span)


def check(_: object, attribute: "Attribute[Any]", value: Any) -> None:
    """Check a value or a range against the row; no value, and ``either``, always fit.

    Raises:
        ValueError: it does not lie in the row's range.
    """
    if value is None or isinstance(value, str):
        return
    of: Row = attribute.metadata["row"]
    low, high = ends(value)
    if not of.lower <= low <= high <= of.upper or (of.below and high == of.upper):
        msg = (
            f"{attribute.name} = {value!r} must lie in [{of.lower:.7g}, {of.upper:.7g}"
            + (")" if of.below else "]")
            + (", the smaller end of a range first" if isinstance(value, tuple) else "")
        )
        raise ValueError(msg)


def row(default: float, lower: float, upper: float, does: str, **more: Any) -> Any:
    """Return a field whose metadata are the row and what the parameter does."""
    kind: Any = type(default)
    plain: Any = {float: float, int: index, bool: None}[kind]
    checked: Any = instance_of(bool) if kind is bool else check
    about = {"row": Row(lower=lower, upper=upper, **more), "does": does}
    return field(default=default, converter=plain, validator=checked, metadata=about)
