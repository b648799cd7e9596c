"""Train, relearn and run: called by the command line and by scripts alike."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from attrs import evolve

from stempilot.contract.agent import Agent, Learner, RelearnsFromRecord
from stempilot.contract.backend import Backend
from stempilot.contract.task import Task
from stempilot.contract.values import KnobValue
from stempilot.errors import IncompatibleError, RestoreError, RunDirError
from stempilot.files import recording, write_json
from stempilot.instrument.envelope_file import plain_envelope
from stempilot.instrument.unfinished import Ask, decline, require_same
from stempilot.operation.session import Session, open_session
from stempilot.record.log import run_log
from stempilot.record.offers import plain_offers
from stempilot.record.owner import owned, require_working_folder
from stempilot.record.provenance import provenance
from stempilot.record.quantities import goal_kind
from stempilot.record.record import Record
from stempilot.record.run_dir import RESULT, Baseline, RunDir, require_free
from stempilot.record.transitions import read_transitions
from stempilot.runs.acting import run_episodes, run_once
from stempilot.runs.adapting import require_adaptable
from stempilot.runs.board import require_tensorboard
from stempilot.runs.ending import ending
from stempilot.runs.homecoming import come_home, place_seen
from stempilot.runs.job import Job
from stempilot.runs.learning import learn
from stempilot.runs.plans import Plan, default_out
from stempilot.runs.progress import OnProgress, Progress

LEARNING = ("train", "relearn")
"""Commands that need a learner."""


def _ignore(_: Progress) -> None:
    """Show nothing."""


def execute(
    plan: Plan,
    *,
    on_progress: OnProgress = _ignore,
    say: Callable[[str], None] = lambda _: None,
    ask: Ask = decline,
    session: Session | None = None,
) -> dict[str, Any]:
    """Carry out a plan and return its result as plain JSON values.

    Asks no question before a real instrument moves, and writes no report
    (`stempilot.report.write_report`): that is the command line's.

    Args:
        plan: what to do.
        on_progress: told of the progress.
        say: told what a person should know before the instrument moves.
        ask: asked whether the instrument is that of a run before, where that cannot be told.
        session: an opened one of the plan's backend, to be a part of; one is opened without.

    Raises:
        TimeIsUp: a single run has lasted for its minutes.
        StempilotError: see the exit codes in `stempilot.errors`; the instrument was put back
            unless it is a `RestoreError`, which also meets who resumes a run that did not.
    """
    with _owned(plan) as own:
        return _execute(own, on_progress, say, ask, session)


@contextmanager
def _owned(plan: Plan) -> Iterator[Plan]:
    """Keep others out of the run directory of a plan; give it another where none was asked for.

    Raises:
        RunDirError: the directory that was asked for is taken or in use.
    """
    with ExitStack() as held:
        while True:
            try:
                if not plan.resumes:
                    # Before the lock too, which must not lie in a folder that is something else.
                    require_free(plan.out)
                held.enter_context(owned(plan.out))
                if not plan.resumes:
                    require_free(plan.out)
            except RunDirError:
                if plan.out_chosen:
                    raise
                held.close()
                names = (plan.parts.task.name, plan.parts.agent.name)
                plan = evolve(plan, out=default_out(plan.command, *names))
            else:
                break
        yield plan


def _execute(
    plan: Plan,
    on_progress: OnProgress,
    say: Callable[[str], None],
    ask: Ask,
    opened: Session | None,
) -> dict[str, Any]:
    task, agent, kept = prepare(plan)
    backend = opened.backend if opened else plan.parts.make_backend(plan.opening)
    run = _resumed_run(plan, backend) if plan.resumes else _new_run(plan, task, kept)
    for sentence in (*kept, *_warnings(plan, agent, run)):
        say(sentence)
    with (
        run_log(run.path) as log,
        ending(run) as result,
        ExitStack() as afterwards,
        _session(plan, task, backend, run, ask, opened) as session,
        ExitStack() as files,
    ):
        job = Job(
            plan=plan,
            session=session,
            task=task,
            run=run,
            on_progress=on_progress,
            say=say,
            log=log,
            files=files,
            afterwards=afterwards,
        )
        first = None if plan.keep else place_seen(job)
        result.update(_carry_out(job, agent))
        if not plan.keeps or not result.get("success", True):
            result.update(come_home(job, first))
        result.update(command=plan.command, seed=plan.seed, run_dir=str(run.path))
        # Inside the session: what cannot be recorded is put back.
        write_json(run.path / RESULT, result)
    return result


def _session(
    plan: Plan,
    task: Task[Any, Any],
    backend: Backend,
    run: RunDir,
    ask: Ask,
    opened: Session | None,
) -> AbstractContextManager[Session]:
    """Return the session of a run: a part of the opened one, if there is one."""
    keep = partial(_keep_baseline, run, backend, ask=ask)
    if opened is not None:
        return opened.part(task, keep=plan.keeps, run_dir=run.path, on_baseline=keep)
    return open_session(
        backend,
        [task],
        name=plan.parts.backend.name,
        envelope=plan.envelope,
        keep=plan.keeps,
        on_baseline=keep,
        names=[plan.parts.task.name],
        run_dir=run.path,
        accept_position=plan.accept_position,
        ask=ask,
    )


def _keep_baseline(
    run: RunDir, backend: Backend, knobs: Mapping[str, KnobValue], *, ask: Ask
) -> None:
    if run.baseline() is not None:
        require_same(run.identity(), backend, run.path, ask)
    # On resume too: the operator may have left the instrument elsewhere since.
    identity, record = dict(backend.identity()), run.record()
    run.write_baseline(
        Baseline(
            knobs=dict(knobs),
            backend=record.backend,
            settings=record.settings.get("backend", {}),
            seed=record.seed,
            envelope=record.envelope,
            identity=identity,
        )
    )
    run.update_record(
        status="running",
        reason=None,
        displaced=True,
        identity=identity,
        simulated=backend.offers().simulated,
        capabilities=plain_offers(backend.offers()),
    )


def _carry_out(job: Job, agent: Agent) -> dict[str, Any]:
    if job.plan.command in LEARNING and isinstance(agent, Learner):
        return learn(job, agent)
    if job.plan.episodes is None:
        return run_once(job, agent)
    return run_episodes(job, agent, job.plan.episodes)


def prepare(plan: Plan, *, dry_run: bool = False) -> tuple[Task[Any, Any], Agent, tuple[str, ...]]:
    """Return the task and the agent of a plan, and what relearning kept and dropped.

    Args:
        plan: what to do.
        dry_run: check recorded transitions without learning from them.

    Raises:
        ConfigError: an extra that was asked for is not installed.
        IncompatibleError: the agent does not fit the task, or does not learn or adapt where it
            must.
        RunDirError: what the agent goes on from is damaged.
        ConfigError: the working folder is gone.
    """
    require_working_folder()
    if plan.parts.run.tensorboard:
        require_tensorboard()
    task = plan.parts.make_task()
    agent = plan.parts.make_agent(task, plan.seed)
    if plan.command in LEARNING and not isinstance(agent, Learner):
        problem = f"agent {plan.parts.agent.name} does not learn; use it with `stempilot run`"
        raise IncompatibleError([problem])
    kept = _load_agent(plan, task, agent, dry_run=dry_run)
    require_adaptable(plan, agent)
    return task, agent, kept


def untrained(plan: Plan, agent: Agent) -> bool:
    """Return whether a learner is to be run as it is made."""
    return plan.command == "run" and plan.parent is None and isinstance(agent, Learner)


def _warnings(plan: Plan, agent: Agent, run: RunDir) -> Iterator[str]:
    """Yield what makes the result of a plan worth less than it may seem."""
    if plan.resumes and run.progress() is None:
        yield f"nothing that was learnt in {run.path} had been saved; it begins again"
    if untrained(plan, agent):
        yield f"agent {plan.parts.agent.name} was not trained; --policy RUN uses one that was"
    evaluated = plan.parent if plan.command == "run" and plan.episodes is not None else None
    if evaluated is not None and evaluated.record().seed == plan.seed:
        yield (
            f"the training had seed {plan.seed} too, so that these episodes begin where its "
            "episodes began; another --seed gives starts that the policy has not met"
        )


def _load_agent(
    plan: Plan, task: Task[Any, Any], agent: Agent, *, dry_run: bool
) -> tuple[str, ...]:
    """Load what the plan goes on from; return what relearning kept and dropped."""
    if plan.resumes and isinstance(agent, Learner):
        own = RunDir.open(plan.out)
        if own.progress() is not None:
            agent.load(own.agent_folder())
            return ()
    if plan.parent is None or not isinstance(agent, Learner):
        return ()
    agent.load(plan.parent.agent_folder(best=plan.best))
    if plan.log is not None:
        return _relearn_from_log(plan.log, plan, task, agent, dry_run=dry_run)
    return agent.relearn() if plan.command == "relearn" else ()


def _relearn_from_log(
    log: RunDir, plan: Plan, task: Task[Any, Any], agent: Learner, *, dry_run: bool
) -> tuple[str, ...]:
    """Let an agent learn from a run's transitions; return what it kept, dropped and took."""
    if not isinstance(agent, RelearnsFromRecord):
        problem = f"agent {plan.parts.agent.name} cannot learn from recorded transitions"
        raise IncompatibleError([problem])
    recorded = read_transitions(log.path, task.observation_space, task.action_space)
    sentences = [f"{len(recorded)} recorded transitions came from {log.path}."]
    then, now = log.record().config.get("task", {}), plan.parts.resolved()["task"]
    changed = [
        f"{name} was {then[name]}" for name in now if name in then and then[name] != now[name]
    ]
    if changed:
        sentences.append(f"Their rewards are of another task: {', '.join(changed)}.")
    return (*sentences, *(() if dry_run else agent.relearn_from(recorded)))


