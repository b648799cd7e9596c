"""Writes what happens in an environment into a run directory.

``events.jsonl`` has one JSON object per reset and timestep: ``e`` episode, ``k`` timestep within it
(0 is the reset), ``t`` timestep of the run, ``action``, ``reward``, ``outcome``, ``truncated``,
``budget_spent`` (true, where the run budget refused the action and cut the episode off),
``summary`` of the task, ``observation`` (numbers; what is not finite as text), ``truth`` where the
backend offers one, ``writes`` as [knob, value sent, value read before, seconds], at resets
``instrument``, ``by`` where the task moved (``task``) or an episode went to its best place
(``return``), and ``phase`` while a run relearns. Where the frames of a timestep are kept,
``seen`` has what else was in the snapshot: ``knobs``, ``states`` and per source ``frames`` its
file, ``exposure_s``, ``taken_at_s`` and ``pixel_rad``.
"""

import io
import json
import math
import os
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot.contract.task import Drawable, Task
from stempilot.contract.values import Snapshot
from stempilot.errors import RunDirError
from stempilot.files import (
    open_own,
    own_folder,
    parse_json,
    read_lines,
    recording,
    write_file,
    write_json,
)
from stempilot.operation.timestep import Timestep
from stempilot.record.record import FramePolicy
from stempilot.record.run_dir import EVENTS, FRAMES

SHRUNK_SIDE = 260

FINALS = 12
"""Of how many episodes the report shows the final frames."""


class RunRecorder:
    """Keeps timesteps, frames and final pictures of a run.

    Args:
        folder: the run directory.
        task: tells where goal and measurement lie in a frame of the first source.
        policy: which frames are kept.
        offset: where in ``events.jsonl`` to go on; what lies behind is dropped. Bytes.

    Attributes:
        phase: what the timesteps that follow are for, where that is not the run itself.
        length: length of ``events.jsonl`` in bytes.
        episode_start: where the last episode begins in it.
    """

    def __init__(
        self, folder: Path, task: Task[Any, Any], policy: FramePolicy, *, offset: int = 0
    ) -> None:
        self.phase = ""
        self._folder = folder
        self._task = task
        self._policy = policy
        self._finals: deque[list[dict[str, Any]]] = deque(maxlen=FINALS)
        self._dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
        with recording():
            self._events = open_own(folder / EVENTS, "ab+")
            length = self._events.seek(0, io.SEEK_END)
            if offset > length:
                self._events.close()
                msg = f"{folder / EVENTS} has {length} bytes, its checkpoint was at {offset}"
                raise RunDirError(msg)
            self._events.truncate(offset)
        self.length = self.episode_start = offset

    def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
        """Write one timestep.

        Raises:
            RecordError: the disk refused.
        """
        kept = snapshot is not None and bool(snapshot.frames) and self._policy.keeps(step)
        content = event(step, self._task)
        if self.phase:
            content["phase"] = self.phase
        if snapshot is not None and kept:
            content["seen"] = self._write_frames(step, snapshot)
        line = (self._dumps(content) + "\n").encode()
        if step.step == 0:
            self.episode_start = self.length
        self.length += len(line)
        with recording():
            self._events.write(line)
        if self.phase or snapshot is None or not snapshot.frames:
            return
        if step.ended:
            self._finals.append(self._final_pictures(step, snapshot))

    def _final_pictures(self, step: Timestep, snapshot: Snapshot) -> list[dict[str, Any]]:
        """Return a small picture of each source; the task marks the first one."""
        marks = self._task.marks(step.state) if isinstance(self._task, Drawable) else {}
        return [
            {
                "episode": step.episode,
                "outcome": step.outcome.value,
                "source": source,
                "block": shrink_block(frame.pixels.shape),
                "marks": {} if number else _finite_marks(marks),
                "pixels": shrink(frame.pixels),
            }
            for number, (source, frame) in enumerate(snapshot.frames.items())
        ]

    def _write_frames(self, step: Timestep, snapshot: Snapshot) -> dict[str, Any]:
        """Write the frames of all sources, then return what the event says of them."""
        folder = own_folder(self._folder / FRAMES)
        said = {}
        for number, (source, frame) in enumerate(snapshot.frames.items()):
            name = numbered(f"e{step.episode:05d}_k{step.step:04d}", number)
            buffer = io.BytesIO()
            np.save(buffer, frame.pixels, allow_pickle=False)
            write_file(folder / name, buffer.getvalue())
            said[source] = {
                "file": name,
                "exposure_s": frame.exposure_s,
                "taken_at_s": frame.taken_at_s,
                "pixel_rad": frame.pixel_rad,
            }
        return {"knobs": dict(snapshot.knobs), "states": dict(snapshot.states), "frames": said}

    def flush(self) -> None:
        """Write out what is pending; a checkpoint that counts on it survives a power cut.

        Raises:
            RecordError: the disk refused.
        """
        if not self._events.closed:
            with recording():
                self._events.flush()
                os.fsync(self._events.fileno())

    def close(self) -> None:
        """Write out what is pending and the last final frames.

        Raises:
            RecordError: the disk refused.
        """
        self.flush()
        with recording():
            self._events.close()
        if not self._finals:
            return
        by_source: dict[str, list[dict[str, Any]]] = {}
        for final in chain.from_iterable(self._finals):
            by_source.setdefault(final["source"], []).append(final)
        for number, finals in enumerate(by_source.values()):
            buffer = io.BytesIO()
            np.save(buffer, np.stack([final.pop("pixels") for final in finals]), allow_pickle=False)
            write_file(self._folder / numbered("finals", number), buffer.getvalue())
        entries = list(chain.from_iterable(by_source.values()))
        write_json(self._folder / "finals.json", {"finals": entries})
        self._finals.clear()


