"""One writer at a time for a run directory, by a lock that the operating system gives back."""

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from stempilot.errors import ConfigError, RunDirError
from stempilot.files import recording, synchronise_names
from stempilot.instrument.lock import holder_said, is_held, tell

LOCK, HOLDER = ".lock", ".lock.json"
OF_OWNER = frozenset({LOCK, HOLDER})
"""Files that a run directory may hold without being in use."""

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP)
"""Errors of file systems that know no locks, such as some network shares."""

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def owned(folder: Path, *, must: bool = True) -> Iterator[None]:
    """Keep every other run out of a run directory inside the block.

    Where the file system knows no locks it goes without one, and says so.

    Args:
        folder: made where it is missing, and removed again where it stays empty.
        must: whether a folder that cannot be written to is an error.

    Raises:
        RunDirError: another run writes into it; the message says which.
        RecordError: it cannot be written to.
    """
    made = make_folder(folder)
    lock = FileLock(folder / LOCK, thread_local=False, mode=0o666)
    _acquire(lock, folder, must=must)
    if lock.is_locked:
        tell(folder / HOLDER, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if lock.is_locked:
                (folder / HOLDER).unlink(missing_ok=True)
            if made and not any(file.name not in OF_OWNER for file in folder.iterdir()):
                (folder / LOCK).unlink()
        lock.release()
        with contextlib.suppress(OSError):
            # Those that stayed empty; the others cannot be removed.
            for each in made:
                each.rmdir()


def require_unowned(folder: Path) -> None:
    """Check that no run writes into a run directory, without making anything there.

    Raises:
        RunDirError: one does; the message says which.
    """
    if is_held(folder / LOCK, folder / HOLDER):
        raise _in_use(folder)


def _in_use(folder: Path) -> RunDirError:
    return RunDirError(
        f"{folder} is in use {holder_said(folder / HOLDER)}; two runs must never write into one "
        "run directory: wait until the other has ended, or end it"
    )


def make_folder(folder: Path) -> list[Path]:
    """Make a folder so that it survives a power cut; return it and its parents that were missing.

    Raises:
        ConfigError: it is relative to a working folder that is gone.
        RecordError: it cannot be made.
    """
    if not folder.is_absolute():
        require_working_folder()
    with recording():
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for each in made:
            synchronise_names(each.parent)
    return made


def require_working_folder() -> None:
    """Check that there is a working folder; without one, torch ends the program when it loads.

    Raises:
        ConfigError: it is gone.
    """
    try:
        Path.cwd()
    except OSError as error:
        msg = "the working folder is gone; change into one that exists. Nothing was sent"
        raise ConfigError(msg) from error


def _acquire(lock: BaseFileLock, folder: Path, *, must: bool) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise _in_use(folder) from error
    except NotImplementedError as error:
        _log.warning("%s: another run is not kept out: %s", folder, error)
    except OSError as error:
        if must and error.errno not in _NO_LOCKS:
            with recording():
                raise
        _log.warning("%s: another run is not kept out: %s", folder, error)
