"""Files of a saved learner: JSON for text and options, safetensors for numbers. No pickle.

Loading runs nothing that the files hold, so that the agent of another person is safe to load.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from stempilot import ConfigError, RunDirError, build, parse_json, plain, read_file

Arrays = Mapping[str, npt.NDArray[Any]]
T = TypeVar("T")

_MOST_HEADER = 2**20
"""Bytes that a safetensors file may have beside its numbers."""


def write_document(file: Path, document: Any) -> None:
    """Write a frozen attrs object of plain values as JSON."""
    text = json.dumps(plain(document), indent=1, allow_nan=False)
    file.write_bytes((text + "\n").encode())


def read_document(file: Path, kind: type[T], *, schema: int) -> T:
    """Return the attrs object that `write_document` wrote.

    Raises:
        RunDirError: the file is missing, not JSON, of another schema, or a field of it is wrong.
    """
    try:
        values = parse_json(read_file(file))
    except ValueError as error:
        msg = f"{file} is not JSON: {error}"
        raise RunDirError(msg) from error
    if not isinstance(values, dict):
        msg = f"{file} must hold an object, not {type(values).__name__}"
        raise RunDirError(msg)
    if values.get("schema") != schema:
        msg = f"{file}: schema = {values.get('schema')!r}; this stempilot reads schema {schema}"
        raise RunDirError(msg)
    try:
        return build(kind, values, section=file.name)
    except ConfigError as error:
        raise RunDirError(f"{file} is damaged: {error}") from error


def write_arrays(file: Path, arrays: Arrays) -> None:
    """Write named arrays as safetensors."""
    file.write_bytes(save({name: np.asarray(a, order="C") for name, a in arrays.items()}))


def read_arrays(file: Path, expected: Arrays) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a safetensors file, checked against what is expected.

    Args:
        file: what `write_arrays` wrote.
        expected: an array of the right shape and dtype under each name; values do not matter.

    Raises:
        RunDirError: the file is missing or damaged, a name is missing or too many, or an array
            has another shape or dtype or holds numbers that are not finite.
    """
    most = _MOST_HEADER + sum(array.nbytes for array in expected.values())
    try:
        arrays = load(read_file(file, most=most))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        msg = f"{file} is not a valid safetensors file: {error}"
        raise RunDirError(msg) from error
    problems = [f"{name} is missing" for name in expected.keys() - arrays.keys()]
    problems += [f"{name} does not belong there" for name in arrays.keys() - expected.keys()]
    for name in sorted(expected.keys() & arrays.keys()):
        problems += _differences(name, arrays[name], expected[name])
    if problems:
        msg = f"{file} is damaged or belongs to another agent: {'; '.join(sorted(problems))}"
        raise RunDirError(msg)
    return arrays


def _differences(name: str, found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> list[str]:
    if found.dtype != wanted.dtype:
        return [f"{name} is {found.dtype}, not {wanted.dtype}"]
    if found.shape != wanted.shape:
        return [f"{name} has shape {found.shape}, not {wanted.shape}"]
    if np.issubdtype(found.dtype, np.floating) and not np.isfinite(found).all():
        return [f"{name} holds numbers that are not finite"]
    return []
