"""``steps.jsonl``: what became of each step, on disk line by line.

A try of a step has a line when it begins and one when it has ended, both with its number ``n``,
the ``step``, the time ``at`` and the ``event``: ``began``; then ``done``, ``failed``,
``interrupted`` or ``stopped``. A first line may have ``run``, the folder of the step's run, and
``values``, the options that came from inputs; a last line has ``then``, what was decided, and may
have ``reason``, ``products``, and of an operator's step ``read_back`` and ``not_read``. A line
``repeated`` stands where a workflow that repeats begins again.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import field, frozen

from stempilot.errors import RunDirError
from stempilot.files import open_own, parse_json, read_lines, recording, require_no_link
from stempilot.workflow.steps import BACK_TO, SKIP

STEPS = "steps.jsonl"
PRODUCT = {"value", "unit", "uncertainty"}
"""What a line tells of each product."""

Line = Mapping[str, Any]
OnLine = Callable[[Line], None]


@frozen
class StepLog:
    """The lines of a workflow, first in memory, and told to whoever keeps or shows them.

    Attributes:
        lines: so far.
    """

    lines: list[Line] = field(factory=list)
    _told: Sequence[OnLine] = ()

    def add(self, event: str, **what: Any) -> Line:
        """Add a line, and return it; raises as those that are told."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {
            "at": at,
            "event": event,
            **{k: v for k, v in what.items() if v not in ({}, [], "")},
        }
        self.lines.append(line)
        for tell in self._told:
            tell(line)
        return line

    def begin(self, step: str, **what: Any) -> int:
        """Note that a step begins, and return the number of the try."""
        number = self.next_number
        self.add("began", n=number, step=step, **what)
        return number

    @property
    def next_number(self) -> int:
        """The number of the next try."""
        return 1 + [line["event"] for line in self.lines].count("began")

    def passed(self) -> list[str]:
        """Return the steps that were done or skipped since the last repetition, in their order."""
        passed: list[str] = []
        for line in self._since_repeated():
            then = str(line.get("then", ""))
            if then.startswith(BACK_TO):
                target = then.removeprefix(BACK_TO)
                passed = passed[: passed.index(target)] if target in passed else passed
            elif (line["event"] == "done" or then == SKIP) and line["step"] not in passed:
                passed.append(line["step"])
        return passed

    def went_back(self, step: str) -> bool:
        """Return whether a failure of this step has led back to an earlier one already."""
        return any(
            line.get("step") == step and str(line.get("then", "")).startswith(BACK_TO)
            for line in self._since_repeated()
        )

    def products(self) -> dict[str, Mapping[str, Any]]:
        """Return what each step handed on when it was last tried."""
        ended = [line for line in self._since_repeated() if line["event"] != "began"]
        return {line["step"]: line.get("products", {}) for line in ended}

    def _since_repeated(self) -> list[Line]:
        events = [line["event"] for line in self.lines]
        return (
            self.lines[len(events) - events[::-1].index("repeated") :]
            if "repeated" in events
            else self.lines
        )


@contextmanager
def kept_in(folder: Path) -> Iterator[OnLine]:
    """Append lines to the log of a folder; each is on the disk when the call returns.

    What a killed process left of a line is removed.

    Raises:
        RecordError: the disk refused.
    """
    with recording(), open_own(folder / STEPS, "ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)

        def keep(line: Line) -> None:
            with recording():
                file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

        yield keep


def run_of(folder: Path, line: Line) -> Path | None:
    """Return the run that a line names; ``None`` where it names none that is there.

    Raises:
        RunDirError: what it names is not what a workflow makes.
    """
    name = line.get("run")
    if name is None:
        return None
    if not (isinstance(name, str) and re.fullmatch(r"steps/\d+-[A-Za-z0-9_-]+", name)):
        msg = f"{folder / STEPS} names a run {name!r}; those of steps lie in {folder / 'steps'}"
        raise RunDirError(msg)
    run = folder / name
    require_no_link(run, folder)
    return run if run.is_dir() else None


def read_log(folder: Path) -> list[Line]:
    """Return the lines of a folder's log; a last line that was cut off is left out.

    Raises:
        RunDirError: there is none, or a line is damaged.
    """
    return list(_parsed(folder / STEPS, read_lines(folder / STEPS)))


def _parsed(path: Path, lines: Iterable[bytes]) -> Iterator[Line]:
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            return
        try:
            content = parse_json(line)
        except ValueError:
            content = None
        if not _is_line(content):
            msg = f"{path}, line {number} is damaged"
            raise RunDirError(msg)
        yield content


def _is_line(content: Any) -> bool:
    """Return whether what every reader relies on is there."""
    if not isinstance(content, dict) or not isinstance(content.get("event"), str):
        return False
    products, step = content.get("products", {}), content.get("step")
    return (isinstance(step, str) or content["event"] == "repeated") and (
        isinstance(products, dict)
        and all(isinstance(one, dict) and one.keys() >= PRODUCT for one in products.values())
        and all(isinstance(one["value"], float | int | None) for one in products.values())
    )
