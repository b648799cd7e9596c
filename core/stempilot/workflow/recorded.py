"""Carries out a workflow with a run directory: the log of its steps, and a run for each try."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from os.path import lexists
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from stempilot.errors import BudgetSpentError, RunDirError, StempilotError
from stempilot.files import write_json
from stempilot.instrument.envelope_file import plain_envelope
from stempilot.instrument.opening import open_instrument
from stempilot.instrument.signals import interrupts_once
from stempilot.instrument.unfinished import Ask, decline
from stempilot.operation.session import Session, open_session
from stempilot.plugins.options import plain
from stempilot.record.owner import owned
from stempilot.record.provenance import provenance
from stempilot.record.run_dir import BASELINE, RunDir, require_free
from stempilot.runs.execute import execute
from stempilot.runs.job import TimeIsUp
from stempilot.workflow.engine import Engine, Tried, result_of
from stempilot.workflow.log import STEPS, OnLine, StepLog, kept_in, read_log, run_of
from stempilot.workflow.plans import WORKFLOW, WorkflowPlan, WorkflowRecord, described, tasks_of
from stempilot.workflow.steps import Step

Say = Callable[[str], None]


def run_workflow(
    plan: WorkflowPlan,
    *,
    operator: Ask = decline,
    on_line: OnLine = lambda _: None,
    say: Say = lambda _: None,
    ask: Ask = decline,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Carry out a workflow and return its result as plain JSON values.

    Asks no question before a real instrument moves, and writes no report.

    Args:
        plan: what to do.
        operator: asked whether a person has done a step.
        on_line: told of each line of the log.
        say: told what a person should know.
        ask: asked whether the instrument is that of a run before, where that cannot be told.
        sleep: waits for the next repetition; seconds.

    Raises:
        OperatorError: an operator's step was not confirmed; go on by `plan_workflow_resume`.
        StempilotError: see the exit codes in `stempilot.errors`; what the step under way had moved
            was put back unless it is a `RestoreError`, and what was done before is kept.
    """
    with _owned(plan), interrupts_once(), _ending(plan) as result, kept_in(plan.out) as keep:
        log = StepLog(list(plan.lines), (keep, on_line))
        carrying = _Recorded(plan=plan, log=log, operator=operator, say=say, ask=ask, sleep=sleep)
        stopped = carrying.carry_out()
        done = result_of(log, stopped)
        products = {
            f"{line['step']}.{name}": one
            for line in log.lines
            for name, one in line.get("products", {}).items()
        }
        result.update(
            workflow=plan.workflow.name,
            success=done.success,
            reason=done.reason,
            steps=len(log.passed()),
            products=products,
            run_dir=str(plan.out),
        )
    return result


def standing(plan: WorkflowPlan) -> dict[str, str]:
    """Return where the knobs stand that the steps move, and within which limits, by reading alone.

    Raises:
        StempilotError: whatever the workflow would run into before its first step.
    """
    names, tasks = tasks_of(plan)
    backend = plan.make_backend()
    with open_instrument(
        backend,
        [(name, task.needs) for name, task in zip(names, tasks, strict=True)],
        name=plan.backend,
        envelope=plan.envelope,
        accept_position=plan.accept_position,
        any_state=True,
    ) as instrument:
        return {
            knob: f"now at {list(instrument.baseline[knob])}, within {list(spec.lower)} to "
            f"{list(spec.upper)} {spec.unit}, at most {list(spec.max_change)} a step"
            for knob, spec in instrument.guard.limits.items()
        }


