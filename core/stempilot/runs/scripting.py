"""Train, relearn and run in one call, for scripts."""

from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

from stempilot.instrument.envelope import Envelope
from stempilot.plugins.parts import Sections
from stempilot.plugins.registry import Registry, discover
from stempilot.record.record import FramePolicy
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, plan_relearn, plan_run, plan_train
from stempilot.runs.results import EvaluationResult, RunResult, TrainResult


class Common(TypedDict, total=False):
    """Arguments of all three: those of `stempilot.Extras`, what is installed, and the settings."""

    registry: Registry
    settings: Sections
    seed: int
    out: str | Path
    frames: FramePolicy
    envelope: Envelope
    minutes: float


class Learning(Common, total=False):
    """Arguments of `train` and `relearn`."""

    backend: str
    until_converged: bool


class Running(Common, total=False):
    """Arguments of `run`."""

    backend: str
    policy: str | Path
    best: bool
    keep: bool
    adapt: bool


_OF_PLANS = ("settings", "backend", "policy")


def train(
    task: str, agent: str | None = None, *, steps: int = 20_000, **options: Unpack[Learning]
) -> TrainResult:
    """Train an agent on a task, and put the instrument back.

    Asks no question before a real instrument moves, as `stempilot.execute`.

    Args:
        task: name of the task.
        agent: name of the agent; the default one when ``None``.
        steps: timesteps to train.
        options: ``backend``, ``settings`` by section, ``registry``, and what `stempilot.Extras`
            has.

    Raises:
        StempilotError: see `stempilot.execute`.
    """
    registry, what = _split(options)
    plan = plan_train(registry, task=task, agent=agent, steps=steps, **what)
    return TrainResult.from_json(execute(plan))


def relearn(
    run: str | Path,
    *,
    steps: int = 2_000,
    from_log: str | Path | None = None,
    **options: Unpack[Learning],
) -> TrainResult:
    """Go on with a trained agent on a changed instrument; see `stempilot.plan_relearn`."""
    registry, what = _split(options)
    plan = plan_relearn(registry, run, steps=steps, from_log=from_log, **what)
    return TrainResult.from_json(execute(plan))


@overload
def run(
    task: str, agent: str | None = None, *, episodes: None = None, **options: Unpack[Running]
) -> RunResult: ...
@overload
def run(
    task: str, agent: str | None = None, *, episodes: int, **options: Unpack[Running]
) -> EvaluationResult: ...
def run(
    task: str,
    agent: str | None = None,
    *,
    episodes: int | None = None,
    **options: Unpack[Running],
) -> RunResult | EvaluationResult:
    """Run an agent once from where the instrument stands, or evaluate it over episodes.

    Asks no question before a real instrument moves, as `stempilot.execute`.

    Args:
        task: name of the task.
        agent: name of an agent that needs no training; otherwise give ``policy``.
        episodes: how many to evaluate over; ``None`` to run once and keep the result.
        options: ``policy`` (a trained run directory), ``backend``, ``settings`` by section,
            ``registry``, and what `stempilot.Extras` has.

    Raises:
        StempilotError: see `stempilot.execute`.
    """
    registry, what = _split(options)
    plan = plan_run(registry, task=task, agent=agent, episodes=episodes, **what)
    result = execute(plan)
    kind = RunResult if episodes is None else EvaluationResult
    return kind.from_json(result)


def _split(options: Learning | Running) -> tuple[Registry, dict[str, Any]]:
    """Return what is installed, and the arguments of a plan."""
    given: dict[str, Any] = dict(options)
    registry = given.pop("registry", None) or discover()
    what = {name: given.pop(name) for name in _OF_PLANS if name in given}
    return registry, {**what, "extras": Extras(**given)}
