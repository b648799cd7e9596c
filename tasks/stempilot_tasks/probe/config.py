"""The options of the tasks that look at Ronchigrams."""

import math
from collections.abc import Callable
from typing import Any, Literal

from attrs import Attribute, field, frozen, validators

Side = Literal["under", "over"]


def _above(low: float, *, open_low: bool = True) -> Callable[[Any, "Attribute[Any]", float], None]:
    """Return a validator for finite numbers above ``low``, or from it on."""

    def check(_: Any, attribute: "Attribute[Any]", value: float) -> None:
        if not math.isfinite(value) or value < low or (open_low and value == low):
            least = f"above {low:g}" if open_low else f"at least {low:g}"
            msg = f"{attribute.name} = {value!r} must be a finite number {least}"
            raise ValueError(msg)

    return check


def _length(default: float) -> Any:
    return field(default=default, validator=_above(0.0))


@frozen(kw_only=True)
class RonchigramConfig:
    """What all of them have in common.

    Attributes:
        accelerating_voltage_v: accelerating voltage, which gives the wavelength.
        pixel_mrad: angle of one camera pixel where the frame does not say.
    """

    accelerating_voltage_v: float = _length(300e3)
    pixel_mrad: float | None = field(default=None, validator=validators.optional(_above(0.0)))


@frozen(kw_only=True)
class StigmatorConfig(RonchigramConfig):
    """Options of ``stigmator``.

    Attributes:
        accelerating_voltage_v: accelerating voltage, which gives the wavelength.
        pixel_mrad: angle of one camera pixel where the frame does not say.
        tolerance_m: largest length of A1 that counts as corrected.
        stigmator_step: change of a stigmator component that a full action asks for.
        full_action_m: change of A1 that it is nominally expected to cause.
    """

    tolerance_m: float = _length(2e-9)
    stigmator_step: float = _length(0.1)
    full_action_m: float = _length(100e-9)


@frozen(kw_only=True)
class StigmateAndFocusConfig(StigmatorConfig):
    """Options of ``stigmate-and-focus``.

    Attributes:
        accelerating_voltage_v: accelerating voltage, which gives the wavelength.
        pixel_mrad: angle of one camera pixel where the frame does not say.
        tolerance_m: largest length of the error in C1, A1x and A1y that counts as corrected.
        stigmator_step: change of a stigmator component that a full action asks for.
        full_action_m: change of A1 that it is nominally expected to cause.
        wanted_m: defocus away from focus that is wanted.
        side: where the instrument stands and is to stay: ``under`` or ``over`` focus.
        defocus_step_m: change of the defocus that a full action asks for.
    """

    tolerance_m: float = _length(5e-9)
    wanted_m: float = field(default=150e-9, validator=_above(60e-9))
    side: Side = field(default="under", validator=validators.in_(("under", "over")))
    defocus_step_m: float = _length(100e-9)


@frozen(kw_only=True)
class StemFocusConfig(RonchigramConfig):
    """Options of ``stem-focus``.

    Attributes:
        accelerating_voltage_v: accelerating voltage, which gives the wavelength.
        pixel_mrad: angle of one camera pixel where the frame does not say.
        tolerance_m: largest distance from the wanted defocus that counts as focused.
        wanted_m: the defocus that is wanted; negative is underfocus.
        defocus_step_m: change of the defocus that a full action asks for.
    """

    tolerance_m: float = _length(5e-9)
    wanted_m: float = field(default=0.0, validator=[_above(-4e-7), validators.le(4e-7)])
    defocus_step_m: float = field(default=500e-9, validator=_above(200e-9, open_low=False))


@frozen(kw_only=True)
class ReadAberrationsConfig(RonchigramConfig):
    """Options of ``read-aberrations``.

    Attributes:
        accelerating_voltage_v: accelerating voltage, which gives the wavelength.
        pixel_mrad: angle of one camera pixel where the frame does not say.
        side: ``under`` or ``over`` where it is known, and nothing is moved; ``find`` finds it by
            a move of the focus and back.
    """

    side: Literal["under", "over", "find"] = field(
        default="find", validator=validators.in_(("under", "over", "find"))
    )
