"""Checks of what the server returns: a wrong type is an error that names method and value."""

import reprlib
import sys
from typing import Any

from stempilot import BackendError, KnobValue


def doubles(method: str, value: Any, size: int) -> KnobValue:
    """Return a reading of some finite numbers; one number comes by itself, more as an array.

    Raises:
        BackendError: it is anything else.
    """
    items = value if isinstance(value, list) and size > 1 else [value]
    # XML-RPC has no NaN, but a server in Python writes one, and float() reads it.
    if len(items) == size and all(_is_number(item) for item in items):
        return tuple(float(item) for item in items)
    wanted = "a finite number" if size == 1 else f"an array of {size} finite numbers"
    raise wrong(method, value, wanted)


def _is_number(item: Any) -> bool:
    return type(item) in (int, float) and abs(item) <= sys.float_info.max


def integer(method: str, value: Any) -> int:
    """Return a whole number.

    Raises:
        BackendError: it is anything else; a boolean too.
    """
    if type(value) is not int:
        raise wrong(method, value, "a whole number")
    return value


def boolean(method: str, value: Any) -> bool:
    """Return a truth value.

    Raises:
        BackendError: it is anything else; 0 and 1 too.
    """
    if not isinstance(value, bool):
        raise wrong(method, value, "true or false")
    return value


def wrong(method: str, value: Any, wanted: str) -> BackendError:
    """Return the error of a value that is not what was wanted; not raised."""
    shown = reprlib.repr(value)
    return BackendError(f"{method} returned {shown}, not {wanted}; is this a USETEM server?")
