"""``audit.jsonl``: every write to an instrument, on disk even if the process dies in between.

A line is appended before a write is sent and another one when it has ended. Where nothing real
moves, one line is written at the end and left to the file's buffer, which costs next to nothing.

Each session begins with a line ``{"audit": 1, "started", "clock_s", "pid", "ahead"}``, where
``clock_s`` is the clock of the lines' ``at_s``. Then, per write:

- ``n`` number within the session, ``origin`` (agent, reset or restore), ``knob``, ``requested``
  (the set point it leads to), ``sent``, ``before`` (read just before), ``at_s``
- ``n``, ``read_back``, ``duration_s`` and, where it failed, ``error``; on the same line where
  nothing real moves
"""

import io
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stempilot.errors import RecordError, RunDirError
from stempilot.files import open_own, parse_json, read_lines, recording
from stempilot.instrument.guard import Write

AUDIT = "audit.jsonl"
SCHEMA = 1

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class AuditFile:
    """Appends the writes of a session to the ``audit.jsonl`` of a run directory.

    Args:
        folder: the run directory.
        ahead: append a line before each write, and let none wait in a buffer.

    Raises:
        RecordError: the disk refused.
    """

    def __init__(self, folder: Path, *, ahead: bool) -> None:
        self._ahead = ahead
        self._count = 0
        with recording():
            self._file = open_own(folder / AUDIT, "ab+")
        header = {
            "audit": SCHEMA,
            "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "clock_s": time.monotonic(),
            "pid": os.getpid(),
            "ahead": ahead,
        }
        try:
            self._end_cut_off_line()
            self._append(header)
        except RecordError:
            self.close()
            raise

    def begin(self, write: Write) -> None:
        """Note a write that is about to be sent.

        Raises:
            RecordError: the disk refused.
        """
        self._count += 1
        if self._ahead:
            self._append(self._asked(write))

    def end(self, write: Write) -> None:
        """Note how the last write ended.

        Raises:
            RecordError: the disk refused.
        """
        line: dict[str, Any] = {"n": self._count} if self._ahead else self._asked(write)
        line |= {"read_back": write.read_back, "duration_s": write.duration_s}
        if write.error is not None:
            line["error"] = write.error
        self._append(line)

    def close(self) -> None:
        """Write out what is pending.

        Raises:
            RecordError: the disk refused.
        """
        with recording():
            self._file.close()

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; what ended the session matters more than what cannot be written of it."""
        try:
            self.close()
        except RecordError:
            if error is None:
                raise

    def _asked(self, write: Write) -> dict[str, Any]:
        return {
            "n": self._count,
            "origin": write.origin,
            "knob": write.knob,
            "requested": write.requested,
            "sent": write.value,
            "before": write.before,
            "at_s": write.at_s,
        }

    def _append(self, line: dict[str, Any]) -> None:
        with recording():
            self._file.write(_encode(line).encode() + b"\n")
            if self._ahead:
                self._file.flush()

    def _end_cut_off_line(self) -> None:
        """Let what a killed process left of a line be a line of its own."""
        with recording():
            if self._file.seek(0, io.SEEK_END):
                self._file.seek(-1, io.SEEK_END)
                if self._file.read() != b"\n":
                    self._file.write(b"\n")


def read_audit(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the writes of a run directory in the order in which they were sent.

    Each has the keys that this module lists, with ``session`` counted from 1. A write whose end is
    not on disk has no ``duration_s``: it is unknown whether it took effect.

    Raises:
        RunDirError: there is no audit, or a line is damaged that was not cut off by a killed
            process.
    """
    path = folder / AUDIT
    session, pending = 0, None
    pairs = pairwise(chain(read_lines(path), [b""]))
    for number, (line, following) in enumerate(pairs, start=1):
        content = _parsed(line, cut_off=not following or b'"audit"' in following)
        if content is None:
            msg = f"{path}, line {number} is damaged"
            raise RunDirError(msg)
        if "knob" in content:
            if pending is not None:
                yield pending
            pending = {"session": session, **content}
        elif "audit" in content:
            session += 1
        elif pending is not None and content.get("n") == pending["n"]:
            pending |= content
    if pending is not None:
        yield pending


def _parsed(line: bytes, *, cut_off: bool) -> dict[str, Any] | None:
    """Return the content of a line, nothing of one that was cut off, ``None`` of a damaged one."""
    try:
        content = parse_json(line)
    except ValueError:
        return {} if cut_off or not line.strip() else None
    return content if isinstance(content, dict) else None
