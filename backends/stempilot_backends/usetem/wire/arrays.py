"""Reads the pickled list of arrays that ``acquireImages`` returns, without unpickling anything.

A pickle is a program. This is an interpreter of the few instructions that a list of NumPy arrays
of numbers is written with; anything else is refused. It calls nothing that a pickle names, and it
hands a buffer to NumPy only when type, shape and size agree.
"""

import math
import pickletools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import define, field

from stempilot import FrameError

Array = npt.NDArray[Any]

_MAX_OPCODES = 4000
"""A list of ten arrays takes about 300."""
_MAX_SIDES = 4
_NUMBERS = frozenset(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)) | {"f4", "f8"}
_ORDERS = {"<": "<", ">": ">", "|": "=", "=": "="}
_RECONSTRUCT = frozenset(f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core"))
_FROMBUFFER = frozenset(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core"))
_NDARRAY, _DTYPE = "numpy.ndarray", "numpy.dtype"
_GLOBALS = _RECONSTRUCT | _FROMBUFFER | {_NDARRAY, _DTYPE}

_IGNORED = frozenset({"PROTO", "FRAME"})
_ARGUMENTS = frozenset(
    f"{name}{size}"
    for name, sizes in {
        "BININT": ("", "1", "2"),
        "LONG": ("1",),
        "BINUNICODE": ("", "8"),
        "SHORT_BINUNICODE": ("",),
        "SHORT_BINBYTES": ("",),
        "BINBYTES": ("", "8"),
        "BYTEARRAY": ("8",),
    }.items()
    for size in sizes
)
_PUT, _GET = frozenset({"BINPUT", "LONG_BINPUT"}), frozenset({"BINGET", "LONG_BINGET"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


@define
class _Global:
    name: str


@define
class _Type:
    code: str
    order: str = "="


@define
class _Pending:
    """An array between its making and its state."""

    found: Array | None = None


@define
class _Mark:
    """Where a tuple or a list of items to append begins on the stack."""


@define
class _Machine:
    stack: list[Any] = field(factory=list)
    memo: dict[int, Any] = field(factory=dict)

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        items: list[Any] = []
        while not isinstance(item := self.stack.pop(), _Mark):
            items.append(item)
        return items[::-1]


def read_arrays(pickled: bytes, *, what: str = "the camera's reply") -> list[Array]:
    """Return the arrays of a pickled list, in its order and with its axes.

    Arrays may be of integers or of 4 or 8 byte floats, in either byte order, C or Fortran order.
    They share memory with a copy of their part of the pickle.

    Args:
        pickled: a pickle of protocol 3 to 5.
        what: what it is, for messages.

    Raises:
        FrameError: it is anything but a list of such arrays.
    """
    try:
        found = _run(pickled)
    except _RefusedError as error:
        msg = f"{what} is refused: {error}"
        raise FrameError(msg) from error
    # What pickletools and the machine raise on damaged input.
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        msg = f"{what} is no list of arrays: {type(error).__name__}: {str(error)[:100]}"
        raise FrameError(msg) from error
    return found


class _RefusedError(Exception):
    """The pickle asks for something that a list of arrays of numbers does not need."""


def _run(pickled: bytes) -> list[Array]:
    machine = _Machine()
    for count, (name, argument, place) in enumerate(_instructions(pickled)):
        if count >= _MAX_OPCODES:
            msg = f"it has more than {_MAX_OPCODES} instructions"
            raise _RefusedError(msg)
        if name == "STOP":
            if place + 1 != len(pickled) or len(machine.stack) != 1:
                msg = "it does not end where it should"
                raise _RefusedError(msg)
            return _finished(machine.pop())
        _step(machine, name, argument)
    msg = "it does not end"
    raise _RefusedError(msg)


def _instructions(pickled: bytes) -> Iterator[tuple[str, Any, int]]:
    for opcode, argument, place in pickletools.genops(pickled):
        yield opcode.name, argument, -1 if place is None else place


def _finished(value: Any) -> list[Array]:
    if not isinstance(value, list):
        msg = f"it holds a {type(value).__name__}, not a list"
        raise _RefusedError(msg)
    found = []
    for item in value:
        if not isinstance(item, _Pending) or item.found is None:
            msg = f"its list holds a {type(item).__name__}, not only arrays"
            raise _RefusedError(msg)
        found.append(item.found)
    return found


def _step(machine: _Machine, name: str, argument: Any) -> None:
    if name in _ARGUMENTS:
        machine.stack.append(argument)
    elif name in _CONSTANTS:
        machine.stack.append(_CONSTANTS[name])
    elif name in _TUPLES:
        items = [machine.pop() for _ in range(_TUPLES[name])]
        machine.stack.append(tuple(reversed(items)))
    elif name == "MEMOIZE":
        machine.memo[len(machine.memo)] = machine.stack[-1]
    elif name in _PUT:
        machine.memo[argument] = machine.stack[-1]
    elif name in _GET:
        machine.stack.append(machine.memo[argument])
    elif name in _ACTIONS:
        _ACTIONS[name](machine, argument)
    elif name not in _IGNORED:
        msg = f"it uses the instruction {name}, which no list of arrays needs"
        raise _RefusedError(msg)


def _append(machine: _Machine, _: Any) -> None:
    item = machine.pop()
    _list_on_top(machine).append(item)


def _appends(machine: _Machine, _: Any) -> None:
    items = machine.pop_to_mark()
    _list_on_top(machine).extend(items)


def _list_on_top(machine: _Machine) -> list[Any]:
    top = machine.stack[-1]
    if not isinstance(top, list):
        msg = f"it appends to a {type(top).__name__}"
        raise _RefusedError(msg)
    return top


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        msg = "it names something by other than text"
        raise _RefusedError(msg)
    _push_global(machine, f"{module} {name}")


def _push_global(machine: _Machine, named: str) -> None:
    """Push a permitted global; ``named`` is its module and its name with a space between."""
    name = named.replace(" ", ".", 1)
    if name not in _GLOBALS:
        msg = f"it names {name[:100]!r}, which no list of arrays needs; it might run code"
        raise _RefusedError(msg)
    machine.stack.append(_Global(name))


def _reduce(machine: _Machine, _: Any) -> None:
    arguments, function = machine.pop(), machine.pop()
    name = function.name if isinstance(function, _Global) else ""
    if not isinstance(arguments, tuple):
        msg = "it calls something without a tuple of arguments"
        raise _RefusedError(msg)
    if name == _DTYPE:
        machine.stack.append(_type_of(arguments))
    elif name in _RECONSTRUCT:
        machine.stack.append(_Pending())
    elif name in _FROMBUFFER:
        data, kind, shape, order, *rest = arguments
        if order not in ("C", "F") or any(item is not None for item in rest):
            msg = "it has an array that is neither in C nor in Fortran order"
            raise _RefusedError(msg)
        machine.stack.append(_Pending(_array(shape, kind, order == "F", data)))
    else:
        msg = f"it calls {name or type(function).__name__!r}"
        raise _RefusedError(msg)


def _type_of(arguments: tuple[Any, ...]) -> _Type:
    code = arguments[0] if arguments else None
    if not isinstance(code, str) or code not in _NUMBERS:
        named = repr(code[:40]) if isinstance(code, str) else type(code).__name__
        msg = f"it has an array of type {named}, not of plain numbers"
        raise _RefusedError(msg)
    return _Type(code)


def _build(machine: _Machine, _: Any) -> None:
    state, target = machine.pop(), machine.stack[-1]
    if isinstance(target, _Type):
        _, order, subarray, names, fields, *_rest = state
        if order not in _ORDERS or (subarray, names, fields) != (None, None, None):
            msg = "it has an array of records, not of plain numbers"
            raise _RefusedError(msg)
        target.order = order
    elif isinstance(target, _Pending) and target.found is None:
        _, shape, kind, fortran, data = state
        target.found = _array(shape, kind, fortran, data)
    else:
        msg = f"it sets the state of a {type(target).__name__}"
        raise _RefusedError(msg)


def _array(shape: Any, kind: Any, fortran: Any, data: Any) -> Array:
    sides = isinstance(shape, tuple) and all(type(side) is int and side >= 0 for side in shape)
    if not sides or not 1 <= len(shape) <= _MAX_SIDES:
        msg = f"it has an array whose shape is not 1 to {_MAX_SIDES} whole numbers"
        raise _RefusedError(msg)
    if not isinstance(kind, _Type) or not isinstance(data, bytes | bytearray):
        msg = "it has an array that is not of plain numbers"
        raise _RefusedError(msg)
    dtype = np.dtype(_ORDERS[kind.order] + kind.code)
    if math.prod(shape) * dtype.itemsize != len(data):
        msg = f"it has an array of shape {shape} and type {dtype} in {len(data)} bytes"
        raise _RefusedError(msg)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda machine, _: machine.stack.append(_Mark()),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "LIST": lambda machine, _: machine.stack.append(machine.pop_to_mark()),
    "APPEND": _append,
    "APPENDS": _appends,
    "STACK_GLOBAL": _stack_global,
    "GLOBAL": _push_global,
    "REDUCE": _reduce,
    "BUILD": _build,
}
