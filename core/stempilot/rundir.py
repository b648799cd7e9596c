"""The run directory: JSON, JSON lines, NPY and safetensors, never a pickle.

Every file is written beside and renamed, so that a reader never meets a half-written one. Layout:

- ``record.json``: status, command, configuration, seeds, plug-ins, versions, identity, parent
- ``baseline.json``: where each knob stood before the first write
- ``events.jsonl``: one line per reset and timestep
- ``progress.json``: the last checkpoint, and the folder that holds its agent
- ``agent-N/``: the agent as saved after N timesteps
- ``evaluation.json``, ``result.json``, ``frames/``, ``report.html`` and its PNG files
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from stempilot.errors import RecordError, RunDirError

SCHEMA = 1
RECORD = "record.json"
BASELINE = "baseline.json"
EVENTS = "events.jsonl"
PROGRESS = "progress.json"
RESULT = "result.json"
FRAMES = "frames"
REPORT = "report.html"

Json = dict[str, Any]


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
    """Write a whole file so that it exists either complete or not at all.

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


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file with its schema number; see `write_file`."""
    text = json.dumps({"schema": SCHEMA, **content}, indent=1, allow_nan=False)
    write_file(path, text.encode())


def read_json(path: Path) -> Json:
    """Return the content of a JSON file of this schema.

    Raises:
        RunDirError: missing, damaged, or of another schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
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


@frozen
class RunDir:
    """A run directory on disk."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> "RunDir":
        """Return a new run directory.

        Raises:
            RunDirError: the path exists and is not an empty folder.
            RecordError: it cannot be made.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            msg = f"{path} exists already; choose another --out"
            raise RunDirError(msg)
        with recording():
            path.mkdir(parents=True, exist_ok=True)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunDir":
        """Return an existing run directory.

        Raises:
            RunDirError: no readable record of this schema is in it.
        """
        run = cls(path)
        run.record()
        return run

    def record(self) -> Json:
        """Return ``record.json``."""
        return read_json(self.path / RECORD)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace ``record.json``."""
        write_json(self.path / RECORD, record)

    def update_record(self, **changes: Any) -> None:
        """Change some entries of ``record.json``."""
        self.write_record({**self.record(), **changes})

    def progress(self) -> Json | None:
        """Return the last checkpoint, ``None`` when there is none yet."""
        path = self.path / PROGRESS
        return read_json(path) if path.exists() else None

    def checkpoint(self, progress: Mapping[str, Any], save_agent: Callable[[Path], None]) -> None:
        """Save an agent and the progress that belongs to it, both or neither.

        The agent goes into a folder of its own; replacing ``progress.json`` makes it the valid
        one; only then is the one before removed.

        Args:
            progress: counters; must hold ``timesteps``.
            save_agent: writes the agent into an empty folder.
        """
        name = f"agent-{progress['timesteps']}"
        before = self.progress()
        if before is not None and before["agent"] == name:
            return
        folder = self.path / name
        with recording():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            save_agent(folder)
        hashes = {file.name: file_hash(file) for file in sorted(folder.iterdir())}
        write_json(self.path / PROGRESS, {**progress, "agent": name, "hashes": hashes})
        for other in self.path.glob("agent-*"):
            if other.name != name:
                shutil.rmtree(other, ignore_errors=True)

    def agent_folder(self) -> Path:
        """Return the folder of the last saved agent, with its files checked.

        Raises:
            RunDirError: nothing was saved, or a file is missing or was changed.
        """
        progress = self.progress()
        if progress is None:
            msg = f"{self.path} holds no trained agent yet"
            raise RunDirError(msg)
        name = str(progress["agent"])
        folder = self.path / name
        if Path(name).name != name or not folder.is_dir():
            msg = f"{self.path / PROGRESS} names the folder {name!r}, which is not there"
            raise RunDirError(msg)
        for file, expected in progress["hashes"].items():
            if Path(file).name != file or file_hash(folder / file) != expected:
                msg = f"{folder / file} is not the file that was saved"
                raise RunDirError(msg)
        return folder


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, empty when it is missing."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
