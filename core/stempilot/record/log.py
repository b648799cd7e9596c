"""``log.txt`` of a run directory: what the parts had to say, such as faults they got over."""

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from stempilot.errors import RunDirError
from stempilot.files import open_own

LOG = "log.txt"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Log(logging.FileHandler):
    """A file whose loss disturbs no run; one that is no file of the run's own gets nothing."""

    def _open(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(open_own(Path(self.baseFilename), "ab+"), encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, RunDirError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        del record


@contextlib.contextmanager
def run_log(folder: Path) -> Iterator[Callable[[str], None]]:
    """Append warnings and worse of every part to ``log.txt`` while the block lasts.

    The file appears with the first line. A full disk loses lines and stops nothing: what a run
    depends on is in its other files.

    Args:
        folder: the run directory.

    Yields:
        Writes a line of the framework's own into the file, and nowhere else.
    """
    handler = _Log(folder / LOG, encoding="utf-8", delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger()
    added: list[logging.Handler] = [handler]
    if not root.handlers and logging.lastResort is not None:
        # Python shows warnings on stderr for as long as nothing else takes them; so it stays.
        added.append(logging.lastResort)
    for each in added:
        root.addHandler(each)

    def write(line: str) -> None:
        handler.handle(
            logging.makeLogRecord(
                {
                    "name": "stempilot",
                    "levelno": logging.WARNING,
                    "levelname": "WARNING",
                    "msg": line,
                }
            )
        )

    try:
        yield write
    finally:
        for each in added:
            root.removeHandler(each)
        handler.close()
