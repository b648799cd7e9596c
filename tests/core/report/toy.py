"""Run directories of a toy instrument: a disk moved 41 px by a full action, turned by 30 deg."""

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot.files import write_file, write_json
from stempilot.record.recorder import shrink

SIDE_PX = 1040
GOAL_PX = (16.3, 32.6)
TOLERANCE_PX = 12.2
PIXEL_RAD = 0.565e-3
TURN = 40.8 * np.array([[0.866, -0.5], [0.5, 0.866]])

Event = dict[str, Any]


def record(**changes: Any) -> dict[str, Any]:
    """Return what ``record.json`` of a training looks like."""
    return {
        "status": "done",
        "command": "train",
        "task": "bf-disk-centering",
        "backend": "simulator",
        "agent": "sac",
        "plugins": {kind: f"stempilot 0.1.0 ({kind})" for kind in ("task", "backend", "agent")},
        "settings": {"task": {"binning": 4}, "agent": {}},
        "config": {
            "task": {"binning": 4, "goal_px": [16.3, 32.6], "reward": "informative"},
            "backend": {"preset": "published"},
            "agent": {"layers": [128, 128], "gamma": 0.99},
            "run": {"max_timesteps": 200, "checkpoint_every": 500, "evaluate": True},
        },
        "seed": 3,
        "instrument_seed": 3,
        "steps": 20000,
        "episodes": None,
        "frames": {"every": 0, "ends": False},
        "parent": None,
        "kept_and_dropped": [],
        "started": "2026-02-03T10:11:12+00:00",
        "argv": ["stempilot", "train", "bf-disk-centering", "--agent", "sac", "--seed", "3"],
        "python": "3.11.2",
        "system": "Linux x86_64",
        "versions": {"stempilot": "0.1.0", "numpy": "2.4.6", "torch": None},
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "identity": {"model": "stempilot simulator", "preset": "published"},
        "simulated": True,
        **changes,
    }


def event(
    e: int,
    k: int,
    t: int,
    position_px: Sequence[float] | npt.NDArray[Any],
    *,
    action: Any = None,
    reward: float = 0.0,
    outcome: str = "running",
    truncated: bool = False,
    truth: bool = True,
    error_px: Sequence[float] | npt.NDArray[Any] = (0.0, 0.0),
) -> Event:
    """Return one line of ``events.jsonl`` with the disk measured at a position."""
    dx, dy = position_px[0] - GOAL_PX[0], position_px[1] - GOAL_PX[1]
    line: Event = {"e": e, "k": k, "t": t}
    line |= {"instrument": "0123456789ab"} if k == 0 else {"action": action, "reward": reward}
    line |= {"outcome": outcome, "truncated": truncated}
    line["summary"] = {
        "x_px": float(position_px[0]),
        "y_px": float(position_px[1]),
        "dx_px": dx,
        "dy_px": dy,
        "distance_px": math.hypot(dx, dy),
        "visible": 1.0,
    }
    if truth:
        true = [position_px[0] + error_px[0], position_px[1] + error_px[1]]
        line["truth"] = {"position_px": true, "pixel_rad": [PIXEL_RAD], "lag": [0.0]}
    return {**line, "writes": [["diffraction_shift", [0.0, 0.0], [0.0, 0.0], 1.5]]}


def simulate(
    timesteps: int,
    skill: Callable[[int], float],
    *,
    seed: int = 0,
    episodes: int | None = None,
    truth: bool = True,
) -> list[Event]:
    """Return the events of an agent that goes straight for the goal in a share of its steps."""
    rng = np.random.default_rng(seed)
    events: list[Event] = []
    t = e = 0
    inverse = np.linalg.inv(TURN)
    while t < timesteps and e != episodes:
        position = rng.uniform(-440, 440, 2)
        events.append(event(e, 0, t, position, truth=truth))
        aim = rng.uniform(-1, 1, 2)
        for k in range(1, 201):
            before = math.dist(position, GOAL_PX)
            if rng.random() < 0.1:
                aim = rng.uniform(-1, 1, 2)
            straight = np.clip(inverse @ (np.array(GOAL_PX) - position), -1, 1)
            action = straight if rng.random() < skill(t) else np.clip(aim, -1, 1)
            position = position + TURN @ action + rng.normal(0, 0.5, 2)
            after = math.dist(position, GOAL_PX)
            outcome = "success" if after <= TOLERANCE_PX else "running"
            outcome = "failure" if np.abs(position).max() > 500 else outcome
            sign = 1 if after <= before else -1
            terminal = {"success": 100.0, "failure": -100.0}
            t += 1
            late = outcome == "running" and k == 200
            line = event(
                e,
                k,
                t,
                position,
                action=action.tolist(),
                reward=terminal.get(outcome, sign - after / 520),
                outcome=outcome,
                truncated=late,
                truth=truth,
                error_px=rng.normal(0, 0.3, 2),
            )
            events.append(line)
            if outcome != "running" or late or t == timesteps:
                break
        e += 1
    return events


def frame(position_px: Sequence[float], *, side: int = SIDE_PX, seed: int = 0) -> npt.NDArray[Any]:
    """Return a noisy frame with the disk at an offset from the frame's centre."""
    rng = np.random.default_rng(seed)
    rows, cols = np.ogrid[:side, :side]
    middle = (side - 1) / 2
    distance = np.hypot(cols - middle - position_px[0], rows - middle - position_px[1])
    counts = (
        100 + 3000 * np.clip(side / 34.7 + 0.5 - distance, 0, 1) + rng.normal(0, 8, (side, side))
    )
    return np.clip(counts, 0, 65535).astype(np.uint16)


def write_finals(
    folder: Path, places_px: Sequence[Sequence[float]], *, side: int = SIDE_PX
) -> None:
    """Write final frames with the disk at each of the offsets."""
    middle = (side - 1) / 2
    frames = [frame(place, side=side, seed=n) for n, place in enumerate(places_px)]
    small = np.stack([shrink(pixels) for pixels in frames])
    save(folder / "finals.npy", small)
    finals = [
        {
            "episode": number,
            "outcome": "success" if math.dist(place, GOAL_PX) <= TOLERANCE_PX else "failure",
            "marks": {
                "goal": [middle + GOAL_PX[0], middle + GOAL_PX[1]],
                "found": [middle + place[0], middle + place[1]],
            },
            "block": side // small.shape[1],
        }
        for number, place in enumerate(places_px)
    ]
    write_json(folder / "finals.json", {"finals": finals})


def save(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as NPY."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_file(path, buffer.getvalue())


def write_run(
    folder: Path,
    events: Sequence[Mapping[str, Any]],
    *,
    result: Mapping[str, Any] | None = None,
    evaluations: Sequence[Mapping[str, int]] = (),
    **changes: Any,
) -> Path:
    """Write a run directory."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "record.json", record(**changes))
    lines = "".join(json.dumps(line) + "\n" for line in events)
    write_file(folder / "events.jsonl", lines.encode())
    if result is not None:
        write_json(folder / "result.json", result)
    if evaluations:
        write_json(folder / "progress.json", {"evaluations": list(evaluations)})
    return folder


def learned(t: int) -> float:
    """Return a skill that grows around timestep 2,500."""
    return 0.97 / (1 + math.exp(-(t - 2500) / 500))
