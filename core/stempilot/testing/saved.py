"""Whether a saved learner is safe to load: no pickle in it, nor anything that could hide one."""

import csv
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

_PICKLE_STARTS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


def file_problems(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the files of a folder.

    They must be JSON, CSV, NPY or NPZ without objects, or safetensors, directly in the folder.
    """
    found = sorted(folder.iterdir())
    if not found:
        yield "nothing was saved"
    for path in found:
        if not path.is_file():
            yield f"{path.name} is not a file"
            continue
        reads = _READERS.get(path.suffix)
        if path.read_bytes().startswith(_PICKLE_STARTS):
            yield f"{path.name} is a pickle"
        elif reads is None:
            yield f"{path.name} is none of {', '.join(_READERS)}"
        else:
            yield from _unreadable(path, reads)


def _unreadable(path: Path, reads: Callable[[Path], None]) -> Iterator[str]:
    try:
        reads(path)
    except (OSError, EOFError, ValueError, struct.error, csv.Error, zipfile.BadZipFile) as error:
        yield f"{path.name} is not a valid {path.suffix} file without objects: {error}"


def _read_json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def _read_csv(path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        for _ in csv.reader(file, strict=True):
            pass


def _read_npy(path: Path) -> None:
    np.load(path, allow_pickle=False)


def _read_npz(path: Path) -> None:
    with np.load(path, allow_pickle=False) as arrays:
        for member in arrays.zip.namelist():
            if not member.endswith(".npy"):
                msg = f"it holds {member}"
                raise ValueError(msg)
        for name in arrays.files:
            arrays[name]


def _read_safetensors(path: Path) -> None:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length].decode())
    ends = [item["data_offsets"][1] for name, item in header.items() if name != "__metadata__"]
    if len(content) != 8 + length + max(ends, default=0):
        msg = "its length is not what its header says"
        raise ValueError(msg)


_READERS = {
    ".json": _read_json,
    ".csv": _read_csv,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
}


def damages(folder: Path) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Yield ways to damage a copy of a saved learner, and what to call them."""
    for path in sorted(folder.iterdir()):
        name, content = path.name, path.read_bytes()
        yield f"without {name}", partial(_remove, name=name)
        for what, left in (
            (f"with {name} cut in half", content[: len(content) // 2]),
            (f"with {name} empty", b""),
            (f"with other bytes in {name}", b"\x00\xff not what was saved"),
        ):
            yield what, partial(_overwrite, name=name, content=left)


def _remove(folder: Path, *, name: str) -> None:
    (folder / name).unlink()


def _overwrite(folder: Path, *, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