@define(kw_only=True)
class _Recorded:
    """A workflow that is being carried out, in its run directory."""

    plan: WorkflowPlan
    log: StepLog
    operator: Ask
    say: Say
    ask: Ask
    sleep: Callable[[float], None]
    _began_s: float = field(default=0.0, init=False)
    _end: datetime | None = field(init=False)

    def carry_out(self) -> str:
        """Go through the steps, as often as they repeat; return why one stopped it.

        Each repetition has a session of its own, with the instrument free in between. A simulated
        one is kept open: it would forget where it stood.
        """
        with self._session() as session:
            simulated = session.backend.offers().simulated
            if simulated and self.plan.resumes:
                self.say(
                    "a simulated instrument shows nothing of what was done before it is resumed"
                )
            stopped, places = self._once(session), session.guard.places()
            while simulated and not stopped and self._again():
                stopped = self._once(session)
        while not simulated and not stopped and self._again():
            with self._session() as session:
                # Whoever moved a knob since was a person.
                session.guard.expect(places)
                stopped, places = self._once(session), session.guard.places()
        return stopped

    def _again(self) -> bool:
        """Wait for the next repetition, if there is one."""
        workflow, now = self.plan.workflow, datetime.now(UTC)
        if workflow.every_minutes is None:
            return False
        wait_s = max(0.0, self._began_s + 60.0 * workflow.every_minutes - time.monotonic())
        if self._end and now + timedelta(seconds=wait_s) > self._end:
            return False
        self.sleep(wait_s)
        self.log.add("repeated")
        return True

    @_end.default
    def _until(self) -> datetime | None:
        """Return when the workflow's time of day comes next."""
        until, now = self.plan.workflow.until, datetime.now(UTC).astimezone()
        if until is None:
            return None
        end = datetime.combine(now.date(), until, now.tzinfo)
        return end if end > now else end + timedelta(days=1)

    def _session(self) -> AbstractContextManager[Session]:
        plan, (names, tasks) = self.plan, tasks_of(self.plan)
        return open_session(
            plan.make_backend(),
            tasks,
            names=names,
            name=plan.backend,
            envelope=plan.envelope,
            run_dir=plan.out,
            accept_position=plan.accept_position,
            ask=self.ask,
            in_parts=True,
        )

    def _once(self, session: Session) -> str:
        self._began_s = time.monotonic()
        return Engine(
            workflow=self.plan.workflow,
            session=session,
            play=self._player(session),
            name_run=lambda step, number: f"steps/{number:02d}-{step.name}",
            operator=self.operator,
            log=self.log,
        ).go()

    def _player(self, session: Session) -> Callable[[Step, Mapping[str, Any], int, str], Tried]:
        def play(step: Step, values: Mapping[str, Any], number: int, run: str) -> Tried:
            seed = self.plan.seed + number - 1
            planned = self.plan.of_step(step, values, out=self.plan.out / run, seed=seed)
            try:
                result = execute(planned, session=session, say=self.say, ask=self.ask)
            except TimeIsUp as late:
                return Tried(success=False, reason=str(late))
            if result["budget_spent"]:
                raise BudgetSpentError(result["budget_spent"])
            reason = result["reason"] or ("" if result["success"] else result["outcome"])
            return Tried(success=result["success"], products=result["products"], reason=reason)

        return play


@contextmanager
def _owned(plan: WorkflowPlan) -> Iterator[None]:
    """Keep others out of the run directory."""
    if not plan.resumes:
        # Before the lock too, which must not lie in a folder that is something else.
        require_free(plan.out)
    with owned(plan.out):
        if not plan.resumes:
            require_free(plan.out)
        yield


@contextmanager
def _ending(plan: WorkflowPlan) -> Iterator[dict[str, Any]]:
    """Write ``workflow.json``, and note in it how the workflow ends."""
    record = WorkflowRecord(
        workflow=plan.workflow.name,
        file=plan.file,
        backend=plan.backend,
        settings={name: dict(values) for name, values in plan.settings.items()},
        seed=plan.seed,
        frames=plan.frames,
        envelope=None if plan.envelope is None else plain_envelope(plan.envelope),
        steps=tuple(described(step) for step in plan.workflow.steps),
    )
    origin = {"started": datetime.now(UTC).isoformat(timespec="seconds"), **provenance()}

    def write(status: str, reason: str = "") -> None:
        content = plain(evolve(record, status=status, reason=reason))
        write_json(plan.out / WORKFLOW, {**content, **origin})

    write("running")
    result: dict[str, Any] = {}
    try:
        yield result
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped"
        # The disk that failed the workflow may refuse this too; the first error matters more.
        with suppress(StempilotError):
            write(status, str(error) or repr(error))
        raise
    write("done" if result["success"] else "stopped", result["reason"])


def is_workflow(run: Path) -> bool:
    """Return whether a run directory is that of a workflow."""
    return lexists(run / WORKFLOW) or lexists(run / STEPS)


def run_to_restore(run: Path) -> Path:
    """Return the run of a workflow's last step, which is to be put back; other runs as they are.

    Raises:
        RunDirError: that step left the knobs where they belong.
    """
    if not is_workflow(run):
        return run
    begun = [line for line in read_log(run) if line["event"] == "began"]
    last = run_of(run, begun[-1]) if begun else None
    moved = last is not None and (last / BASELINE).exists()
    if last is None or not moved or not RunDir(last).record().must_be_restored:
        msg = f"{run} left the knobs where they belong; there is nothing to put back"
        raise RunDirError(msg)
    return last
