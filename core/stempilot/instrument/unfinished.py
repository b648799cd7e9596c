"""Runs that may have left their instrument displaced, and whether an instrument is the one meant.

Beside the lock of a real instrument lies a mark, ``*.unfinished``, from before the first write of a
run until its knobs are back or are to stay. A process that is killed, a power cut and knobs that
could not be put back leave it there, and the next run finds it.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from stempilot.contract.backend import Backend
from stempilot.errors import BackendError, RestoreError
from stempilot.files import parse_json, write_file
from stempilot.instrument.lock import lock_folder, lock_stem

Ask = Callable[[str], bool]
"""Puts a question to a person and returns the answer; ``False`` where no one can answer."""

UNKNOWN = "unknown"
"""What a backend may say of a part of its identity that it could not read."""

_SUFFIX = ".unfinished"
_log = logging.getLogger(__name__)


def decline(question: str) -> bool:
    """Answer a question where there is no one to ask."""
    del question
    return False


@frozen
class Unfinished:
    """The mark of a run that may have left its instrument displaced.

    Attributes:
        mark: the file.
        run_dir: its run directory.
        identity: what its instrument said that it is.
    """

    mark: Path
    run_dir: Path
    identity: Mapping[str, str]


def unfinished_runs(pattern: str = "*") -> list[Unfinished]:
    """Return the runs that are marked in the folder of the locks.

    A mark that cannot be read counts as one of a run that nothing is known of.

    Args:
        pattern: of the names of the marks, without their suffix.
    """
    found = []
    for mark in sorted(lock_folder().glob(pattern + _SUFFIX)):
        told: object = None
        with contextlib.suppress(OSError, ValueError):
            told = parse_json(mark.read_bytes())
        content = told if isinstance(told, dict) else {}
        identity = content.get("identity")
        known = identity if isinstance(identity, dict) else {}
        found.append(Unfinished(mark, Path(str(content.get("run_dir", UNKNOWN))), known))
    return found


def require_finished(backend: Backend, name: str, *, accept: bool, ask: Ask) -> None:
    """Check that no run before has left the instrument displaced, or may have.

    Args:
        backend: opened, and locked.
        name: its name.
        accept: take the place where the knobs stand all the same.
        ask: asked whether this is another instrument than that of a run before.

    Raises:
        RestoreError: a run before has; the message says how to put the instrument back.
        BackendError: it is not known whether it was this instrument.
    """
    if backend.offers().simulated:
        return
    for run in unfinished_runs(f"{lock_stem(backend, name).name}-*"):
        if accept:
            _log.warning("taking where the knobs stand although %s did not end", run.run_dir)
        elif same_instrument(run.identity, backend.identity()):
            msg = (
                f"{run.run_dir} did not put this instrument back: it was killed, or could not. The "
                "knobs may stand where it left them; nothing was sent. Put them back with "
                f"`stempilot restore {run.run_dir}`, or begin where they stand now, with "
                "--accept-position"
            )
            raise RestoreError(msg)
        else:
            _require_another(run, backend, ask)


def _require_another(run: Unfinished, backend: Backend, ask: Ask) -> None:
    differ = (
        f"{run.run_dir} did not put its instrument back, which said that it is "
        f"{_said(run.identity)}; this one says {_said(backend.identity())}"
    )
    if not ask(f"{differ}. Is this another instrument?"):
        msg = (
            f"{differ}. Nothing was sent. If it is the same one, put it back with `stempilot "
            f"restore {run.run_dir}`; if it is another one, begin with --accept-position"
        )
        raise BackendError(msg)


@contextlib.contextmanager
def marked_unfinished(backend: Backend, name: str, run_dir: Path | None) -> Iterator[None]:
    """Keep a mark of a run on the disk until the block ends with the knobs where they belong.

    Marks of earlier runs on the same instrument go: whoever comes here has accepted them.

    Args:
        backend: opened, and locked.
        name: its name.
        run_dir: the run directory, with its baseline on disk; there is no mark without one.

    Raises:
        RecordError: the mark cannot be written.
    """
    if run_dir is None or backend.offers().simulated:
        yield
        return
    stem, identity = lock_stem(backend, name), dict(backend.identity())
    mark = stem.with_name(f"{stem.name}-{_digest(run_dir)}{_SUFFIX}")
    content = {"run_dir": str(run_dir.resolve()), "identity": identity}
    displaced = False
    try:
        write_file(mark, json.dumps(content).encode())
        for run in unfinished_runs(f"{stem.name}-*"):
            if run.mark != mark and same_instrument(run.identity, identity):
                _remove(run.mark)
        yield
    except RestoreError:
        displaced = True
        raise
    finally:
        if not displaced:
            _remove(mark)


def unmark(run_dir: Path) -> None:
    """Remove the mark of a run whose instrument was put back."""
    for run in unfinished_runs(f"*-{_digest(run_dir)}"):
        _remove(run.mark)


def same_instrument(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Return whether two identities are equal in all that both tell; what tells nothing is not."""
    both = [key for key in one.keys() & other.keys() if UNKNOWN not in {one[key], other[key]}]
    return bool(both) and all(one[key] == other[key] for key in both)


def require_same(recorded: Mapping[str, str], backend: Backend, run_dir: Path, ask: Ask) -> None:
    """Check that a real instrument is the one of a run before.

    Args:
        recorded: what the instrument of the run said that it is.
        backend: opened.
        run_dir: the run.
        ask: asked where they differ, or where one does not tell.

    Raises:
        BackendError: it is another one, or that cannot be told; nothing was sent.
    """
    if backend.offers().simulated or same_instrument(recorded, backend.identity()):
        return
    differ = (
        f"the instrument of {run_dir} said that it is {_said(recorded)}; "
        f"this one says {_said(backend.identity())}"
    )
    if not ask(f"{differ}. Is it the same instrument?"):
        msg = f"{differ}. Nothing was sent; connect to the instrument of that run"
        raise BackendError(msg)


def _said(identity: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in identity.items()) or "nothing"


def _digest(run_dir: Path) -> str:
    return hashlib.sha256(str(run_dir.resolve()).encode()).hexdigest()[:12]


def _remove(mark: Path) -> None:
    with contextlib.suppress(OSError):
        mark.unlink(missing_ok=True)
