"""What a recorded workflow is to do: a plan, checked before anything is opened."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from attrs import evolve, field, frozen, validators

from stempilot.contract.agent import Agent
from stempilot.contract.backend import Backend, Opening
from stempilot.contract.task import Task
from stempilot.errors import ConfigError, IncompatibleError, RunDirError
from stempilot.instrument.envelope import Envelope
from stempilot.instrument.fit import mismatches
from stempilot.plugins.options import plain
from stempilot.plugins.parts import Sections, options_class, part
from stempilot.plugins.registry import Registry
from stempilot.plugins.suggest import meant
from stempilot.record.record import FramePolicy, allowed
from stempilot.record.run_dir import read_checked
from stempilot.runs.execute import prepare
from stempilot.runs.plans import Extras, Plan, default_out, plan_run
from stempilot.workflow.file import with_settings
from stempilot.workflow.log import Line, StepLog, read_log
from stempilot.workflow.operator import impossible, not_read
from stempilot.workflow.steps import RESERVED, AnyStep, OperatorStep, Step, Workflow

WORKFLOW = "workflow.json"


@frozen(kw_only=True)
class WorkflowRecord:
    """``workflow.json``: what a workflow is, and how it ended.

    Attributes:
        workflow: what it is called.
        file: where it was read from.
        backend: name of the backend.
        settings: what was set beside the file, by step and ``backend``.
        seed: of the first try.
        frames: which frames are kept.
        envelope: the content of the envelope file.
        steps: all steps with their options.
        status: running, done, stopped or interrupted.
        reason: why it did not come to its end.
    """

    workflow: str
    file: str
    backend: str
    settings: dict[str, dict[str, Any]]
    seed: int = field(validator=validators.ge(0))
    frames: FramePolicy | None = None
    envelope: dict[str, Any] | None = None
    steps: tuple[dict[str, Any], ...]
    status: str = "running"
    reason: str = ""


@frozen(kw_only=True)
class WorkflowPlan:
    """A workflow that is to be recorded.

    Attributes:
        workflow: its steps, with all options set.
        registry: what is installed.
        backend: name of the backend.
        settings: what was set beside the file, by step and ``backend``.
        seed: of the first try; later ones count on from it.
        envelope: what the site allows.
        frames: which frames are kept.
        accept_position: begin where the knobs stand, also where a run before left them displaced.
        out: the run directory of the whole.
        resumes: go on in a directory that is there, instead of beginning a new one.
        lines: the log so far.
        file: where it was read from, for messages.
    """

    workflow: Workflow
    registry: Registry = field(repr=False)
    backend: str
    settings: Sections = field(factory=dict)
    seed: int = 0
    envelope: Envelope | None = None
    frames: FramePolicy | None = None
    accept_position: bool = False
    out: Path
    resumes: bool = False
    lines: tuple[Line, ...] = ()
    file: str = "workflow"

    def make_backend(self) -> Backend:
        """Return the backend, not opened."""
        made = part(self.registry, "backend", self.backend, self.settings.get(RESERVED, {}))
        opening = Opening(purpose="run", seed=self.seed, instrument_seed=self.seed)
        backend: Backend = made.load(opening)
        return backend

    def of_step(
        self, step: Step, values: Mapping[str, Any], *, out: Path | None = None, seed: int = 0
    ) -> Plan:
        """Return the plan of a try of a step.

        Args:
            step: what is to be played.
            values: options that come from inputs.
            out: its run directory.
            seed: of the agent.

        Raises:
            ConfigError: an option is unknown or out of range; the message names file and step.
            IncompatibleError: the policy is of another task.
        """
        with self.named(step):
            if isinstance(step.agent, Agent):
                msg = "a recorded workflow takes agents by their names"
                raise ConfigError(msg)
            backend = self.settings.get(RESERVED, {})
            planned = plan_run(
                self.registry,
                task=step.task,
                agent=step.agent,
                policy=step.policy,
                backend=self.backend,
                settings={"task": {**step.options, **values}, "backend": backend},
                extras=Extras(
                    seed=seed,
                    out=out,
                    frames=self.frames,
                    envelope=self.envelope,
                    minutes=step.minutes,
                ),
            )
        # All steps are played on the instrument of the workflow, whatever agents were trained on.
        opening = evolve(planned.opening, instrument_seed=self.seed)
        return evolve(planned, opening=opening)

    @contextmanager
    def named(self, step: AnyStep) -> Iterator[None]:
        """Name file and step in what is wrong with a step."""
        where = f"{self.file}, step {step.name}"
        try:
            yield
        except IncompatibleError as error:
            problems = [f"{where}: {problem}" for problem in error.problems]
            raise IncompatibleError(problems) from error
        except ConfigError as error:
            msg = f"{where}: {error}"
            raise type(error)(msg) from error


def plan_workflow(
    registry: Registry,
    workflow: Workflow,
    *,
    backend: str | None = None,
    settings: Sections | None = None,
    extras: Extras | None = None,
    file: str = "workflow",
) -> WorkflowPlan:
    """Return the plan of a workflow from its beginning.

    Args:
        registry: what is installed.
        workflow: its steps.
        backend: name of the backend; the default one when ``None``.
        settings: options of the steps' tasks by step, and of the backend as ``backend``.
        extras: seed, out, frames, envelope and accept_position.
        file: where it was read from, for messages.

    Raises:
        ConfigError: the steps do not fit together.
    """
    extras, settings = extras or Extras(), settings or {}
    return WorkflowPlan(
        workflow=with_settings(workflow, settings),
        registry=registry,
        backend=backend or registry.default("backend"),
        settings=settings,
        seed=extras.seed,
        envelope=extras.envelope,
        frames=extras.frames,
        accept_position=extras.accept_position,
        out=extras.out or default_out("workflow", workflow.name),
        file=file,
    )


def plan_workflow_resume(
    registry: Registry,
    workflow: Workflow,
    run: str | Path,
    *,
    settings: Sections | None = None,
    accept_position: bool = False,
    file: str = "workflow",
) -> WorkflowPlan:
    """Return the plan of going on with a workflow that was stopped or killed.

    Args:
        registry: what is installed.
        workflow: its steps; those that are done must be what they were.
        run: the run directory of the whole.
        settings: what is set beside what the run was begun with.
        accept_position: begin where the knobs stand, also where a run before left them displaced.
        file: where it was read from, for messages.

    Raises:
        RunDirError: it is no workflow, came to its end, or a step that is done was changed.
    """
    path, given = Path(run), settings or {}
    record, lines = read_checked(path / WORKFLOW, WorkflowRecord), tuple(read_log(path))
    settings = {
        name: {**record.settings.get(name, {}), **given.get(name, {})}
        for name in {*record.settings, *given}
    }
    workflow = with_settings(workflow, settings)
    _require_unchanged(path, record.steps, workflow, StepLog(list(lines)).passed())
    if record.status == "done":
        msg = f"{path} came to its end; there is nothing to go on with"
        raise RunDirError(msg)
    return WorkflowPlan(
        workflow=workflow,
        registry=registry,
        backend=record.backend,
        settings=settings,
        seed=record.seed,
        envelope=allowed(record.envelope, WORKFLOW),
        frames=record.frames,
        accept_position=accept_position,
        out=path,
        resumes=True,
        lines=lines,
        file=file,
    )


def _require_unchanged(
    path: Path, recorded: Sequence[Any], workflow: Workflow, passed: list[str]
) -> None:
    now = [described(step) for step in workflow.steps]
    for number, name in enumerate(passed):
        then = recorded[number] if number < len(recorded) else None
        if number >= len(now) or now[number] != then:
            changed = now[number]["name"] if number < len(now) else "missing"
            msg = (
                f"{path} has done step {name}, which is not what the workflow has there now "
                f"({changed}): change only steps that are still to be done, or begin a new run"
            )
            raise RunDirError(msg)


def described(step: AnyStep) -> dict[str, Any]:
    """Return a step as plain JSON values."""
    return {key: value for key, value in plain(step).items() if value not in (None, {}, [])}


def check_workflow(plan: WorkflowPlan) -> list[dict[str, str]]:
    """Check all steps without opening the instrument, and describe each.

    Raises:
        ConfigError: an option or an input is unknown, or out of range.
        IncompatibleError: task, agent and backend of a step do not fit, or an operator's step asks
            for a state that the backend does not know.
        RunDirError: a policy is not trained, or damaged.
    """
    offers, rows = plan.make_backend().offers(), []
    for step in plan.workflow.steps:
        if isinstance(step, OperatorStep):
            with plan.named(step):
                problems = impossible(step, offers)
                if problems:
                    raise IncompatibleError(problems)
            unread = ", ".join(not_read(step, offers))
            what = f"{step.operator}" + (f" (cannot be read back: {unread})" if unread else "")
            rows.append({"step": step.name, "who": "operator", "what": what, "moves": ""})
            continue
        task, agent = _made(plan, step)
        with plan.named(step):
            found = mismatches(task.needs, offers, task=step.task, backend=plan.backend)
            if found:
                raise IncompatibleError(found)
        moves = ", ".join(task.needs.knobs)
        rows.append({"step": step.name, "who": agent, "what": step.task, "moves": moves})
    return rows


def _made(plan: WorkflowPlan, step: Step) -> tuple[Task[Any, Any], str]:
    """Return the task of a step, and who plays it."""
    with plan.named(step):
        known = [
            each.name for each in attrs.fields(options_class(plan.registry, "task", step.task))
        ]
        for option in step.inputs:
            if option not in known:
                msg = f"input {option} is no option of {step.task}; {meant(option, known)}"
                raise ConfigError(msg)
    one = plan.of_step(step, {})
    with plan.named(step):
        return prepare(one)[0], one.parts.agent.name


def tasks_of(plan: WorkflowPlan) -> tuple[list[str], list[Task[Any, Any]]]:
    """Return the names of the steps with a task, and their tasks without what comes from inputs."""
    steps = [step for step in plan.workflow.steps if isinstance(step, Step)]
    return [step.name for step in steps], [plan.of_step(s, {}).parts.make_task() for s in steps]
