"""What a workflow is made of: steps that an agent plays, and steps of the operator."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import Attribute, field, frozen, validators

from stempilot.contract.agent import Agent
from stempilot.contract.task import Task
from stempilot.errors import ConfigError
from stempilot.instrument.unfinished import Ask, decline
from stempilot.operation.session import Session
from stempilot.plugins.registry import Registry, discover
from stempilot.plugins.suggest import meant

if TYPE_CHECKING:
    from stempilot.workflow.engine import WorkflowResult

STOP, SKIP, BACK_TO = "stop", "skip", "back to "
RESERVED = "backend"
"""What ``--set`` calls the options of the backend, and no step may be called."""


def _check_name(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", value) or value == RESERVED:
        msg = f"{attribute.name} {value!r} must be letters, digits, - and _, and not {RESERVED!r}"
        raise ValueError(msg)


@frozen(kw_only=True)
class Step:
    """A task that is played once from where the instrument stands.

    A success stays. A failure is put back to where the step began, before anything is decided.

    Attributes:
        name: what other steps, the log and ``--set`` call it.
        task: name of the task.
        agent: who plays: the name of an agent that needs no training, or in a script an `Agent`;
            ``None`` beside a policy, and for a task that only measures.
        policy: a trained run directory, instead of an agent.
        options: of the task.
        inputs: further options, each from a product of an earlier step as ``step.product``, or
            from a list of such.
        retries: how often it is tried again after a failure.
        minutes: how long one try may last; asked for between timesteps, then it has failed.
        on_failure: what follows when no try is left: ``stop``, ``skip``, or ``back to NAME``, an
            earlier step, which is done once.
    """

    name: str = field(validator=_check_name)
    task: str
    agent: str | Agent | None = None
    policy: str | Path | None = None
    options: Mapping[str, Any] = field(factory=dict)
    inputs: Mapping[str, str | tuple[str, ...]] = field(factory=dict)
    retries: int = field(default=0, validator=validators.ge(0))
    minutes: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    on_failure: str = STOP

    @property
    def back_to(self) -> str | None:
        """The step to go back to after a failure."""
        return self.on_failure.removeprefix(BACK_TO) if BACK_TO in self.on_failure else None

    def sources(self) -> Iterator[tuple[str, str, str]]:
        """Yield the option, the step and the product of each input."""
        for option, given in self.inputs.items():
            for source in (given,) if isinstance(given, str) else given:
                step, _, product = source.partition(".")
                yield option, step, product


@frozen(kw_only=True)
class OperatorStep:
    """What a person does at the instrument.

    Attributes:
        name: what the log calls it.
        operator: what to do, as the person reads it.
        states: states that the instrument must be in afterwards, as far as it can tell them.
        numbers: numbers that it must read afterwards, within `stempilot.workflow.operator.AGREES`.
    """

    name: str = field(validator=_check_name)
    operator: str = field(validator=validators.min_len(1))
    states: Mapping[str, str] = field(factory=dict)
    numbers: Mapping[str, float] = field(factory=dict)


AnyStep = Step | OperatorStep


def _in_order(steps: Iterable[AnyStep]) -> tuple[AnyStep, ...]:
    return tuple(steps)


@frozen
class Workflow:
    """Steps, one after the other.

    Attributes:
        steps: in their order.
        name: what it is called.
        every_minutes: repeat all steps, each repetition so long after the one before began.
        until: time of day, on this computer's clock, after which no repetition begins.

    Raises:
        ConfigError: two steps have one name, or a step refers to one that is not before it.
    """

    steps: tuple[AnyStep, ...] = field(converter=_in_order)
    name: str = field(default="workflow", validator=_check_name, kw_only=True)
    every_minutes: float | None = field(
        default=None, validator=validators.optional(validators.gt(0)), kw_only=True
    )
    until: time | None = field(default=None, kw_only=True)

    def run(
        self,
        session: Session,
        *,
        operator: Ask = decline,
        registry: Registry | None = None,
        seed: int = 0,
    ) -> "WorkflowResult":
        """Go through the steps on an opened session; nothing is recorded.

        Args:
            session: opened for the tasks of all steps (`tasks`), with ``in_parts=True`` where one
                is of the operator, or where the steps need the instrument in different states.
            operator: asked whether a person has done a step.
            registry: what is installed.
            seed: seed of the first try; later ones count on from it.

        Raises:
            OperatorError: an operator's step was not confirmed.
            StempilotError: the instrument failed, or something that a step needs is missing; what
                the step under way had moved is put back, unless it is a `RestoreError`.
        """
        from stempilot.workflow.scripting import run_on

        return run_on(self, session, operator, registry or discover(), seed)

    def tasks(self, registry: Registry | None = None) -> list[Task[Any, Any]]:
        """Return the tasks of all steps, without what comes from inputs; for `open_session`.

        Raises:
            ConfigError: an option is unknown or out of range.
        """
        from stempilot.workflow.scripting import made

        steps = [step for step in self.steps if isinstance(step, Step)]
        return [made(step, registry or discover())[0] for step in steps]

    def __attrs_post_init__(self) -> None:
        """Check that the steps fit together."""
        problems = [] if self.steps else ["a workflow has at least one step"]
        if self.until is not None and self.every_minutes is None:
            problems.append("until is the end of a workflow that repeats; give every_minutes too")
        before: list[AnyStep] = []
        for step in self.steps:
            if step.name in {each.name for each in before}:
                problems.append(f"two steps are called {step.name}; each needs a name of its own")
            if isinstance(step, Step):
                problems += (f"step {step.name}: {each}" for each in _problems(step, before))
            before.append(step)
        if problems:
            raise ConfigError("; ".join(problems))


def _problems(step: Step, before: Sequence[AnyStep]) -> Iterator[str]:
    known = [each.name for each in before]
    playing = [each.name for each in before if isinstance(each, Step)]
    if step.back_to is not None and step.back_to not in known:
        what = f"on_failure = {step.on_failure!r} names no earlier step"
        yield f"{what}; {meant(step.back_to, known)}"
    elif step.back_to is None and step.on_failure not in {STOP, SKIP}:
        choices = [STOP, SKIP, *(BACK_TO + name for name in known)]
        yield f"on_failure = {step.on_failure!r}; {meant(step.on_failure, choices)}"
    for option, name, product in step.sources():
        if not product:
            yield f"input {option} = {name!r} is not STEP.PRODUCT"
        elif name not in playing:
            yield f"input {option} comes from {name}, no earlier step with a task; " + (
                meant(name, playing) if playing else "there is none"
            )
        if option in step.options:
            yield f"{option} is both an option and an input; remove one of them"
