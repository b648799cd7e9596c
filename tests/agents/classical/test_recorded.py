"""An agent that acts as a recorded run did."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from stempilot.contract.agent import Brief
from stempilot.errors import IncompatibleError, RunDirError
from stempilot_agents.classical.recorded import RecordedConfig, make_recorded

PLANE = Box(-1, 1, (2,), np.float32)


def recorded(folder: Path, *actions: Any) -> Path:
    """Lay out the events of a run; ``None`` begins an episode."""
    lines, step = [], 0
    for action in actions:
        step = 0 if action is None else step + 1
        line = {"e": 0, "k": step, "t": 0, "outcome": "running", "truncated": False, "summary": {}}
        lines.append({**line, "action": action, "reward": 0.0} if step else line)
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def policy(run: Path, space: Any = PLANE) -> Any:
    brief = Brief(observation_space=PLANE, action_space=space, goal=None, seed=0)
    return make_recorded(RecordedConfig(run=str(run)), brief).policy()


def test_episode_by_episode_the_same_actions(tmp_path: Path) -> None:
    acts = policy(recorded(tmp_path, None, [0.1, 0.2], [0.3, 0.4], None, [0.5, -1.0]))
    acts.reset("a")
    first = acts.act(None)
    assert PLANE.contains(first)
    np.testing.assert_array_equal(first, np.array([0.1, 0.2], np.float32))
    acts.reset("b")
    np.testing.assert_array_equal(acts.act(None), np.array([0.5, -1.0], np.float32))
    with pytest.raises(RunDirError, match="no further action in episode 1"):
        acts.act(None)
    acts.reset("a")
    with pytest.raises(RunDirError, match="no further action in episode 2"):
        acts.act(None)


def test_numbered_actions(tmp_path: Path) -> None:
    acts = policy(recorded(tmp_path, None, 2), Discrete(3))
    acts.reset("a")
    assert Discrete(3).contains(acts.act(None))


def test_actions_outside_of_the_space_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match=r"\[0.1, 2.0\], outside Box"):
        policy(recorded(tmp_path, None, [0.1, 2.0]))


@pytest.mark.parametrize("actions", [([0.1, 0.2],), (None, "far"), (None, {"x": 1})])
def test_damaged_events_are_refused(tmp_path: Path, actions: Any) -> None:
    with pytest.raises(RunDirError, match="damaged"):
        policy(recorded(tmp_path, *actions))


def test_a_folder_without_events_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="is this a run directory"):
        policy(tmp_path)
