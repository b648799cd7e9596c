"""Struck at every boundary of a step and inside them, a workflow is gone on with to its end."""

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.core.workflow.toys import Column, column_envelope, column_registry

from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import RestoreError
from stempilot.instrument.audit import read_audit
from stempilot.instrument.unfinished import unfinished_runs
from stempilot.record.run_dir import RunDir
from stempilot.runs.plans import Extras
from stempilot.runs.restore import restore
from stempilot.workflow.log import StepLog, read_log
from stempilot.workflow.plans import plan_workflow, plan_workflow_resume
from stempilot.workflow.recorded import run_to_restore, run_workflow
from stempilot.workflow.steps import OperatorStep, Step, Workflow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]

WORKFLOW = Workflow(
    [
        Step(name="coarse", task="centre", agent="exact", options={"tolerance": 0.3}),
        OperatorStep(name="turn", operator="turn the knob a little"),
        Step(
            name="lost",
            task="centre",
            agent="lost",
            options={"tolerance": 1e-6},
            retries=1,
            on_failure="skip",
        ),
        Step(name="fine", task="centre", agent="exact", options={"tolerance": 0.02}),
    ]
)
TURNED_M = 1e-8


class Kept(Column):
    """The column whose knob survives the process that drives it."""

    def __init__(self, file: Path) -> None:
        super().__init__(real=True)
        self.file = file

    def open(self) -> None:
        super().open()
        if self.file.exists():
            self._shift = np.array(json.loads(self.file.read_text()))
            self._played = self._shift.copy()

    def write(self, knob: str, value: Any) -> None:
        super().write(knob, value)
        self.keep()

    def keep(self) -> None:
        self.file.write_text(json.dumps(self._shift.tolist()))


def carry_out(folder: Path, column: Kept) -> dict[str, Any]:
    """Begin the workflow, or go on with it."""
    registry, out = column_registry(column), folder / "flow"

    def turns(question: str) -> bool:
        column._shift = column._shift + TURNED_M
        column.keep()
        return True

    if (out / "workflow.json").exists():
        plan = plan_workflow_resume(registry, WORKFLOW, out)
    else:
        extras = Extras(out=out, envelope=column_envelope())
        plan = plan_workflow(registry, WORKFLOW, backend="column", extras=extras)
    return run_workflow(plan, operator=turns)


def struck(
    folder: Path, number: int, prepare: Callable[[Kept, Callable[[int], None]], None]
) -> int:
    """Carry out the workflow in a process that is struck, and return how that ended.

    Args:
        folder: of the workflow.
        number: of the signal.
        prepare: puts in place what calls its second argument with a count.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        column = Kept(folder / "knob.json")
        prepare(column, lambda _: os.kill(os.getpid(), number))
        code = 0 if carry_out(folder, column)["success"] else 1
    except KeyboardInterrupt:
        code = 130
    finally:
        os._exit(code)


def at_line(which: int) -> Callable[[Kept, Callable[[int], None]], None]:
    """Return what strikes before a line of the log is written; at 0, after the last one."""

    def prepare(column: Kept, strike: Callable[[int], None]) -> None:
        add, count = StepLog.add, [0]

        def adding(self: Any, event: str, **what: Any) -> Any:
            count[0] += 1
            if count[0] == which:
                strike(which)
            line = add(self, event, **what)
            if which == 0 and what.get("step") == "fine" and event == "done":
                strike(which)
            return line

        StepLog.add = adding  # type: ignore[method-assign]

    return prepare


def at_write(which: int) -> Callable[[Kept, Callable[[int], None]], None]:
    """Return what strikes before a write."""

    def prepare(column: Kept, strike: Callable[[int], None]) -> None:
        column.before_write = lambda count: strike(count) if count == which else None

    return prepare


def finished(folder: Path) -> None:
    """Go on until the end, as the messages say, and check what was done."""
    flow, column = folder / "flow", Kept(folder / "knob.json")
    try:
        result = carry_out(folder, column)
    except RestoreError:
        restore(column_registry(Kept(folder / "knob.json")), run_to_restore(flow))
        assert unfinished_runs() == []
        result = carry_out(folder, column)
    assert result["success"]
    last = flow / read_log(flow)[-2]["run"]
    baseline = RunDir(last).baseline()
    assert baseline is not None
    ends = [baseline.knobs[BEAM_SHIFT], *(each["read_back"] for each in read_audit(last))]
    assert json.loads((folder / "knob.json").read_text()) == list(ends[-1])
    assert put_back_before_the_next(flow) >= 2


def put_back_before_the_next(flow: Path) -> int:
    """Check that each failed try was put back before the next began; return how many there were."""
    lines, failed = read_log(flow), 0
    for begun, ended, following in zip(lines, lines[1:], lines[2:], strict=False):
        if ended["event"] != "failed":
            continue
        baseline = RunDir(flow / begun["run"]).baseline()
        writes = list(read_audit(flow / begun["run"]))
        # Whoever goes on asks the operator again, who writes nothing.
        after = list(read_audit(flow / following["run"])) if "run" in following else []
        assert baseline is not None
        assert tuple(writes[-1]["read_back"]) == baseline.knobs[BEAM_SHIFT]
        assert not after or writes[-1]["at_s"] + writes[-1]["duration_s"] <= after[0]["at_s"]
        failed += 1
    return failed


def rehearsed(folder: Path) -> tuple[int, int]:
    """Return how many lines and writes the workflow has."""
    folder.mkdir()
    column = Kept(folder / "knob.json")
    assert carry_out(folder, column)["success"]
    return len(read_log(folder / "flow")), len(column.writes)


@pytest.mark.parametrize("number", [signal.SIGINT, 9])
def test_a_workflow_that_is_struck_is_gone_on_with(tmp_path: Path, number: int) -> None:
    lines, writes = rehearsed(tmp_path / "rehearsal")
    blows = [at_line(which) for which in range(lines + 1)]
    blows += [at_write(which) for which in range(0, writes, 4)]
    for count, prepare in enumerate(blows):
        folder = tmp_path / str(count)
        folder.mkdir()
        code = struck(folder, number, prepare)
        assert code == (130 if number == signal.SIGINT else -9), count
        finished(folder)
