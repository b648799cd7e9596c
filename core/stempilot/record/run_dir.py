"""The run directory: JSON, JSON lines, NPY and safetensors, never a pickle.

Every file is written beside and renamed, so that a reader never meets a half-written one, and is
on the disk, name and all, before anything counts on it. Layout:

- ``record.json``: status, command, configuration, seeds, plug-ins, versions, identity, parent
- ``baseline.json``: where each knob stood before the first write, and on which instrument
- ``events.jsonl``: one line per reset and timestep
- ``progress.json``: the last checkpoint, and the folder that holds its agent
- ``agent-N/``: the agent as saved after N timesteps
- ``evaluation.json``, ``result.json``, ``frames/``, ``report.html`` and its PNG files
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar

import attrs
from attrs import field, frozen, validators

from stempilot.errors import ConfigError, RunDirError
from stempilot.files import (
    Json,
    file_hash,
    read_json,
    recording,
    synchronise_names,
    synchronise_tree,
    write_json,
)
from stempilot.plugins import options as config
from stempilot.record.figures import Evaluation
from stempilot.record.log import LOG
from stempilot.record.record import RECORD, Record

C = TypeVar("C", bound=attrs.AttrsInstance)

BASELINE = "baseline.json"
EVENTS = "events.jsonl"
PROGRESS = "progress.json"
RESULT = "result.json"
FRAMES = "frames"
REPORT = "report.html"


_Counted = field(default=0, validator=validators.and_(validators.ge(0), validators.le(2**53)))


@frozen(kw_only=True)
class _Baseline:
    """``baseline.json``."""

    knobs: dict[str, tuple[float, ...]]
    identity: dict[str, str] = field(factory=dict)


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


def _read_checked(path: Path, kind: type[C]) -> C:
    """Return a JSON file with its entries checked; raises as `read_json`."""
    content, known = read_json(path), attrs.fields_dict(kind)
    try:
        return config.build(
            kind, {k: v for k, v in content.items() if k in known}, section=path.name
        )
    except ConfigError as error:
        msg = f"{path} is damaged: {error}"
        raise RunDirError(msg) from error


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
                synchronise_names(folder.parent)
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

    def record(self) -> Record:
        """Return ``record.json``.

        Raises:
            RunDirError: missing, of another schema, or an entry of it is not what it must be.
        """
        return _read_checked(self.path / RECORD, Record)

    def write_record(self, record: Record) -> None:
        """Replace ``record.json``."""
        write_json(self.path / RECORD, config.plain(record))

    def update_record(self, **changes: Any) -> None:
        """Change some entries of ``record.json``; those that this version does not know stay."""
        record = attrs.evolve(self.record(), **changes)
        write_json(self.path / RECORD, {**read_json(self.path / RECORD), **config.plain(record)})

    def progress(self) -> Json | None:
        """Return the last checkpoint, ``None`` when there is none yet; raises as `record`."""
        path = self.path / PROGRESS
        return config.plain(_read_checked(path, _Progress)) if path.exists() else None

    def baseline(self) -> Json | None:
        """Return where the knobs stood, ``None`` when nothing was moved; raises as `record`."""
        path = self.path / BASELINE
        return config.plain(_read_checked(path, _Baseline)) if path.exists() else None

    def identity(self) -> dict[str, str]:
        """Return what the instrument said that it is; raises as `record`."""
        baseline: Json = self.baseline() or {}
        return baseline.get("identity") or self.record().identity

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
            synchronise_tree(folder)
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
    """Return whether a run ended before it kept a baseline, so that nothing was moved or learnt.

    A folder that holds anything else beside its record and its log is in use.
    """
    if any(file.name not in {RECORD, LOG} for file in path.iterdir()):
        return False
    try:
        return RunDir(path).record().status in {"failed", "interrupted"}
    except RunDirError:
        return False