def numbered(stem: str, number: int) -> str:
    """Return the name of an NPY file of a source; the first source goes without its number."""
    return f"{stem}_{number}.npy" if number else f"{stem}.npy"


def event(step: Timestep, task: Task[Any, Any]) -> dict[str, Any]:
    """Return the JSON object of one timestep."""
    line: dict[str, Any] = {"e": step.episode, "k": step.step, "t": step.timestep}
    if step.step == 0:
        line["instrument"] = step.instrument
    else:
        action = step.action
        line["action"] = action.tolist() if hasattr(action, "tolist") else action
        line["reward"] = step.reward
    line["outcome"] = step.outcome.value
    line["truncated"] = step.truncated
    if step.by != "agent":
        line["by"] = step.by
    if step.budget_spent:
        line["budget_spent"] = True
    line["summary"] = task.summary(step.state)
    if step.observation is not None:
        line["observation"] = plain_numbers(step.observation)
    if step.truth is not None:
        line["truth"] = step.truth
    line["writes"] = [(write.knob, write.value, write.before, write.at_s) for write in step.writes]
    return line


def plain_numbers(values: Any) -> Any:
    """Return an array as nested lists of plain numbers; JSON has no infinity, so that is text."""
    numbers = np.asarray(values)
    if numbers.dtype.kind != "f" or np.isfinite(numbers).all():
        return numbers.tolist()
    finite = np.isfinite(numbers)
    return np.where(finite, numbers.astype(object), numbers.astype(str)).tolist()


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a run directory; a last line that was cut off is left out.

    Raises:
        RunDirError: there are no events, or a line other than the last is damaged.
    """
    path = folder / EVENTS
    for number, line in enumerate(read_lines(path), start=1):
        if not line.endswith(b"\n"):
            return
        try:
            content = parse_json(line)
        except ValueError as error:
            msg = f"{path}, line {number} is damaged: {error}"
            raise RunDirError(msg) from error
        if not _is_event(content):
            msg = f"{path}, line {number} is not a timestep"
            raise RunDirError(msg)
        yield content


def _is_event(content: Any) -> bool:
    """Return whether what every reader relies on is there."""
    if not isinstance(content, dict):
        return False
    counts = [content.get(key) for key in ("e", "k", "t")]
    reward = content.get("reward", None if counts[1] else 0.0)
    return (
        all(type(count) is int and 0 <= count <= 2**53 for count in counts)
        and type(reward) in {int, float}
        and isinstance(content.get("outcome"), str)
        and isinstance(content.get("truncated"), bool)
        and isinstance(content.get("summary"), dict)
    )


def shrink_block(shape: tuple[int, ...]) -> int:
    """Return how many pixels a side `shrink` averages into one."""
    return max(1, min(shape) // SHRUNK_SIDE)


def shrink(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return a frame as 8 bit, averaged to `SHRUNK_SIDE` rows or so, stretched over its range."""
    block = shrink_block(pixels.shape)
    rows, cols = (length - length % block for length in pixels.shape)
    blocks = pixels[:rows, :cols].reshape(rows // block, block, cols // block, block)
    small = blocks.mean(axis=(1, 3), dtype=np.float64)
    low, high = float(small.min()), float(small.max())
    return np.asarray((small - low) * (255.0 / max(high - low, 1e-12)), dtype=np.uint8)


def _finite_marks(marks: Any) -> dict[str, list[float]]:
    return {name: list(xy) for name, xy in marks.items() if all(map(math.isfinite, xy))}
