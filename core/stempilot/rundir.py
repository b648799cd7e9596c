"""The run directory: JSON, JSON lines, NPY and safetensors, never a pickle.

Every file is written beside and renamed, so that a reader never meets a half-written one, and is
on the disk, name and all, before anything counts on it. Layout:

- ``record.json``: status, command, configuration, seeds, plug-ins, versions, identity, parent
- ``baseline.json``: where each knob stood before the first write
- ``events.jsonl``: one line per reset and timestep
- ``progress.json``: the last checkpoint, and the folder that holds its agent
- ``agent-N/``: the agent as saved after N timesteps
- ``evaluation.json``, ``result.json``, ``frames/``, ``report.html`` and its PNG files
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import attrs
from attrs import field, frozen, validators

from stempilot import config
from stempilot.convergence import Evaluation
from stempilot.errors import ConfigError, RecordError, RunDirError
from stempilot.runlog import LOG

SCHEMA = 1
RECORD = "record.json"
BASELINE = "baseline.json"
EVENTS = "events.jsonl"
PROGRESS = "progress.json"
RESULT = "result.json"
FRAMES = "frames"
REPORT = "report.html"

Json = dict[str, Any]

_DEEPEST = 50
"""How deep the JSON of a run may be nested."""

_NO_NAMES_TO_SYNCHRONISE = (errno.EINVAL, errno.ENOTSUP)
"""What file systems say that cannot synchronise a folder, such as some network shares."""

_Count = field(validator=validators.and_(validators.ge(0), validators.le(2**53)))
_Counted = field(default=0, validator=validators.and_(validators.ge(0), validators.le(2**53)))


@frozen(kw_only=True)
class _Frames:
    every: int = _Count
    ends: bool


@frozen(kw_only=True)
class _Record:
    """The entries of ``record.json`` that are gone by; see `stempilot.pipelines`."""

    status: str
    command: str
    task: str
    backend: str
    agent: str
    settings: dict[str, dict[str, Any]]
    seed: int = field(validator=validators.ge(0))
    instrument_seed: int = field(validator=validators.ge(0))
    steps: int = _Count
    episodes: int | None
    frames: _Frames
    envelope: dict[str, Any] | None = None
    parent: str | None
    trained_here: bool = False
    from_log: str | None = None


@frozen(kw_only=True)
class _Baseline:
    """``baseline.json``."""

    knobs: dict[str, tuple[float, ...]]


@frozen(kw_only=True)
class _Progress:
    """``progress.json``; a learner that was never saved has no agent."""

    timesteps: int = _Counted
    episodes: int = _Counted
    events_bytes: int = _Counted
    evaluations: tuple[Evaluation, ...] = ()
    agent: str | None = None
    hashes: dict[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Check that no folder but the checkpoint's own is named."""
        if self.agent not in {None, f"agent-{self.timesteps}"}:
            msg = f"agent {self.agent!r} is not that of timestep {self.timesteps}"
            raise ValueError(msg)
        for name in self.hashes:
            # Windows' rules know both kinds of slashes, and drives.
            path = PureWindowsPath(name)
            if path.anchor or ".." in path.parts:
                msg = f"{name!r} lies outside the run directory"
                raise ValueError(msg)


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
        _synchronise_names(path.parent)


def _synchronise_names(folder: Path) -> None:
    """Return when the names in a folder are on the disk.

    Windows has no such call, and its file system keeps a journal of names.
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


def _synchronise_tree(folder: Path) -> None:
    """Return when a folder and all that it holds are on the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            _synchronise_names(path)
        else:
            # Windows synchronises only what may be written.
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    _synchronise_names(folder)
    _synchronise_names(folder.parent)


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


def _read_checked(path: Path, kind: type[Any]) -> Json:
    """Return a JSON file with its entries checked; raises as `read_json`."""
    content = read_json(path)
    attributes = attrs.fields_dict(kind)
    try:
        checked = config.build(
            kind, {k: v for k, v in content.items() if k in attributes}, section=path.name
        )
    except ConfigError as error:
        msg = f"{path} is damaged: {error}"
        raise RunDirError(msg) from error
    return {**{k: v for k, v in config.plain(checked).items() if k not in content}, **content}


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


@frozen
class RunDir:
    """A run directory on disk."""

    path: Path = field(converter=Path)

    @classmethod
    def create(cls, path: Path) -> "RunDir":
        """Return a new run directory, in place of a run there that failed before it began.

        Raises:
            RunDirError: the path exists and is neither an empty folder nor such a run.
            RecordError: it cannot be made.
        """
        require_free(path)
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        with recording():
            path.mkdir(parents=True, exist_ok=True)
            for file in path.iterdir():
                file.unlink()
            for folder in made:
                _synchronise_names(folder.parent)
        return cls(path)

    @classmethod
    def open(cls, path: str | Path) -> "RunDir":
        """Return an existing run directory.

        Raises:
            RunDirError: no readable record of this schema is in it.
        """
        run = cls(path)
        run.record()
        return run

    def record(self) -> Json:
        """Return ``record.json``.

        Raises:
            RunDirError: missing, of another schema, or an entry of it is not what it must be.
        """
        return _read_checked(self.path / RECORD, _Record)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace ``record.json``."""
        write_json(self.path / RECORD, record)

    def update_record(self, **changes: Any) -> None:
        """Change some entries of ``record.json``."""
        self.write_record({**self.record(), **changes})

    def progress(self) -> Json | None:
        """Return the last checkpoint, ``None`` when there is none yet; raises as `record`."""
        path = self.path / PROGRESS
        return _read_checked(path, _Progress) if path.exists() else None

    def baseline(self) -> Json | None:
        """Return where the knobs stood, ``None`` when nothing was moved; raises as `record`."""
        path = self.path / BASELINE
        return _read_checked(path, _Baseline) if path.exists() else None

    def checkpoint(self, progress: Mapping[str, Any], save_agent: Callable[[Path], None]) -> None:
        """Save an agent and the progress that belongs to it, both or neither.

        The agent goes into a folder of its own; when that is on the disk, replacing
        ``progress.json`` makes it the valid one; only then is the one before removed.

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
            _synchronise_tree(folder)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        hashes = {file.relative_to(folder).as_posix(): file_hash(file) for file in files}
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
        if progress is None or progress["agent"] is None:
            msg = f"{self.path} holds no trained agent yet"
            raise RunDirError(msg)
        folder: Path = self.path / progress["agent"]
        if not folder.is_dir():
            msg = f"{self.path / PROGRESS} names the folder {folder.name!r}, which is not there"
            raise RunDirError(msg)
        for file, expected in progress["hashes"].items():
            if file_hash(folder / file) != expected:
                msg = f"{folder / file} is not the file that was saved"
                raise RunDirError(msg)
        return folder


def require_free(path: Path) -> None:
    """Check that a run directory can be made there.

    Raises:
        RunDirError: the path exists and is neither an empty folder nor a run that failed before it
            began.
    """
    if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or _never_began(path))):
        msg = f"{path} exists already; choose another --out"
        raise RunDirError(msg)


def _never_began(path: Path) -> bool:
    """Return whether a run failed before it kept a baseline, so that nothing was moved or learnt.

    A folder that holds anything else beside its record and its log is somebody's.
    """
    if any(file.name not in {RECORD, LOG} for file in path.iterdir()):
        return False
    try:
        return bool(RunDir(path).record()["status"] == "failed")
    except RunDirError:
        return False


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
