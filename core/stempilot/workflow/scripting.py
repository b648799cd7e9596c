"""A workflow in a script: on a session that is open, with nothing recorded."""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from stempilot.contract.agent import Agent
from stempilot.contract.task import Task
from stempilot.errors import ConfigError
from stempilot.instrument.unfinished import Ask
from stempilot.operation.session import Session
from stempilot.plugins.registry import Registry
from stempilot.runs.acting import plain_product
from stempilot.runs.execute import prepare
from stempilot.runs.plans import Extras, plan_run
from stempilot.workflow.engine import Engine, Tried, WorkflowResult, result_of
from stempilot.workflow.log import StepLog
from stempilot.workflow.steps import OperatorStep, Step, Workflow

NOTHING: Mapping[str, Any] = MappingProxyType({})


def run_on(
    workflow: Workflow, session: Session, operator: Ask, registry: Registry, seed: int
) -> WorkflowResult:
    """Go through the steps of a workflow; see `Workflow.run`."""
    if workflow.every_minutes is not None:
        msg = (
            "a workflow that repeats opens a session each time; run it with stempilot workflow run"
        )
        raise ConfigError(msg)
    if not session.in_parts and any(isinstance(step, OperatorStep) for step in workflow.steps):
        msg = (
            "an operator's step ends the baseline of a session; open it with "
            "open_session(..., in_parts=True), so that each step has its own"
        )
        raise ConfigError(msg)

    def play(step: Step, values: Mapping[str, Any], number: int, _: str) -> Tried:
        task, agent = made(step, registry, values, seed=seed + number - 1)
        end_s = None if step.minutes is None else time.monotonic() + 60.0 * step.minutes
        late = False

        def out_of_time() -> bool:
            nonlocal late
            late = late or (end_s is not None and time.monotonic() >= end_s)
            return late

        episode = session.play(task, agent, seed=seed + number - 1, should_stop=out_of_time)
        products = {name: plain_product(one) for name, one in episode.products.items()}
        if late and not episode.success:
            return Tried(success=False, reason=f"the limit of {step.minutes:g} minutes is reached")
        return Tried(success=episode.success, products=products, reason=episode.reason)

    log = StepLog()
    engine = Engine(workflow=workflow, session=session, play=play, operator=operator, log=log)
    return result_of(log, engine.go())


def made(
    step: Step, registry: Registry, values: Mapping[str, Any] = NOTHING, *, seed: int = 0
) -> tuple[Task[Any, Any], Agent | None]:
    """Return the task and the agent of a step, which are those of `stempilot.plan_run`.

    Args:
        step: what is to be played.
        registry: what is installed.
        values: options that come from inputs.
        seed: of the agent.
    """
    options = {**step.options, **values}
    if isinstance(step.agent, Agent):
        return registry.task(step.task, **options), step.agent
    plan = plan_run(
        registry,
        task=step.task,
        agent=step.agent,
        policy=step.policy,
        settings={"task": options},
        extras=Extras(seed=seed),
    )
    task, agent, _ = prepare(plan)
    return task, None if step.agent is None and step.policy is None else agent
