"""One run at a time: a lock that the operating system gives back when a process dies.

Locks lie in a folder of the user (`lock_folder`), one file for each instrument. Where several users
or several accounts share one computer, ``STEMPILOT_LOCK_DIR`` names a folder that all of them may
write to. A run on another computer is not seen; there only hands-off protects
(`stempilot.instrument.guard.GuardedBackend`).
"""

import contextlib
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stempilot.contract.backend import Backend, Lockable
from stempilot.errors import BackendError, InstrumentBusyError
from stempilot.files import parse_json

FOLDER_VARIABLE = "STEMPILOT_LOCK_DIR"


def lock_folder() -> Path:
    """Return the folder of the locks.

    The home directory and not a session's runtime folder: a desktop session and a remote one of
    the same user have different runtime folders, or none, and would not see each other.

    Raises:
        BackendError: the user has no home directory.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    try:
        return Path(chosen) if chosen else Path.home() / ".stempilot" / "locks"
    except RuntimeError as error:
        msg = (
            "there is no home directory for the locks that keep two runs off one instrument; set "
            f"{FOLDER_VARIABLE} to a folder that all runs on this computer share"
        )
        raise BackendError(msg) from error


def lock_name(backend: Backend, name: str) -> str:
    """Return what tells this instrument from others, before it is opened.

    Args:
        backend: not opened yet.
        name: the backend's name; all that is known of one that is not `Lockable`, so that two of
            its instruments cannot be driven at the same time.
    """
    return f"{name} {backend.lock_name()}" if isinstance(backend, Lockable) else name


@contextlib.contextmanager
def instrument_lock(backend: Backend, name: str, *, run_dir: Path | None = None) -> Iterator[None]:
    """Keep every other run away from the instrument inside the block; simulators need no lock.

    Args:
        backend: not opened yet.
        name: the backend's name.
        run_dir: told to whoever meets the lock.

    Raises:
        InstrumentBusyError: another run drives the instrument.
        BackendError: the lock cannot be made.
    """
    if backend.offers().simulated:
        yield
        return
    what = lock_name(backend, name)
    stem = lock_folder() / _file_stem(what)
    # Beside the lock and not in it: Windows lets no process read a locked file.
    holder = stem.with_suffix(".json")
    lock = _acquired(what, stem.with_suffix(".lock"), holder)
    try:
        tell(holder, what, run_dir)
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _acquired(what: str, path: Path, holder: Path) -> Any:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Readable and writable by all, for folders that users share; the user's own is in its home.
        lock = FileLock(path, thread_local=False, mode=0o666)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InstrumentBusyError(_busy(what, holder)) from error
    except (OSError, NotImplementedError) as error:
        msg = (
            f"cannot lock {what} with {path}: {error}; make the folder writable or set "
            f"{FOLDER_VARIABLE} to another one"
        )
        raise BackendError(msg) from error
    return lock


def _file_stem(what: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9]+", "-", what).strip("-")[:60]
    return f"{readable}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def tell(holder: Path, what: str, run_dir: Path | None = None) -> None:
    """Note who holds a lock, for the messages of others; the lock holds without it.

    Args:
        holder: the file of the note.
        what: what is locked.
        run_dir: told too.
    """
    content = {
        "locked": what,
        "pid": os.getpid(),
        "host": platform.node(),
        "run_dir": None if run_dir is None else str(run_dir.resolve()),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    beside = holder.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.replace(holder)


def _busy(what: str, holder: Path) -> str:
    return (
        f"{what} is in use {holder_said(holder)}; nothing was sent. Two runs must never drive one "
        "instrument: wait until the other has ended, or end it"
    )


def holder_said(holder: Path) -> str:
    """Return who holds a lock, as the file of its note says: ``by process ...``."""
    told: Any = None
    with contextlib.suppress(OSError, ValueError):
        told = parse_json(holder.read_bytes()) if holder.is_file() else None
    if not isinstance(told, dict):
        return "by a run that has only just begun"
    run_dir = f", run directory {told['run_dir']}" if told.get("run_dir") else ""
    return (
        f"by process {told.get('pid')} on {told.get('host')} since {told.get('started')}{run_dir}"
    )


def is_held(lock: Path, holder: Path) -> bool:
    """Return whether a process holds a lock; tried only where one noted that it does.

    Args:
        lock: the file of the lock.
        holder: the file of the note; see `tell`.
    """
    if not holder.exists():
        return False
    tried = FileLock(lock, thread_local=False)
    try:
        tried.acquire(timeout=0)
    except Timeout:
        return True
    tried.release()
    return False
