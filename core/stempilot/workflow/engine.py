"""Goes through the steps: what is tried, what follows a failure, what ends a workflow.

A step that failed was put back by its own part of the session before its end is known here, so
that nothing is decided while something is displaced.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from attrs import field, frozen

from stempilot.contract.goals import Product
from stempilot.errors import StempilotError
from stempilot.instrument.unfinished import Ask
from stempilot.operation.session import Session
from stempilot.workflow.log import Line, StepLog
from stempilot.workflow.operator import confirm
from stempilot.workflow.steps import BACK_TO, STOP, AnyStep, OperatorStep, Step, Workflow

NEXT, AGAIN = "next", "again"
"""What follows a step, beside what its ``on_failure`` says."""


@frozen(kw_only=True)
class Tried:
    """How a try of a step ended.

    Attributes:
        success: whether the task succeeded; the knobs are back where the step began where not.
        products: what it hands on, each with ``value``, ``unit`` and ``uncertainty``.
        reason: why it failed.
    """

    success: bool
    products: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    reason: str = ""


@frozen(kw_only=True)
class WorkflowResult:
    """How a workflow ended.

    Attributes:
        success: whether it came to its end.
        reason: which step stopped it, and why; empty where none did.
        products: what each step handed on when it was last done, by step and name.
        log: all lines; see `stempilot.workflow.log`.
    """

    success: bool
    reason: str
    products: Mapping[str, Mapping[str, Product]]
    log: tuple[Line, ...] = field(repr=False)


Play = Callable[[Step, Mapping[str, Any], int, str], Tried]
"""Plays a step once, with the options that came from inputs, the number of the try, and its run."""

NameRun = Callable[[Step, int], str]
"""Names the run of a try, which the log tells before it begins."""


@frozen(kw_only=True)
class Engine:
    """A workflow on an opened session.

    Attributes:
        workflow: what to do.
        session: the instrument, used in parts.
        play: plays a step.
        name_run: where a try is recorded.
        operator: asked whether a person has done a step.
        log: what happened so far, also before it was resumed.
    """

    workflow: Workflow
    session: Session
    play: Play
    name_run: NameRun = lambda step, number: ""
    operator: Ask
    log: StepLog

    def go(self) -> str:
        """Go on with the first step that is not done; return why a step stopped the workflow.

        What an operator did last before that step is asked for again.

        Raises:
            OperatorError: an operator's step was not confirmed.
            StempilotError: the instrument failed, or something that a step needs is missing; what
                the step under way had moved is put back, unless it is a `RestoreError`.
        """
        steps, at, tries = self.workflow.steps, len(self.log.passed()), 0
        operated = [each for each in steps[:at] if isinstance(each, OperatorStep)]
        for last in operated[-1:] if at < len(steps) else ():
            self._operate(last)
        while at < len(steps):
            step = steps[at]
            if isinstance(step, OperatorStep):
                self._operate(step)
                at += 1
                continue
            tried, then = self._try(step, tries)
            if then == STOP:
                return f"{step.name} failed: {tried.reason}"
            tries = tries + 1 if then == AGAIN else 0
            if then.startswith(BACK_TO):
                at = [each.name for each in steps].index(then.removeprefix(BACK_TO))
            elif then != AGAIN:
                at += 1
        return ""

    def _operate(self, step: OperatorStep) -> None:
        number = self.log.begin(step.name)
        with self._noting(step, number):
            told = confirm(step, self.session, self.operator)
        self.log.add("done", n=number, step=step.name, then=NEXT, **told)

    def _try(self, step: Step, tries: int) -> tuple[Tried, str]:
        """Try a step once; return how it ended and what follows."""
        values, missing = self._inputs(step)
        number = self.log.next_number
        run = "" if missing else self.name_run(step, number)
        self.log.begin(step.name, run=run, values=values)
        with self._noting(step, number):
            tried = (
                Tried(success=False, reason=missing)
                if missing
                else self.play(step, values, number, run)
            )
        then = NEXT if tried.success else self._after_failure(step, tries)
        self.log.add(
            "done" if tried.success else "failed",
            n=number,
            step=step.name,
            then=then,
            reason=tried.reason,
            products=tried.products,
        )
        return tried, then

    def _after_failure(self, step: Step, tries: int) -> str:
        if tries < step.retries:
            return AGAIN
        if step.back_to is not None and self.log.went_back(step.name):
            return STOP
        return step.on_failure

    def _inputs(self, step: Step) -> tuple[dict[str, Any], str]:
        """Return the options that come from products, or what is missing."""
        found: dict[str, list[float]] = {option: [] for option in step.inputs}
        products = self.log.products()
        for option, source, name in step.sources():
            value = products.get(source, {}).get(name, {}).get("value")
            if value is None:
                has = ", ".join(products.get(source, {})) or "nothing"
                return {}, f"there is no {source}.{name} for {option}; {source} handed on {has}"
            found[option].append(value)
        return {
            option: values[0] if isinstance(step.inputs[option], str) else values
            for option, values in found.items()
        }, ""

    @contextmanager
    def _noting(self, step: AnyStep, number: int) -> Iterator[None]:
        """Note what ends the workflow in the middle of a step."""
        try:
            yield
        except BaseException as error:
            event = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped"
            # The disk that failed the step may refuse this line too; the first error matters more.
            with suppress(StempilotError):
                self.log.add(
                    event, n=number, step=step.name, then=STOP, reason=str(error) or repr(error)
                )
            raise


def result_of(log: StepLog, stopped: str) -> WorkflowResult:
    """Return the result of a workflow that came to its end, or that a step stopped."""
    products = {
        step: {name: _product(one) for name, one in handed_on.items()}
        for step, handed_on in log.products().items()
    }
    return WorkflowResult(
        success=not stopped, reason=stopped, products=products, log=tuple(log.lines)
    )


def _product(plain: Mapping[str, Any]) -> Product:
    value, uncertainty = (
        math.nan if plain[key] is None else plain[key] for key in ("value", "uncertainty")
    )
    return Product(value=value, unit=plain["unit"], uncertainty=uncertainty)
