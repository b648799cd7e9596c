"""JSON, lines, arrays and bytes on disk: written whole or not at all, read without trust.

Run directories come from strangers too. What is read or added to is a regular file inside its
folder, behind no link, and no larger than its kind may be; all else is refused by name.
"""

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from stempilot.errors import RecordError, RunDirError

SCHEMA = 1


Json = dict[str, Any]


_DEEPEST, _MOST_BRACKETS = 50, 100_000
"""How deep the JSON of a run may be nested, and how many lists and objects it may hold."""

MIB = 2**20
MOST_JSON, MOST_LINE, MOST_LINES = 8 * MIB, 4 * MIB, 8192 * MIB
MOST_ARRAY, MOST_AGENT_FILE = 256 * MIB, 2048 * MIB
"""How many bytes a file of each kind may have: JSON, a line, all lines, an array, an agent's."""

_WINDOWS = os.name == "nt"
_PAUSES_S = (0.01, 0.03, 0.1, 0.3, 1.0)
"""How long is waited for a program that looks into a file which is to be replaced."""

_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_OTHER_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_NPY = re.compile(
    rb"\{'descr': '([<>|][biuf]\d{1,2})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,12}, ?)*(?:\d{1,12})?)\), \} *\n"
)
"""The header of an NPY file of numbers, as NumPy writes it; evaluated by nothing."""

_LONGEST_HEADER = 10_000


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
            # What lies there is a leftover, or a link: opening that would write somewhere else.
            beside.unlink(missing_ok=True)
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _rename(beside, path)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        synchronise_names(path.parent)


def _rename(beside: Path, path: Path) -> None:
    """Give a file its name, whoever looks into the one that has it.

    Windows refuses while another program has that one open, such as a reader or a virus scanner.
    """
    for pause_s in _PAUSES_S if _WINDOWS else ():
        try:
            beside.replace(path)
        except PermissionError:
            time.sleep(pause_s)
        else:
            return
    beside.replace(path)


def own_folder(path: Path) -> Path:
    """Return a folder in a run directory, made where it is missing.

    Raises:
        RunDirError: it is a link.
        RecordError: it cannot be made.
    """
    with recording():
        path.mkdir(exist_ok=True)
    require_no_link(path, path.parent)
    return path


def remove_folder(path: Path) -> None:
    """Remove a folder as far as possible, or what lies in its place; a link leads nowhere."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    # Not with `rmtree`, which opens what it removes, and so waits for a pipe.
    with contextlib.suppress(OSError):
        path.unlink()


def own_files(folder: Path) -> list[Path]:
    """Return all files in a folder of a run directory and below.

    Raises:
        RunDirError: the folder is a link, or something in it is neither file nor folder.
    """
    require_no_link(folder, folder.parent)
    found = sorted(path for path in folder.rglob("*") if not stat.S_ISDIR(path.lstat().st_mode))
    for path in found:
        _require_own(path, folder, path.lstat())
    return found


def open_own(
    path: Path,
    mode: Literal["rb", "ab+"] = "rb",
    *,
    inside: Path | None = None,
    most: int = MOST_LINES,
) -> io.BufferedReader | io.BufferedRandom:
    """Open a regular file of a run for reading, or for adding to it.

    Args:
        path: the file.
        mode: as `open` has it.
        inside: the folder that it must lie in; its own folder when ``None``.
        most: how many bytes it may have.

    Raises:
        RunDirError: it is a link or behind one, no regular file, too large, or, where it is added
            to, known by another name too.
        OSError: it is missing, or cannot be opened.
    """
    folder = path.parent if inside is None else inside
    if os.path.lexists(path):
        # Before it is opened: opening a pipe waits, and opening a device may do anything.
        _require_own(path, folder, path.lstat())
    with contextlib.ExitStack() as failing:
        opened = failing.enter_context(open(path, mode, opener=_open_carefully))
        file = cast("io.BufferedReader | io.BufferedRandom", opened)
        found = os.fstat(file.fileno())
        _require_own(path, folder, found)
        if found.st_size > most:
            msg = f"{path} has {found.st_size} bytes; a file of its kind has at most {most}"
            raise RunDirError(msg)
        if mode != "rb" and found.st_nlink > 1:
            msg = f"{path} is the same file as another one, which would be changed too; copy it"
            raise RunDirError(msg)
        failing.pop_all()
    return file


def _open_carefully(path: str, flags: int) -> int:
    return os.open(path, flags | _CAREFULLY, 0o666)


def _require_own(path: Path, folder: Path, found: os.stat_result) -> None:
    require_no_link(path, folder)
    if not stat.S_ISREG(found.st_mode):
        kind = _OTHER_KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        msg = f"{path} is {kind}, not a regular file; nothing was done with it"
        raise RunDirError(msg)


def require_no_link(path: Path, folder: Path) -> None:
    """Check that a path in a folder leads to no other place.

    Raises:
        RunDirError: it is a link, or lies behind one.
    """
    real, expected = (
        os.path.realpath(path),
        Path(os.path.realpath(folder), path.relative_to(folder)),
    )
    if os.path.normcase(real) != os.path.normcase(expected):
        msg = f"{path} is a link, or lies behind one, to {real}; only what lies in {folder} is used"
        raise RunDirError(msg)


def read_file(path: Path, *, inside: Path | None = None, most: int = MOST_JSON) -> bytes:
    """Return the content of a file of a run; arguments as of `open_own`.

    Raises:
        RunDirError: it is missing, cannot be read, or is none that `open_own` opens.
    """
    with _reading(path), open_own(path, inside=inside, most=most) as file:
        return file.read(most)


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file of a run, each with its end; one that was cut off has none.

    Raises:
        RunDirError: as `read_file`, or a line is longer than one may be.
    """
    with _reading(path), open_own(path, most=MOST_LINES) as file:
        number = 0
        while line := file.readline(MOST_LINE + 1):
            number += 1
            if len(line) > MOST_LINE:
                msg = f"{path}, line {number} has more than {MOST_LINE} bytes"
                raise RunDirError(msg)
            yield line


