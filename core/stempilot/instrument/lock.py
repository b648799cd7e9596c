"""One run at a time: a lock that the operating system gives back when a process dies.

Locks lie in a folder of the user (`lock_folder`), one file for each instrument. Where several users
or several accounts share one computer, ``STEMPILOT_LOCK_DIR`` names a folder that all of them may
write to. A run on another computer is not seen; there only hands-off protects
(`stempilot.instrument.guard.GuardedBackend`).
"""

import contextlib
import hashlib
import ipaddress
import json
import os
import platform
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stempilot.contract.backend import Backend, Lockable
from stempilot.errors import BackendError, InstrumentBusyError
from stempilot.files import parse_json

FOLDER_VARIABLE = "STEMPILOT_LOCK_DIR"
_VERSION_6 = 6


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


def network_address(host: str, port: int) -> str:
    """Return host and port of a server, written in one way only; what a `Lockable` is called by.

    A name is resolved: of several addresses the first in order counts, version 4 before 6. All that
    lead to this computer are one, ``127.0.0.1``. A name that is not known stays as it is.

    Args:
        host: a name or an address, in any spelling that the operating system takes.
        port: TCP port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return f"{host.lower()}:{port}"
    addresses = [ipaddress.ip_address(str(each[4][0]).split("%")[0]) for each in found]
    plain = {getattr(each, "ipv4_mapped", None) or each for each in addresses}
    if any(map(_is_this_computer, plain)):
        return f"127.0.0.1:{port}"
    first = min(plain, key=lambda each: (each.version, int(each)))
    return f"[{first}]:{port}" if first.version == _VERSION_6 else f"{first}:{port}"


def _is_this_computer(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET6 if address.version == _VERSION_6 else socket.AF_INET
    # One may only listen at what is one's own. Nothing is sent.
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as own:
        own.bind((str(address), 0))
        return True
    return False


def lock_name(backend: Backend, name: str) -> str:
    """Return what tells this instrument from others, before it is opened.

    Args:
        backend: not opened yet.
        name: the backend's name; all that is known of one that is not `Lockable`, so that two of
            its instruments cannot be driven at the same time.
    """
    return f"{name} {backend.lock_name()}" if isinstance(backend, Lockable) else name


def lock_stem(backend: Backend, name: str) -> Path:
    """Return the path of all files of an instrument's lock, without their suffixes."""
    return lock_folder() / _file_stem(lock_name(backend, name))


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
    what, stem = lock_name(backend, name), lock_stem(backend, name)
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
        # Whatever has that name in a folder of a stranger, nothing is written through a link.
        beside.unlink(missing_ok=True)
        with beside.open("x", encoding="utf-8") as file:
            json.dump(content, file)
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
