"""The run directory: JSON, JSON lines, NPY and safetensors, never a pickle.

Every file is written beside and renamed, so that a reader never meets a half-written one, and is
on the disk, name and all, before anything counts on it. Layout:

- ``record.json``: status, command, configuration, seeds, plug-ins, versions, identity, parent
- ``baseline.json``: where each knob stood before the first write, and how to put it back
- ``events.jsonl``: one line per reset and timestep
- ``progress.json``: the last checkpoint, and the folder that holds its agent
- ``agent-N/``: the agent as saved after N timesteps
- ``best.json``, ``best-N/``: the same of the one that did best in an evaluation
- ``evaluation.json``, ``result.json``, ``frames/``, ``report.html`` and its PNG files
"""

from collections.abc import Callable, Mapping
from os.path import lexists
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar

import attrs
from attrs import field, frozen, validators

from stempilot.errors import ConfigError, RunDirError
from stempilot.files import (
    Json,
    file_hash,
    own_files,
    read_json,
    recording,
    remove_folder,
    synchronise_tree,
    write_json,
)
from stempilot.instrument.envelope import Envelope
from stempilot.plugins import options as config
from stempilot.record.figures import Evaluation
from stempilot.record.log import LOG
from stempilot.record.owner import OF_OWNER, make_folder
from stempilot.record.record import RECORD, Record, allowed

C = TypeVar("C", bound=attrs.AttrsInstance)

BASELINE = "baseline.json"
EVENTS = "events.jsonl"
PROGRESS = "progress.json"
BEST = "best.json"
RESULT = "result.json"
FRAMES = "frames"
REPORT = "report.html"


_Counted = field(default=0, validator=validators.and_(validators.ge(0), validators.le(2**53)))


@frozen(kw_only=True)
class Baseline:
    """``baseline.json``: all that putting back needs, whatever becomes of the other files.

    Attributes:
        knobs: where each knob stood before the first write.
        backend: name of the backend; ``None`` in runs of earlier versions.
        settings: the backend's options, as the user set them.
        seed: seed of the run.
        envelope: the content of the envelope file; see `allowed`.
        identity: what the instrument says that it is.
    """

    knobs: dict[str, tuple[float, ...]]
    backend: str | None = None
    settings: dict[str, Any] = field(factory=dict)
    seed: int = _Counted
    envelope: dict[str, Any] | None = None
    identity: dict[str, str] = field(factory=dict)

    def allowed(self) -> Envelope | None:
        """Return the envelope of the run, ``None`` where it went without; raises as `allowed`."""
        return allowed(self.envelope, BASELINE)


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
        _require_own_names(self.agent, f"agent-{self.timesteps}", self.hashes)


@frozen(kw_only=True)
class Best:
    """``best.json``: the agent that did best in an evaluation during training.

    Attributes:
        evaluation: how it did, and when.
        agent: its folder.
        hashes: of its files.
    """

    evaluation: Evaluation
    agent: str
    hashes: dict[str, str]

    def __attrs_post_init__(self) -> None:
        """Check that no folder but its own is named."""
        _require_own_names(self.agent, f"best-{self.evaluation.timestep}", self.hashes)


def _require_own_names(agent: str | None, own: str, hashes: Mapping[str, str]) -> None:
    if agent not in {None, own}:
        msg = f"agent {agent!r} is not {own}, that of its timestep"
        raise ValueError(msg)
    for name in hashes:
        # Windows' rules know both kinds of slashes, and drives.
        path = PureWindowsPath(name)
        if path.anchor or ".." in path.parts:
            msg = f"{name!r} lies outside the run directory"
            raise ValueError(msg)


