"""What is to be done: a plan holds all that train, relearn and run need, checked and unloaded."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import converters, evolve, field, frozen

from stempilot.contract.backend import Opening, Purpose
from stempilot.contract.task import Reading
from stempilot.errors import ConfigError, IncompatibleError, RunDirError
from stempilot.instrument.envelope import Envelope
from stempilot.plugins import options as config
from stempilot.plugins.no_agent import NO_AGENT
from stempilot.plugins.parts import Composition, Sections, compose, part
from stempilot.plugins.registry import Registry
from stempilot.record.record import FramePolicy, Record
from stempilot.record.run_dir import RunDir


@frozen(kw_only=True)
class Plan:
    """What is to be done; made by `plan_train`, `plan_relearn`, `plan_resume` and `plan_run`.

    Attributes:
        command: train, relearn or run.
        parts: task, backend and agent.
        seed: seed of the run.
        opening: what the backend is told.
        steps: timesteps to train in all; 0 for a run.
        episodes: episodes to evaluate; ``None`` to run once from where the instrument stands.
        parent: run directory that the agent comes from.
        log: run directory whose recorded transitions relearning begins with.
        resumes: go on in the parent's directory instead of beginning a new one.
        out: the run directory.
        out_chosen: whether it was asked for; else another is taken where this one is by then.
        frames: which frames are kept.
        envelope: what the site allows.
        keep: leave the knobs where the run brought them; ``None`` for what the command does.
        adapt: relearn when the policy of a run finds the response changed.
        best: take the parent's best agent and not its last.
        until_converged: end training as soon as it has converged.
        minutes: after how long the run ends as by Ctrl-C; ``None`` for no limit.
        accept_position: begin where the knobs stand, also where a run before left them displaced.
    """

    command: str
    parts: Composition
    seed: int
    opening: Opening
    steps: int = 0
    episodes: int | None = None
    parent: RunDir | None = None
    log: RunDir | None = None
    resumes: bool = False
    out: Path = field(factory=Path)
    out_chosen: bool = True
    frames: FramePolicy = field(factory=FramePolicy)
    envelope: Envelope | None = None
    keep: bool | None = None
    adapt: bool = False
    best: bool = False
    until_converged: bool = False
    minutes: float | None = None
    accept_position: bool = False

    @property
    def keeps(self) -> bool:
        """Whether the knobs stay where the run brings them."""
        acts = self.parts.agent.name != NO_AGENT
        plain_run = self.command == "run" and self.episodes is None and acts
        return plain_run if self.keep is None else self.keep


@frozen(kw_only=True)
class Extras:
    """Options that all plans share; see `Plan`."""

    seed: int = 0
    out: Path | None = field(default=None, converter=converters.optional(Path))
    frames: FramePolicy | None = None
    envelope: Envelope | None = None
    keep: bool | None = None
    adapt: bool = False
    best: bool = False
    until_converged: bool = False
    minutes: float | None = None
    accept_position: bool = False


def plan_train(
    registry: Registry,
    *,
    task: str,
    agent: str | None = None,
    steps: int,
    backend: str | None = None,
    settings: Sections | None = None,
    extras: Extras | None = None,
) -> Plan:
    """Return the plan of training an agent from scratch.

    Raises:
        ConfigError: something is unknown or out of range.
    """
    extras = _checked(extras)
    parts = compose(
        registry,
        task=task,
        backend=backend or registry.default("backend"),
        agent=agent or registry.default("agent"),
        settings=settings or {},
    )
    opening = Opening(purpose="train", seed=extras.seed, instrument_seed=extras.seed)
    return _plan("train", parts, opening, extras, steps=config.whole("steps", steps, least=1))


def plan_relearn(
    registry: Registry,
    parent: str | Path,
    *,
    steps: int,
    backend: str | None = None,
    settings: Sections | None = None,
    extras: Extras | None = None,
    from_log: str | Path | None = None,
) -> Plan:
    """Return the plan of going on with a trained agent on a changed instrument.

    Args:
        registry: what is installed.
        parent: run directory of the agent.
        steps: timesteps to learn.
        backend: the instrument to go on with, where it is another one; its options begin at their
            defaults.
        settings: what changes, by section.
        extras: further options.
        from_log: run directory whose recorded transitions to learn from before the first action.

    Raises:
        RunDirError: the parent holds no trained agent, or the log is no run.
        ConfigError: something is unknown or out of range.
        IncompatibleError: the log is of another task, or of other spaces.
    """
    extras = _checked(extras)
    run, record = _trained(parent, best=extras.best)
    parts = _compose_from(registry, record, settings or {}, backend=backend)
    opening = Opening(
        purpose="train",
        seed=extras.seed,
        instrument_seed=record.instrument_seed,
        trained_here=parts.backend.name == record.backend,
    )
    steps = config.whole("steps", steps, least=1)
    log = None if from_log is None else _log(registry, parts, from_log)
    return _plan("relearn", parts, opening, extras, steps=steps, parent=run, log=log)


def plan_resume(
    registry: Registry,
    run: str | Path,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    accept_position: bool = False,
) -> Plan:
    """Return the plan of going on with a training that was interrupted.

    Args:
        registry: what is installed.
        run: its run directory.
        steps: timesteps in all; what the run was begun with when ``None``.
        minutes: after how long the run ends as by Ctrl-C; ``None`` for no limit.
        accept_position: begin where the knobs stand, also where a run before left them displaced.

    Raises:
        RunDirError: the directory holds no training, or one that has all its timesteps.
    """
    _require_time(minutes)
    directory = RunDir.open(run)
    record = directory.record()
    if not record.trains:
        msg = f"{run} is a {record.command}; only a train or relearn can be resumed"
        raise RunDirError(msg)
    total = record.steps if steps is None else config.whole("steps", steps, least=1)
    progress = directory.progress()
    done = 0 if progress is None else progress["timesteps"]
    converged = record.until_converged and steps is None
    if record.status == "done" and (done >= total or converged):
        msg = f"{run} has its {done} timesteps; for more, ask for more than {done} steps"
        raise RunDirError(msg)
    parts = _compose_from(registry, record, {})
    opening = Opening(
        purpose="train",
        seed=record.seed,
        instrument_seed=record.instrument_seed,
        trained_here=record.trained_here,
    )
    # Only needed until the learner was saved for the first time, by when they may be gone.
    saved = progress is not None
    parent = None if saved or record.parent is None else RunDir.open(Path(record.parent))
    from_log = None if saved else record.from_log
    return Plan(
        command=record.command,
        parts=parts,
        seed=record.seed,
        opening=opening,
        steps=total,
        parent=parent,
        log=None if from_log is None else _log(registry, parts, Path(from_log)),
        resumes=True,
        out=directory.path,
        frames=record.frames,
        envelope=record.allowed(),
        until_converged=converged,
        minutes=minutes,
        accept_position=accept_position,
    )


def plan_run(
    registry: Registry,
    *,
    task: str,
    agent: str | None = None,
    policy: str | Path | None = None,
    backend: str | None = None,
    episodes: int | None = None,
    settings: Sections | None = None,
    extras: Extras | None = None,
) -> Plan:
    """Return the plan of running an agent, or a trained policy, once or for evaluation.

    A task that only measures takes neither agent nor policy.

    Raises:
        ConfigError: not exactly one of ``agent`` and ``policy`` for a task that acts, or something
            out of range.
        RunDirError: the policy's directory holds no trained agent.
    """
    extras = _checked(extras)
    settings = settings or {}
    neither = agent is None and policy is None
    if (neither and not only_measures(registry, task, settings)) or None not in {agent, policy}:
        msg = (
            "give either the name of an agent or a policy, a trained run directory, and neither "
            "for a task that only measures"
        )
        raise ConfigError(msg)
    if episodes is not None:
        episodes = config.whole("episodes", episodes, least=1)
    purpose: Purpose = "run" if episodes is None else "evaluate"
    if extras.best and policy is None:
        msg = "the best agent is that of a trained run directory; give one as policy"
        raise ConfigError(msg)
    if policy is None:
        name = backend or registry.default("backend")
        parts = compose(
            registry, task=task, backend=name, agent=agent or NO_AGENT, settings=settings
        )
        opening = Opening(purpose=purpose, seed=extras.seed, instrument_seed=extras.seed)
        return _plan("run", parts, opening, extras, episodes=episodes)
    run, record = _trained(policy, best=extras.best)
    if record.task != task:
        problem = f"{policy} was trained for {record.task}, not for {task}"
        raise IncompatibleError([problem])
    parts = _compose_from(registry, record, settings, backend=backend)
    opening = Opening(
        purpose=purpose,
        seed=extras.seed,
        instrument_seed=record.instrument_seed,
        trained_here=parts.backend.name == record.backend,
    )
    return _plan("run", parts, opening, extras, episodes=episodes, parent=run)


def only_measures(registry: Registry, task: str, settings: Sections) -> bool:
    """Return whether a task is a `Reading`, which has no agent."""
    return isinstance(part(registry, "task", task, settings.get("task", {})).load(), Reading)


def _plan(command: str, parts: Composition, opening: Opening, extras: Extras, **what: Any) -> Plan:
    once = command == "run" and what.get("episodes") is None
    return Plan(
        command=command,
        parts=parts,
        seed=extras.seed,
        opening=opening,
        out=extras.out or default_out(command, parts.task.name, parts.agent.name),
        out_chosen=extras.out is not None,
        frames=extras.frames or FramePolicy(ends=once),
        envelope=extras.envelope,
        keep=extras.keep,
        adapt=extras.adapt,
        best=extras.best,
        until_converged=extras.until_converged,
        minutes=extras.minutes,
        accept_position=extras.accept_position,
        **what,
    )


def default_out(*words: str) -> Path:
    """Return a run directory below ``runs`` that does not exist yet, and has these words."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    base = Path("runs") / "-".join((stamp, *words))
    candidates = [base, *(base.with_name(f"{base.name}-{n}") for n in range(2, 1000))]
    return next(path for path in candidates if not path.exists())


