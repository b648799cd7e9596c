"""Reads the transitions of a recorded run, to learn from them again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from stempilot.contract.agent import Transitions
from stempilot.contract.values import Outcome
from stempilot.errors import RunDirError
from stempilot.record.recorder import read_events
from stempilot.record.run_dir import EVENTS

Row = tuple[npt.NDArray[Any], npt.NDArray[Any], float, npt.NDArray[Any], bool, bool]


def read_transitions(
    run: Path, observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]
) -> Transitions:
    """Return all transitions of a run directory, exactly as its agent met them.

    A timestep that the run budget ended without sending anything is left out: its action was never
    carried out.

    Args:
        run: the run directory.
        observation_space: what its observations must lie in.
        action_space: what its actions must lie in.

    Raises:
        RunDirError: the events are missing or damaged, hold no observations, or no transition.
    """
    rows = list(_rows(run / EVENTS, run, observation_space, action_space))
    if not rows:
        msg = f"{run / EVENTS} holds no transitions to learn from"
        raise RunDirError(msg)
    before, actions, rewards, after, terminated, truncated = zip(*rows, strict=True)
    return Transitions(
        observations=np.stack(before),
        actions=np.stack(actions),
        rewards=np.array(rewards, dtype=np.float64),
        next_observations=np.stack(after),
        terminated=np.array(terminated, dtype=bool),
        truncated=np.array(truncated, dtype=bool),
    )


def _rows(
    path: Path,
    run: Path,
    observation_space: gymnasium.Space[Any],
    action_space: gymnasium.Space[Any],
) -> Iterator[Row]:
    last: tuple[int, int] | None = None
    before, row = None, None
    for event in read_events(run):
        where = f"{path}, episode {event['e']}, timestep {event['k']}"
        if "observation" not in event:
            msg = f"{where} has no observation: it was recorded by an earlier version"
            raise RunDirError(msg)
        after = _sample(event["observation"], observation_space, f"{where}: the observation")
        by = event.get("by", "agent")
        if event["k"] > 0 and (before is None or last != (event["e"], event["k"] - 1)):
            msg = f"{where} does not follow the one before; the file is damaged"
            raise RunDirError(msg)
        ended = event["outcome"] != Outcome.RUNNING.value, event["truncated"]
        if by == "task" and row is not None:
            # What the task moved itself belongs to the action before it.
            row = (*row[:2], row[2] + event["reward"], after, *ended)
        elif by != "return":
            if row is not None:
                yield row
            row = None
            if event["k"] > 0 and by == "agent" and before is not None:
                action = _sample(event.get("action"), action_space, f"{where}: the action")
                if not (event["truncated"] and not event.get("writes")):
                    row = (before, action, event["reward"], after, *ended)
        before, last = after, (event["e"], event["k"])
    if row is not None:
        yield row


def _sample(value: Any, space: gymnasium.Space[Any], what: str) -> npt.NDArray[Any]:
    """Return a recorded value as a sample of a space.

    Raises:
        RunDirError: it is none.
    """
    try:
        numbers = np.asarray(value, dtype=np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            sample = numbers.astype(space.dtype)
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"{what} {value!r} is damaged: {error}"
        raise RunDirError(msg) from error
    whole = np.issubdtype(space.dtype, np.floating) or np.array_equal(sample, numbers)
    if (
        not whole
        or sample.shape != space.shape
        or not space.contains(sample if sample.shape else sample[()])
    ):
        msg = f"{what} {value!r} does not lie in {space}"
        raise RunDirError(msg)
    return sample
