"""Options of the simulator and the conditions that instruments are judged on.

The rows of `stempilot_backends.column.parameters` say which parameters of the column are options,
what they are in each condition, and which may change in the middle of a run.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

from attrs import Attribute, field, fields, fields_dict, frozen, make_class, validators

from stempilot_backends.column.parameters import ROWS, ColumnParameters
from stempilot_backends.column.rows import Span, check, ends

CONDITIONS: Final = (
    "random", "lagged", "backlash", "distorted", "drifting", "low-dose", "everything",
    "halo", "polycrystal", "crystal", "zone-axis", "structured", "defects", "beam-stop", "film",
)  # fmt: skip
"""Presets beside the published instrument; all lie on top of the first."""

_LARGEST_START_M: Final = 1e-3
COLUMN_OPTIONS: Final = tuple(name for name, row in ROWS.items() if row.option)
_CHANGING: Final = tuple(name for name, row in ROWS.items() if row.changes)

_START_RANGES: Final = MappingProxyType({"film": 0.01})
"""Where the disk stands at a start, in conditions that have it elsewhere than within 0.85."""

_Fields = list["Attribute[Any]"]


def _rows(names: Sequence[str], *, changed: bool = False) -> Callable[[type, _Fields], _Fields]:
    """Return what gives a class the column's parameters, as options or as what they change to."""

    def made(name: str) -> Any:
        of: Any = fields_dict(ColumnParameters)[name]
        kind, default = (of.type | None, None) if changed else (of.type, of.default)
        if not changed and ROWS[name].ranges:
            kind = bool | Literal["either"] if kind is bool else Span
        return field(default=default, validator=check, metadata=of.metadata, type=kind)

    def transform(_: type, own: _Fields) -> _Fields:
        rows = make_class("Rows", {name: made(name) for name in names}, kw_only=True)
        return [*own, *fields(rows)]

    return transform


def _preset(condition: str) -> Mapping[str, Any]:
    usual, own = (
        {name: row.presets[one] for name, row in ROWS.items() if one in row.presets}
        for one in (CONDITIONS[0], condition)
    )
    return {**usual, "start_range": _START_RANGES.get(condition, 0.85), **own}


def _within(lower: float, upper: float) -> Any:
    return validators.and_(validators.ge(lower), validators.le(upper))


def _size(_: object, attribute: "Attribute[Any]", value: Span) -> None:
    low, high = ends(value)
    if not 0.0 <= low <= high <= _LARGEST_START_M:
        msg = f"{attribute.name} = {value} must lie in [0, {_LARGEST_START_M:g}] m, smaller first"
        raise ValueError(msg)


@frozen(kw_only=True, field_transformer=_rows(_CHANGING, changed=True))
class Change:
    """A change of the instrument in the middle of a run; exactly one value in addition to the time.

    The values are those parameters of the column whose rows say so.

    Attributes:
        at_timestep: timesteps of the run after which it happens.
    """

    at_timestep: int = field(validator=validators.ge(0))

    def __attrs_post_init__(self) -> None:
        """Check that there is one change."""
        if len(self.values()) != 1:
            *most, last = _CHANGING
            msg = (
                f"a change at timestep {self.at_timestep} must set exactly one of "
                f"{', '.join(most)} and {last}"
            )
            raise ValueError(msg)

    def values(self) -> dict[str, Any]:
        """Return what changes, by the column's parameter."""
        values = {name: getattr(self, name) for name in _CHANGING}
        return {name: value for name, value in values.items() if value is not None}


@frozen(kw_only=True, field_transformer=_rows(COLUMN_OPTIONS))
class SimulatorConfig:
    """Options of the simulated instrument; the defaults are the published one.

    Those of the column come from its rows. One that takes a range, ``[low, high]``, is drawn from
    it for each new instrument: scale, axis ratio and probe current log-uniformly, all others
    uniformly.

    Attributes:
        preset: ``paper`` (the published simulator), ``random`` (an instrument drawn at random) or
            one of the conditions on top of it: ``lagged``, ``backlash``, ``distorted``,
            ``drifting``, ``low-dose``, ``everything``; with a specimen ``halo``, ``polycrystal``,
            ``crystal``, ``zone-axis``, ``structured``; with a flawed camera ``defects``; with a
            ``beam-stop``; with a ``film``, which shows as a Ronchigram.
        redraw: draw a new instrument for each ``episode`` or once for the ``run``; by default
            evaluation draws by episode, training and policies that were trained here by run.
        changes: what changes in the middle of a run.
        start_range: where the disk stands at a start, uniform within this share of the half field
            on each axis.
        start_defocus_m: size of the defocus at a start.
        start_side: whether that is ``under`` or ``over`` focus.
        start_astigmatism_m: size of the twofold astigmatism at a start, in any direction.
        exposure_s: exposure of a frame.
        screen: position of the screen.
        beam_blanker: whether the beam is blanked.
        shift_limit_rad: the diffraction shift goes this far either way on each axis.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"paper": {}, **{condition: _preset(condition) for condition in CONDITIONS}}
    )

    preset: str = "paper"
    redraw: Literal["episode", "run"] | None = None
    changes: tuple[Change, ...] = ()
    start_range: float = field(default=1.0, validator=_within(0, 1))
    start_defocus_m: Span = field(default=(180e-9, 220e-9), validator=_size)
    start_side: Literal["under", "over", "either"] = "either"
    start_astigmatism_m: Span = field(default=(0.0, 100e-9), validator=_size)
    exposure_s: float = field(default=0.170, validator=_within(1e-6, 3600.0))
    screen: Literal["down", "up"] = "down"
    beam_blanker: Literal["open", "blanked"] = "open"
    shift_limit_rad: float = field(default=4.0, validator=_within(1e-6, 1000.0))
