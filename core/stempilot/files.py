"""JSON and bytes on disk, whole or not at all."""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stempilot.errors import RecordError, RunDirError

SCHEMA = 1


Json = dict[str, Any]


_DEEPEST = 50
"""How deep the JSON of a run may be nested."""


_NO_NAMES_TO_SYNCHRONISE = (errno.EINVAL, errno.ENOTSUP)
"""Errors of file systems that cannot synchronise a folder, such as some network shares."""


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Turn errors of the file system into a `RecordError` with the next step.

    Raises:
        RecordError: the disk is full, read-only or gone.
    """
    try:
        yield
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        msg = f"cannot write{where}: {error.strerror}; free some space or choose another --out"
        raise RecordError(msg) from error


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file so that it exists either complete or not at all, and survives a power cut.

    Raises:
        RecordError: the file system refused.
    """
    beside = path.with_name(f".{path.name}.new")
    with recording():
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        synchronise_names(path.parent)


def synchronise_names(folder: Path) -> None:
    """Return when the names in a folder are on the disk.

    Windows has no such call, and its file system keeps a audit of names.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_NAMES_TO_SYNCHRONISE:
            raise
    finally:
        os.close(descriptor)


def synchronise_tree(folder: Path) -> None:
    """Return when a folder and all that it holds are on the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            synchronise_names(path)
        else:
            # Windows synchronises only what may be written.
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    synchronise_names(folder)
    synchronise_names(folder.parent)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file with its schema number; see `write_file`."""
    text = json.dumps({"schema": SCHEMA, **content}, indent=1, allow_nan=False)
    write_file(path, text.encode())


def parse_json(text: str | bytes) -> Any:
    """Return the content of strict JSON.

    Raises:
        ValueError: it is not JSON, holds NaN or infinity, or is nested too deeply.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        content = None
        deep = True
    else:
        deep = _is_deeper(content, _DEEPEST)
    if deep:
        msg = f"nested more than {_DEEPEST} deep"
        raise ValueError(msg)
    return content


def _refuse_constant(name: str) -> None:
    msg = f"{name} is not a number"
    raise ValueError(msg)


def _is_deeper(content: Any, levels: int) -> bool:
    items = content.values() if isinstance(content, dict) else content
    if not isinstance(content, dict | list):
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in items)


def read_json(path: Path) -> Json:
    """Return the content of a JSON file of this schema.

    Raises:
        RunDirError: missing, damaged, or of another schema.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}; is this a run directory?"
        raise RunDirError(msg) from error
    except ValueError as error:
        msg = f"{path} is damaged: {error}"
        raise RunDirError(msg) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else content
        msg = f"{path} has schema {found!r}; this stempilot reads schema {SCHEMA}"
        raise RunDirError(msg)
    return content


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        RunDirError: it is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        msg = f"cannot read {path}: {error}"
        raise RunDirError(msg) from error