def _new_run(plan: Plan, task: Task[Any, Any], kept: tuple[str, ...]) -> RunDir:
    run = RunDir.create(plan.out)
    run.write_record(_first_record(plan, task, kept))
    return run


def _resumed_run(plan: Plan, backend: Backend) -> RunDir:
    """Return the run to go on with, unless its baseline is still to be returned to."""
    run = RunDir.open(plan.out)
    left = run.record().must_be_restored and not plan.accept_position
    if left and not backend.offers().simulated:
        msg = (
            f"{run.path} ended without putting the instrument back, or does not say that it did; "
            f"do that first, with `stempilot restore {run.path}`, then resume; or begin where the "
            "knobs stand now, with --accept-position"
        )
        raise RestoreError(msg)
    run.update_record(steps=plan.steps, accept_position=plan.accept_position)
    # What a run said before it was resumed no longer holds.
    with recording():
        (run.path / RESULT).unlink(missing_ok=True)
    return run


def _first_record(plan: Plan, task: Task[Any, Any], kept: tuple[str, ...]) -> Record:
    parts = plan.parts
    return Record(
        status="starting",
        displaced=False,
        command=plan.command,
        task=parts.task.name,
        backend=parts.backend.name,
        agent=parts.agent.name,
        plugins=dict(parts.sources),
        settings=json.loads(json.dumps(parts.settings)),
        config=parts.resolved(),
        goal=goal_kind(task),
        quantities=task.quantities,
        seed=plan.seed,
        instrument_seed=plan.opening.instrument_seed,
        steps=plan.steps,
        episodes=plan.episodes,
        adapt=plan.adapt,
        until_converged=plan.until_converged,
        best=plan.best,
        accept_position=plan.accept_position,
        frames=plan.frames,
        envelope=None if plan.envelope is None else plain_envelope(plan.envelope),
        parent=None if plan.parent is None else str(plan.parent.path.resolve()),
        trained_here=plan.opening.trained_here,
        from_log=None if plan.log is None else str(plan.log.path.resolve()),
        kept_and_dropped=kept,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance(),
    )
