"""Values as bytes: to tell whether two are equal to the last bit, and how much they hold."""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import attrs
import numpy as np

from stempilot.contract.values import Frame, Snapshot


def fingerprint(*values: object) -> str:
    """Return a digest that differs when any number, text or type in the values differs.

    NaN equals NaN, and 0.0 differs from -0.0. Looks into attrs classes, dataclasses and other
    objects, mappings, sequences, sets and arrays.
    """
    digest = hashlib.sha256()
    for chunk in _chunks(values):
        digest.update(struct.pack("<q", len(chunk)))
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(value: object) -> Iterator[bytes]:
    if not isinstance(value, tuple | list | Mapping):
        yield f"{type(value).__module__}.{type(value).__qualname__}".encode()
    if value is None or isinstance(value, bool | int | str | Enum):
        yield repr(value).encode()
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, float):
        yield struct.pack("<d", value)
    elif isinstance(value, np.ndarray | np.generic):
        yield f"{value.dtype.str}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    else:
        yield from _parts(value)


def _parts(value: object) -> Iterator[bytes]:
    if isinstance(value, Mapping):
        yield b"mapping"
        for key, item in sorted(value.items(), key=lambda pair: repr(pair[0])):
            yield from _chunks(key)
            yield from _chunks(item)
    elif isinstance(value, set | frozenset):
        yield from sorted(fingerprint(item).encode() for item in value)
    elif isinstance(value, tuple | list):
        yield f"{type(value).__qualname__} {len(value)}".encode()
        for item in value:
            yield from _chunks(item)
    else:
        yield from _chunks(attributes(value))


def attributes(value: object) -> dict[str, Any]:
    """Return the attributes of an object by name, with slots or without."""
    own: type[Any] = type(value)
    if attrs.has(own):
        return {name: getattr(value, name) for name in attrs.fields_dict(own)}
    named = dict(getattr(value, "__dict__", {}))
    for kind in own.__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, slot) and slot not in {"__weakref__", "__dict__"}:
                named[slot] = getattr(value, slot)
    return named


def entries(value: object, path: str = "") -> Iterator[tuple[str, int]]:
    """Yield each leaf of a value as its path and how many numbers it keeps alive.

    A view counts as the array that it looks into. Frames and snapshots count as their pixels.
    """
    if isinstance(value, np.ndarray):
        yield path, _kept_alive(value)
    elif isinstance(value, Frame):
        yield path, _kept_alive(value.pixels)
    elif isinstance(value, Snapshot):
        for name, frame in value.frames.items():
            yield from entries(frame, f"{path}.frames[{name!r}]")
    elif value is None or isinstance(value, bool | int | float | str | Enum | np.generic):
        yield path, 1
    elif isinstance(value, bytes | bytearray | memoryview):
        yield path, len(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from entries(item, f"{path}[{key!r}]")
    elif isinstance(value, tuple | list | set | frozenset):
        for index, item in enumerate(value):
            yield from entries(item, f"{path}[{index}]")
    else:
        for name, item in attributes(value).items():
            yield from entries(item, f"{path}.{name}")


def _kept_alive(array: np.ndarray[Any, Any]) -> int:
    size = array.size
    base = array.base
    while isinstance(base, np.ndarray):
        size = max(size, base.size)
        base = base.base
    return size