def read_checked(path: Path, kind: type[C], *, inside: Path | None = None) -> C:
    """Return a JSON file with its entries checked, without those not known; as `read_json`."""
    content, known = read_json(path, inside=inside), attrs.fields_dict(kind)
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
        make_folder(path)
        with recording():
            for file in _content(path):
                file.unlink()
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
        return read_checked(self.path / RECORD, Record)

    def write_record(self, record: Record) -> None:
        """Replace ``record.json``."""
        write_json(self.path / RECORD, config.plain(record))

    def update_record(self, **changes: Any) -> None:
        """Change some entries of ``record.json``; those that this version does not know stay."""
        record = attrs.evolve(self.record(), **changes)
        write_json(self.path / RECORD, {**read_json(self.path / RECORD), **config.plain(record)})

    def progress(self) -> Json | None:
        """Return the last checkpoint, ``None`` when there is none yet; raises as `record`."""
        found = self._progress()
        return None if found is None else config.plain(found)

    def _progress(self) -> "_Progress | None":
        path = self.path / PROGRESS
        return read_checked(path, _Progress) if lexists(path) else None

    def baseline(self) -> Baseline | None:
        """Return where the knobs stood, ``None`` when nothing was moved; raises as `record`."""
        path = self.path / BASELINE
        return read_checked(path, Baseline) if lexists(path) else None

    def write_baseline(self, baseline: Baseline) -> None:
        """Write ``baseline.json``."""
        write_json(self.path / BASELINE, config.plain(baseline))

    def way_back(self) -> Baseline:
        """Return all that putting back needs, from the baseline alone where it says all.

        Raises:
            RunDirError: nothing was moved; or the baseline is damaged, or of an earlier version and
                the record is damaged.
        """
        saved = self.baseline()
        if saved is None:
            self.record()
            msg = (
                f"{self.path} has no baseline: it never moved anything, so there is nothing to put "
                "back"
            )
            raise RunDirError(msg)
        if saved.backend is not None:
            return saved
        try:
            record = self.record()
            record.allowed()
        except RunDirError as error:
            msg = (
                f"{error}; before the run the knobs stood at {saved.knobs}: put them there by hand"
            )
            raise RunDirError(msg) from error
        return attrs.evolve(
            saved,
            backend=record.backend,
            settings=record.settings.get("backend", {}),
            seed=record.seed,
            envelope=record.envelope,
            identity=record.identity,
        )

    def identity(self) -> dict[str, str]:
        """Return what the instrument said that it is; raises as `record`."""
        baseline = self.baseline()
        return baseline.identity if baseline and baseline.identity else self.record().identity

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
        if before is None or before["agent"] != name:
            saved = self._save(name, save_agent)
            write_json(self.path / PROGRESS, {**progress, **saved})
            self._drop_others(name)

    def keep_best(self, evaluation: Evaluation, save_agent: Callable[[Path], None]) -> None:
        """Save the agent beside the last one, unless a better one is kept already.

        Args:
            evaluation: how it did.
            save_agent: writes the agent into an empty folder.
        """
        best = self.best()
        if best is not None and best.evaluation.rank >= evaluation.rank:
            return
        name = f"best-{evaluation.timestep}"
        saved = self._save(name, save_agent)
        write_json(self.path / BEST, {"evaluation": config.plain(evaluation), **saved})
        self._drop_others(name)

    def best(self) -> "Best | None":
        """Return the best agent so far, ``None`` without evaluations; raises as `record`."""
        path = self.path / BEST
        return read_checked(path, Best) if lexists(path) else None

    def _save(self, name: str, save_agent: Callable[[Path], None]) -> Json:
        """Save an agent in a folder of its own, and return what vouches for it."""
        folder = self.path / name
        with recording():
            remove_folder(folder)
            folder.mkdir()
            save_agent(folder)
            synchronise_tree(folder)
        hashes = {
            file.relative_to(folder).as_posix(): file_hash(file) for file in own_files(folder)
        }
        return {"agent": name, "hashes": hashes}

    def _drop_others(self, name: str) -> None:
        """Remove the agents that were saved before as the one of this name is."""
        for other in self.path.glob(f"{name.partition('-')[0]}-*"):
            if other.name != name:
                remove_folder(other)

    def agent_folder(self, *, best: bool = False) -> Path:
        """Return the folder of the last saved agent, or of the best, with its files checked.

        Raises:
            RunDirError: nothing was saved, or a file is missing, was changed or is a link.
        """
        file = self.path / (BEST if best else PROGRESS)
        saved = self.best() if best else self._progress()
        if saved is None or saved.agent is None:
            why = (
                "best agent: it was not evaluated while it trained" if best else "trained agent yet"
            )
            msg = f"{self.path} holds no {why}"
            raise RunDirError(msg)
        folder = self.path / saved.agent
        if not folder.is_dir():
            msg = f"{file} names the folder {folder.name!r}, which is not there"
            raise RunDirError(msg)
        own_files(folder)
        for name, expected in saved.hashes.items():
            if file_hash(folder / name, inside=folder) != expected:
                msg = f"{folder / name} is not the file that was saved"
                raise RunDirError(msg)
        return folder


def require_free(path: Path) -> None:
    """Check that a run directory can be made there.

    Raises:
        RunDirError: the path exists and is neither an empty folder nor a run that failed before it
            began.
        RecordError: it cannot be looked at, for example because its name is too long.
    """
    with recording():
        free = not path.exists() or (path.is_dir() and (not _content(path) or _never_began(path)))
    if not free:
        msg = f"{path} exists already; choose another --out"
        raise RunDirError(msg)


def _content(path: Path) -> list[Path]:
    """Return what a folder holds beside the files of its owner."""
    return [file for file in path.iterdir() if file.name not in OF_OWNER]


def _never_began(path: Path) -> bool:
    """Return whether a run ended before it kept a baseline, so that nothing was moved or learnt.

    A folder that holds anything else beside its record and its log is in use.
    """
    if any(file.name not in {RECORD, LOG} for file in _content(path)):
        return False
    try:
        return RunDir(path).record().status in {"failed", "interrupted"}
    except RunDirError:
        return False
