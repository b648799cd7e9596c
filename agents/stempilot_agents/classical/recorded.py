"""An agent that acts as a recorded run did, whatever it observes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from attrs import field, frozen, validators

from stempilot import Agent, Brief, IncompatibleError, Policy, RunDirError, read_events


@frozen(kw_only=True)
class RecordedConfig:
    """Options of ``recorded``: the actions of a recorded run once more.

    Attributes:
        run: run directory whose actions are taken.
    """

    run: str = field(validator=validators.min_len(1))


class RecordedAgent(Agent):
    """Takes the actions of a recorded run, episode by episode."""

    def __init__(self, run: Path, episodes: list[list[Any]]) -> None:
        self._run = run
        self._episodes = episodes

    def policy(self) -> Policy:
        """Return what begins with the first recorded episode."""
        return _Repeating(self._run, self._episodes)


class _Repeating:
    def __init__(self, run: Path, episodes: list[list[Any]]) -> None:
        self._run = run
        self._episodes = episodes
        self._episode = -1
        self._actions: Iterator[Any] = iter(())

    def reset(self, instrument_id: str) -> None:
        """Go on to the next recorded episode, on whatever instrument."""
        del instrument_id
        self._episode += 1
        known = self._episode < len(self._episodes)
        self._actions = iter(self._episodes[self._episode] if known else ())

    def act(self, observation: Any) -> Any:
        """Return the next recorded action.

        Raises:
            RunDirError: there is none.
        """
        del observation
        for action in self._actions:
            return action
        msg = f"{self._run} recorded no further action in episode {self._episode} of its own"
        raise RunDirError(msg)


def make_recorded(config: RecordedConfig, brief: Brief) -> RecordedAgent:
    """Return an agent that acts as a recorded run did.

    Raises:
        RunDirError: it is no run, or damaged.
        IncompatibleError: its actions are not of the task's action space.
    """
    run = Path(config.run)
    episodes: list[list[Any]] = []
    for event in read_events(run):
        if event["k"] == 0:
            episodes.append([])
        elif not episodes:
            msg = f"{run} does not begin with a reset; its events are damaged"
            raise RunDirError(msg)
        else:
            episodes[-1].append(_action(event.get("action"), brief.action_space, run))
    return RecordedAgent(run, episodes)


def _action(value: Any, space: gymnasium.Space[Any], run: Path) -> Any:
    try:
        action = np.asarray(value, dtype=space.dtype)
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"{run} recorded the action {value!r}, which is damaged: {error}"
        raise RunDirError(msg) from error
    sample = action if action.shape else action[()]
    if not space.contains(sample):
        raise IncompatibleError([f"{run} recorded the action {value!r}, outside {space}"])
    return sample