def _checked(extras: Extras | None) -> Extras:
    """Return the options as scripts may have meant them, with NumPy's seeds as plain ones."""
    extras = extras or Extras()
    envelope: object = extras.envelope
    if not isinstance(envelope, Envelope | None):
        msg = f"envelope {envelope!r} is not one; read it with stempilot.read_envelope"
        raise ConfigError(msg)
    _require_time(extras.minutes)
    return evolve(extras, seed=config.whole("seed", extras.seed, least=0))


def _require_time(minutes: float | None) -> None:
    if minutes is not None and not 0 < minutes < math.inf:
        msg = f"minutes {minutes} are no time that can pass; give more than 0"
        raise ConfigError(msg)


def _trained(path: str | Path, *, best: bool = False) -> tuple[RunDir, Record]:
    run = RunDir.open(path)
    run.agent_folder(best=best)
    return run, run.record()


def _log(registry: Registry, parts: Composition, path: str | Path) -> RunDir:
    """Return a run whose transitions suit a task.

    Raises:
        RunDirError: it is no run.
        IncompatibleError: it is one of another task, or of other spaces.
    """
    run = RunDir.open(path)
    record = run.record()
    if record.task != parts.task.name:
        problem = f"{path} was recorded with {record.task}, not with {parts.task.name}"
        raise IncompatibleError([problem])
    recorded = part(registry, "task", record.task, record.settings.get("task", {}))
    then, now = recorded.load(), parts.make_task()
    problems = [
        f"{path} was recorded with the {name} space {was}; this task has {space}"
        for name, was, space in (
            ("observation", then.observation_space, now.observation_space),
            ("action", then.action_space, now.action_space),
        )
        if was != space
    ]
    if problems:
        raise IncompatibleError(problems)
    return run


def _compose_from(
    registry: Registry,
    record: Record,
    settings: Sections,
    backend: str | None = None,
) -> Composition:
    """Compose what a run was made of, with some settings changed."""
    config.require_sections(settings)
    inherited = record.settings
    sections = {
        name: {**inherited.get(name, {}), **settings.get(name, {})} for name in config.SECTIONS
    }
    if backend not in {None, record.backend}:
        sections["backend"] = dict(settings.get("backend", {}))
    return compose(
        registry,
        task=record.task,
        backend=backend or record.backend,
        agent=record.agent,
        settings=sections,
    )
