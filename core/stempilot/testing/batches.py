"""Whether a task on many episodes at once is the task on each of them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stempilot.contract.task import Arrays, Task, TaskBatch
from stempilot.contract.values import KnobValue, Outcome, Snapshot
from stempilot.testing.contract import expect
from stempilot.testing.fingerprint import fingerprint

AnyTask = Task[Any, Any]
Look = tuple[Snapshot, Any]
"""A snapshot and what the task measured of it."""

_STEPS: Final = 3


def check_batch(task: AnyTask, batch: TaskBatch, looks: Sequence[Look]) -> None:
    """Check what `stempilot.Batchable` promises, on what was measured of snapshots.

    Args:
        task: the task.
        batch: what its `batched` returns.
        looks: one for each row.

    Raises:
        ContractError: it does not keep its promise.
    """
    space = deepcopy(task.action_space)
    space.seed(0)
    turned = list(looks)
    state = batch.initial(_arrays(task, batch, turned))
    states = [task.initial(measured) for _, measured in turned]
    _check_states(task, batch, state, states)
    for _ in range(_STEPS):
        turned = [*turned[1:], turned[0]]
        actions = [space.sample() for _ in turned]
        standing = [snapshot.knobs for snapshot, _ in turned]
        _check_targets(task, batch, state, states, actions, standing)
        arrays = _arrays(task, batch, turned)
        given = fingerprint(state, arrays)
        many = batch.advance(state, np.array(actions), arrays)
        expect(
            fingerprint(state, arrays) == given, "advance() leaves its inputs as they were", "not"
        )
        after = [
            task.advance(before, action, measured)
            for before, action, (_, measured) in zip(states, actions, turned, strict=True)
        ]
        _check_states(task, batch, many, after)
        _check_rewards(task, batch, (state, many), (states, after), actions)
        state, states = many, after


def _arrays(task: AnyTask, batch: TaskBatch, looks: Sequence[Look]) -> dict[str, npt.NDArray[Any]]:
    """Return measurements as arrays, by name; what is `None` is NaN."""
    arrays = {
        knob: np.array([snapshot.knobs[knob] for snapshot, _ in looks]) for knob in task.needs.knobs
    }
    for name in batch.measurements:
        known = all(hasattr(measured, name) for _, measured in looks)
        expect(known, "measurements are attributes of what measure() returns", f"no {name}")
        values = [getattr(measured, name) for _, measured in looks]
        shape = next((np.shape(value) for value in values if value is not None), ())
        filled = [np.full(shape, np.nan) if value is None else value for value in values]
        arrays[name] = np.array(filled)
    return arrays


def _check_states(task: AnyTask, batch: TaskBatch, many: Arrays, single: Sequence[Any]) -> None:
    lengths = {name: len(values) for name, values in many.items()}
    rows = set(lengths.values()) == {len(single)}
    expect(rows, f"states are arrays of {len(single)} rows", lengths)
    success, failure = batch.outcome(many)
    outcomes = [task.outcome(state) for state in single]
    _same("outcome() says who succeeds", success, [one is Outcome.SUCCESS for one in outcomes])
    _same("outcome() says who fails", failure, [one is Outcome.FAILURE for one in outcomes])
    _same("is_start() is", batch.is_start(many), [task.is_start(state) for state in single])
    observations = batch.observe(many)
    _same("observe() is", observations, [task.observe(state) for state in single])
    kind, promised = observations.dtype, task.observation_space.dtype
    expect(kind == promised, f"observations are {promised}", kind)


def _check_targets(
    task: AnyTask,
    batch: TaskBatch,
    many: Arrays,
    single: Sequence[Any],
    actions: Sequence[Any],
    standing: Sequence[Mapping[str, KnobValue]],
) -> None:
    given = fingerprint(many)
    rows = {k: np.array([one[k] for one in standing]) for k in task.needs.knobs}
    plans = batch.targets(many, np.array(actions), rows)
    expect(fingerprint(many) == given, "targets() leaves its inputs as they were", "others")
    points = [task.targets(*row) for row in zip(single, actions, standing, strict=True)]
    for knob, values in plans.items():
        wanted = [point.value for plan in points for point in plan if point.knob == knob]
        _same(f"targets() moves {knob} to", values, wanted)
    moved = {point.knob for plan in points for point in plan}
    expect(moved == set(plans), f"targets() moves {', '.join(sorted(moved))}", sorted(plans))


def _check_rewards(
    task: AnyTask,
    batch: TaskBatch,
    many: tuple[Arrays, Arrays],
    single: tuple[Sequence[Any], Sequence[Any]],
    actions: Sequence[Any],
) -> None:
    before, after = many
    success, failure = batch.outcome(after)
    rewards = batch.reward(before, np.array(actions), after, success=success, failure=failure)
    lived = list(zip(single[0], actions, single[1], strict=True))
    wanted = [task.reward(*moment, task.outcome(moment[-1])) for moment in lived]
    _same("reward() is", rewards, wanted)
    none, every = np.zeros(len(lived), np.bool_), np.ones(len(lived), np.bool_)
    prices = batch.reward(before, np.array(actions), before, success=none, failure=every)
    refused = [task.reward(state, action, state, Outcome.BLOCKED) for state, action, _ in lived]
    _same("reward() of a refused plan is", prices, refused)


def _same(what: str, found: npt.NDArray[Any], wanted: Sequence[Any]) -> None:
    """Check that a row of each is equal, but for rounding."""
    expected = np.array(wanted)
    shaped = np.shape(found) == expected.shape
    # A sum of many may be taken in another order.
    equal = shaped and np.allclose(
        np.asarray(found, float), expected.astype(float), rtol=1e-6, atol=1e-12, equal_nan=True
    )
    expect(bool(equal), f"{what} what the task gives row by row, {expected}", found)