def read_array(path: Path, *, inside: Path | None = None) -> npt.NDArray[Any]:
    """Return the numbers of an NPY file of a run; arguments as of `open_own`.

    Raises:
        RunDirError: as `read_file`, or it holds no array of plain numbers, or of another length.
    """
    with _reading(path), open_own(path, inside=inside, most=MOST_ARRAY) as file:
        begin = file.read(8)
        size = file.read(2 if begin[6:7] == b"\x01" else 4)
        found = _NPY.fullmatch(file.read(min(int.from_bytes(size, "little"), _LONGEST_HEADER)))
        if begin[:6] != b"\x93NUMPY" or found is None:
            msg = f"{path} is no NPY file of plain numbers"
            raise RunDirError(msg)
        shape = [int(length) for length in found[3].split(b",") if length.strip()]
        left = os.fstat(file.fileno()).st_size - file.tell()
        kind = _kind(found[1].decode())
        if kind is None or math.prod(shape) * kind.itemsize != left:
            msg = f"{path} is damaged: {shape} {found[1].decode()} do not take {left} bytes"
            raise RunDirError(msg)
        numbers = np.empty(math.prod(shape), kind)
        file.readinto(numbers.view(np.uint8).data)
    return numbers.reshape(shape, order="F" if found[2] == b"True" else "C")


def _kind(name: str) -> np.dtype[Any] | None:
    try:
        return np.dtype(name)
    except TypeError:
        return None


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn errors of the file system into a `RunDirError`."""
    try:
        yield
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        msg = f"cannot read {path}: {why}; is this a run directory?"
        raise RunDirError(msg) from error


def synchronise_names(folder: Path) -> None:
    """Return when the names in a folder are on the disk.

    Windows has no such call, and its file system keeps a log of names.
    """
    if _WINDOWS:
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
    """Write a JSON file with its schema number; see `write_file`.

    Raises:
        RecordError: it cannot be written, or it is larger than what `read_json` reads.
    """
    raw = json.dumps({"schema": SCHEMA, **content}, indent=1, allow_nan=False).encode()
    if len(raw) > MOST_JSON or raw.count(b"[") + raw.count(b"{") > _MOST_BRACKETS:
        msg = f"{path} would be too large to be read again ({len(raw):,} bytes); put less in it"
        raise RecordError(msg)
    write_file(path, raw)


def parse_json(text: str | bytes) -> Any:
    """Return the content of strict JSON.

    Raises:
        ValueError: it is not JSON, holds NaN or infinity, is nested too deeply, or holds too many
            lists and objects.
    """
    raw = text.encode(errors="replace") if isinstance(text, str) else text
    # Also those in strings: a line of events has few, and looking into each takes its time.
    brackets = raw.count(b"[") + raw.count(b"{")
    if brackets > _MOST_BRACKETS:
        msg = f"holds more than {_MOST_BRACKETS} lists and objects"
        raise ValueError(msg)
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
        deep = brackets > _DEEPEST and _is_deeper(content, _DEEPEST)
    except RecursionError:
        deep = True
    if deep:
        msg = f"nested more than {_DEEPEST} deep"
        raise ValueError(msg)
    return content


def _refuse_constant(name: str) -> None:
    msg = f"{name} is not a number"
    raise ValueError(msg)


def _is_deeper(content: Any, levels: int) -> bool:
    inner = [content] if isinstance(content, dict | list) else []
    for _ in range(levels):
        inner = [
            item
            for one in inner
            for item in (one.values() if type(one) is dict else one)
            if type(item) is dict or type(item) is list
        ]
    return bool(inner)


def read_json(path: Path, *, inside: Path | None = None) -> Json:
    """Return the content of a JSON file of this schema; arguments as of `open_own`.

    Raises:
        RunDirError: missing, damaged, of another schema, or none that `open_own` opens.
    """
    try:
        content = parse_json(read_file(path, inside=inside))
    except ValueError as error:
        msg = f"{path} is damaged: {error}"
        raise RunDirError(msg) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else content
        msg = f"{path} has schema {found!r}; this stempilot reads schema {SCHEMA}"
        raise RunDirError(msg)
    return content


def file_hash(path: Path, *, inside: Path | None = None) -> str:
    """Return the SHA-256 of a file of a saved agent; arguments as of `open_own`.

    Raises:
        RunDirError: it is missing, cannot be read, or is none that `open_own` opens.
    """
    with _reading(path), open_own(path, inside=inside, most=MOST_AGENT_FILE) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
