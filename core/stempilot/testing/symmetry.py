"""Whether a task's symmetry gives transitions that it could have given itself."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from stempilot.contract.goals import Centre
from stempilot.contract.task import Symmetric, Task
from stempilot.contract.values import Outcome, Transitions
from stempilot.testing.contract import expect
from stempilot.testing.fingerprint import fingerprint

Lived = Sequence[tuple[Any, Any, Any]]
"""State before, action, state after."""

_COPIES = 20
"""How often each transition is relabelled: a draw may leave one where it was."""


def batch_of(task: Task[Any, Any], lived: Lived) -> Transitions:
    """Return timesteps of a task as a learner meets them, none of them truncated."""
    outcomes = [task.outcome(after) for _, _, after in lived]
    rewards = [
        task.reward(before, action, after, outcome)
        for (before, action, after), outcome in zip(lived, outcomes, strict=True)
    ]
    ended = np.array([outcome is not Outcome.RUNNING for outcome in outcomes])
    return Transitions(
        observations=np.stack([task.observe(before) for before, _, _ in lived]),
        actions=np.stack([action for _, action, _ in lived]),
        rewards=np.array(rewards, dtype=np.float64),
        next_observations=np.stack([task.observe(after) for _, _, after in lived]),
        terminated=ended,
        truncated=np.zeros(len(lived), dtype=bool),
    )


def check_symmetry(task: Task[Any, Any], symmetric: Symmetric, batch: Transitions) -> None:
    """Check what `stempilot.Symmetric.relabel` promises.

    Args:
        task: the task.
        symmetric: the same one, as what declares a symmetry.
        batch: transitions of the task.

    Raises:
        ContractError: it does not keep its promise.
    """
    many = _rows(batch, np.tile(np.arange(len(batch)), _COPIES))
    given = _digest(many)
    found = symmetric.relabel(many, np.random.default_rng(1))
    expect(_digest(many) == given, "relabel() leaves its batch as it was", "a changed one")
    again = symmetric.relabel(many, np.random.default_rng(1))
    expect(_digest(found) == _digest(again), "relabel() draws from the generator alone", "others")
    other = symmetric.relabel(many, np.random.default_rng(2))
    expect(_digest(found) != _digest(other), "relabel() draws from the generator", "the same again")
    none = symmetric.relabel(_rows(batch, np.arange(0)), np.random.default_rng(1))
    expect(len(none) == 0, "no transitions give none", len(none))
    _check_form(many, found)
    _check_possible(task, many, found)


def _check_form(batch: Transitions, found: Transitions) -> None:
    for name, was, now in _columns(batch, found):
        form = (was.shape, was.dtype)
        expect(
            (now.shape, now.dtype) == form, f"{name} are {form} as before", (now.shape, now.dtype)
        )
    same = bool(np.array_equal(found.actions, batch.actions))
    expect(same, "actions stay as they are", "others")


def _check_possible(task: Task[Any, Any], batch: Transitions, found: Transitions) -> None:
    space = task.observation_space
    for name in ("observations", "next_observations"):
        for observation in getattr(found, name):
            expect(space.contains(observation), f"{name} are in {space}", observation)
    expect(bool(np.isfinite(found.rewards).all()), "rewards are finite", found.rewards)
    both = bool((found.terminated & found.truncated).any())
    expect(not both, "what is terminated is not truncated too", "both in one row")
    moved = _differs(found.observations, batch.observations)
    moved |= _differs(found.next_observations, batch.next_observations)
    kept = np.flatnonzero(~moved)
    as_before = _digest(_rows(found, kept)) == _digest(_rows(batch, kept))
    expect(as_before, "rows that are not moved are returned as they are", "other rewards or ends")
    _check_goal(task, _rows(found, np.flatnonzero(moved)))


def _check_goal(task: Task[Any, Any], moved: Transitions) -> None:
    """Check that transitions of a centring task end at the goal, and do not begin there."""
    goal = task.goal
    if not isinstance(goal, Centre):
        return
    entries = list(goal.residual)
    away, left = (
        np.linalg.norm(seen[:, entries].astype(float), axis=1)
        for seen in (moved.observations, moved.next_observations)
    )
    # Observations may be rounded to float32.
    within = goal.tolerance * (1 - 1e-5)
    begun = float(np.min(away, initial=np.inf))
    expect(begun >= within, f"none begins within the tolerance, {goal.tolerance:g}", begun)
    gone_on = float(np.min(left[~moved.terminated], initial=np.inf))
    expect(gone_on >= within, "what comes within the tolerance is terminated", gone_on)


def _columns(
    batch: Transitions, found: Transitions
) -> list[tuple[str, npt.NDArray[Any], npt.NDArray[Any]]]:
    names = [field.name for field in attrs.fields(Transitions)]
    return [(name, getattr(batch, name), getattr(found, name)) for name in names]


def _rows(batch: Transitions, rows: npt.NDArray[Any]) -> Transitions:
    return Transitions(**{name: column[rows] for name, column, _ in _columns(batch, batch)})


def _digest(batch: Transitions) -> str:
    return fingerprint(*(column for _, column, _ in _columns(batch, batch)))


def _differs(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    differing: npt.NDArray[np.bool_] = (one != other).reshape(len(one), -1).any(axis=1)
    return differing
