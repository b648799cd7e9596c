"""What happens is written down whole, in order, and comes back; pixels only where asked for."""

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stempilot.contract.values import Frame, Outcome, Snapshot
from stempilot.errors import ConfigError, RecordError, RunDirError
from stempilot.instrument.guard import Write
from stempilot.operation.timestep import Timestep
from stempilot.record.record import FramePolicy
from stempilot.record.recorder import (
    FINALS,
    RunRecorder,
    read_events,
    shrink,
    shrink_block,
)
from stempilot.testing.toys import ToyCentring, ToyState

STATE = ToyState(offset=(0.3, 0.4), lost=False, steps=1, target_m=(0.0, 0.0))
GOOD = {
    "e": 0,
    "k": 0,
    "t": 0,
    "instrument": "a",
    "outcome": "running",
    "truncated": False,
    "summary": {"distance_px": 1.0},
    "writes": [],
}


def timestep(step: int = 1, *, episode: int = 0, **more: Any) -> Timestep:
    return Timestep(episode=episode, step=step, timestep=10 + step, state=STATE, **more)


def snapshot(value: int = 7, shape: tuple[int, int] = (48, 64)) -> Snapshot:
    pixels = np.full(shape, value, np.uint16)
    pixels[0, 0] = 0
    frame = Frame(pixels=pixels, exposure_s=0.1, taken_at_s=0.0)
    return Snapshot(frames={"toy_camera": frame}, knobs={}, states={})


def recorder(folder: Path, policy: str = "none", **more: Any) -> RunRecorder:
    return RunRecorder(folder, ToyCentring(), FramePolicy.parse(policy), **more)


# --- events --------------------------------------------------------------------------------------


def test_a_reset_and_a_timestep_are_written_down(tmp_path: Path) -> None:
    keeps = recorder(tmp_path)
    write = Write(knob="beam_shift", value=(1e-7, 0.0), before=(0.0, 0.0), at_s=2.5)
    keeps.record(timestep(0, instrument="abc"), None)
    keeps.record(
        timestep(
            action=np.array([0.5, -1.0], np.float32),
            reward=1.5,
            outcome=Outcome.SUCCESS,
            truth={"position_px": (1.0, 2.0)},
            writes=(write,),
        ),
        None,
    )
    keeps.close()
    reset, step = read_events(tmp_path)
    assert reset == {
        "e": 0,
        "k": 0,
        "t": 10,
        "instrument": "abc",
        "outcome": "running",
        "truncated": False,
        "summary": {"offset_px": 16.0, "steps": 1.0},
        "writes": [],
    }
    assert step == {
        "e": 0,
        "k": 1,
        "t": 11,
        "action": [0.5, -1.0],
        "reward": 1.5,
        "outcome": "success",
        "truncated": False,
        "summary": {"offset_px": 16.0, "steps": 1.0},
        "truth": {"position_px": [1.0, 2.0]},
        "writes": [["beam_shift", [1e-7, 0.0], [0.0, 0.0], 2.5]],
    }


@pytest.mark.parametrize("action", [np.int64(3), 3])
def test_discrete_actions_are_plain_numbers(tmp_path: Path, action: Any) -> None:
    keeps = recorder(tmp_path)
    keeps.record(timestep(action=action), None)
    keeps.close()
    assert next(read_events(tmp_path))["action"] == 3


def test_lengths_are_where_a_run_can_be_continued(tmp_path: Path) -> None:
    keeps = recorder(tmp_path)
    keeps.record(timestep(0), None)
    keeps.record(timestep(1), None)
    keeps.flush()
    whole = keeps.length
    assert whole == (tmp_path / "events.jsonl").stat().st_size
    keeps.record(timestep(0, episode=1), None)
    assert keeps.episode_start == whole
    keeps.record(timestep(1, episode=1), None)
    keeps.close()
    again = recorder(tmp_path, offset=whole)
    assert again.length == again.episode_start == whole
    again.record(timestep(0, episode=5), None)
    again.close()
    assert [event["e"] for event in read_events(tmp_path)] == [0, 0, 5]


def test_without_an_offset_a_run_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("old\n")
    recorder(tmp_path).close()
    assert list(read_events(tmp_path)) == []


def test_a_run_cannot_be_continued_where_its_events_are_gone(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("short\n")
    with pytest.raises(RunDirError, match="has 6 bytes, its checkpoint was at 10000000000000"):
        recorder(tmp_path, offset=10**13)
    assert (tmp_path / "events.jsonl").read_text() == "short\n"


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    line = json.dumps(GOOD)
    (tmp_path / "events.jsonl").write_text(f"{line}\n{line}\n{line[:20]}")
    assert list(read_events(tmp_path)) == [GOOD, GOOD]


def test_missing_events_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match=r"cannot read .*events\.jsonl"):
        list(read_events(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"e": "0"},
        {"e": -1},
        {"k": True},
        {"k": 1},
        {"k": 1, "reward": "x"},
        {"k": 1, "reward": None},
        {"k": None},
        {"t": 1.5},
        {"t": 10**30},
        {"outcome": 3},
        {"truncated": 0},
        {"summary": []},
    ],
)
def test_events_of_the_wrong_kind_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n{json.dumps(GOOD | change)}\n")
    with pytest.raises(RunDirError, match=r"events\.jsonl, line 2 is not a timestep"):
        list(read_events(tmp_path))


@pytest.mark.parametrize("key", [key for key in GOOD if key not in {"instrument", "writes"}])
def test_events_that_lack_something_are_refused(tmp_path: Path, key: str) -> None:
    content = {name: value for name, value in GOOD.items() if name != key}
    (tmp_path / "events.jsonl").write_text(f"{json.dumps(content)}\n")
    with pytest.raises(RunDirError, match="line 1 is not a timestep"):
        list(read_events(tmp_path))


@pytest.mark.parametrize("line", [b"x", b"\xff", b'{"e": NaN}', b"[" * 9999, b"3", b"[]", b""])
def test_damaged_lines_are_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "events.jsonl").write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    with pytest.raises(RunDirError, match="line 2 is"):
        list(read_events(tmp_path))


# --- frames --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("none", FramePolicy()),
        ("ends", FramePolicy(ends=True)),
        ("all", FramePolicy(every=1)),
        ("every-1", FramePolicy(every=1)),
        ("every-10", FramePolicy(every=10)),
    ],
)
def test_frames_to_keep(text: str, policy: FramePolicy) -> None:
    assert FramePolicy.parse(text) == policy


@pytest.mark.parametrize("text", ["", "some", "every", "every-0", "every--1", "every-x", "all-1"])
def test_frames_that_cannot_be_understood(text: str) -> None:
    with pytest.raises(ConfigError, match="is not one of none, ends, all or every-N"):
        FramePolicy.parse(text)


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("none", []),
        ("ends", [0, 4]),
        ("all", [0, 1, 2, 3, 4]),
        ("every-2", [0, 2, 4]),
        ("every-3", [0, 3]),
    ],
)
def test_only_those_frames_are_kept(tmp_path: Path, policy: str, kept: list[int]) -> None:
    keeps = recorder(tmp_path, policy)
    for step in range(5):
        keeps.record(timestep(step, truncated=step == 4), snapshot(step))
    keeps.close()
    files = sorted(tmp_path.glob("frames/*.npy"))
    assert [file.name for file in files] == [f"e00000_k{step:04d}.npy" for step in kept]
    for file, step in zip(files, kept, strict=True):
        np.testing.assert_array_equal(
            np.load(file, allow_pickle=False), snapshot(step).frames["toy_camera"].pixels
        )


def test_where_nothing_was_sent_there_is_no_frame(tmp_path: Path) -> None:
    keeps = recorder(tmp_path, "all")
    keeps.record(timestep(outcome=Outcome.BLOCKED), None)
    keeps.close()
    assert not list(tmp_path.glob("frames/*"))
    assert not (tmp_path / "finals.npy").exists()


def test_what_a_run_relearns_by_leaves_no_final_frames(tmp_path: Path) -> None:
    keeps = recorder(tmp_path)
    keeps.phase = "relearn"
    keeps.record(timestep(1, outcome=Outcome.SUCCESS), snapshot())
    keeps.close()
    assert not (tmp_path / "finals.json").exists()


def test_the_last_final_frames_are_kept_small_with_their_marks(tmp_path: Path) -> None:
    keeps = recorder(tmp_path)
    for episode in range(FINALS + 3):
        keeps.record(timestep(0, episode=episode), snapshot())
        last = timestep(1, episode=episode, outcome=Outcome.SUCCESS)
        keeps.record(last, snapshot(shape=(1040, 1040)))
    keeps.close()
    finals = json.loads((tmp_path / "finals.json").read_text())["finals"]
    frames = np.load(tmp_path / "finals.npy", allow_pickle=False)
    assert [final["episode"] for final in finals] == list(range(3, FINALS + 3))
    assert frames.shape == (FINALS, 260, 260)
    assert frames.dtype == np.uint8
    marks = {"goal": [31.5, 23.5], "found": pytest.approx([31.5 + 0.3 * 32, 23.5 + 0.4 * 32])}
    assert finals[0]["marks"] == marks
    assert finals[0]["outcome"] == "success"


def test_final_frames_of_all_sources_are_kept_and_the_first_is_marked(tmp_path: Path) -> None:
    keeps = recorder(tmp_path)
    wide = Frame(pixels=np.eye(30, 40, dtype=np.uint16), exposure_s=0.1, taken_at_s=0.0)
    for episode in range(2):
        seen = snapshot()
        both = Snapshot(frames={**seen.frames, "wide": wide}, knobs={}, states={})
        keeps.record(timestep(1, episode=episode, outcome=Outcome.SUCCESS), both)
    keeps.close()
    finals = json.loads((tmp_path / "finals.json").read_text())["finals"]
    assert [(f["source"], f["episode"]) for f in finals] == [
        *(("toy_camera", episode) for episode in range(2)),
        *(("wide", episode) for episode in range(2)),
    ]
    assert [set(final["marks"]) for final in finals] == [{"goal", "found"}] * 2 + [set()] * 2
    assert np.load(tmp_path / "finals.npy", allow_pickle=False).shape == (2, 48, 64)
    assert np.load(tmp_path / "finals_1.npy", allow_pickle=False).shape == (2, 30, 40)


def test_shrunk_frames_are_averaged_and_stretched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stempilot.record.recorder.SHRUNK_SIDE", 3)
    pixels = np.arange(12.0).reshape(3, 4).repeat(2, axis=0).repeat(2, axis=1)
    small = shrink(pixels)
    assert shrink_block(pixels.shape) == 2
    assert small.shape == (3, 4)
    np.testing.assert_array_equal(
        small, (np.arange(12.0) * 255 / 11).astype(np.uint8).reshape(3, 4)
    )


@pytest.mark.parametrize("pixels", [np.zeros((5, 5)), np.full((5, 5), 1e300)])
def test_flat_frames_shrink_too(pixels: npt.NDArray[Any]) -> None:
    assert not shrink(pixels).any()


# --- a full disk ---------------------------------------------------------------------------------


class FullFile(io.BytesIO):
    def write(self, content: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        if not self.closed:
            super().close()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_a_checkpoint_counts_on_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: lengths.append(os.fstat(file).st_size))
    keeps = recorder(tmp_path)
    keeps.record(timestep(), None)
    keeps.flush()
    assert lengths == [keeps.length]
    assert lengths != [0]
    keeps.close()


def test_a_full_disk_is_a_record_error_wherever_it_shows(tmp_path: Path) -> None:
    keeps = recorder(tmp_path, "all")
    keeps.close()
    keeps._events = FullFile()  # type: ignore[assignment]
    full = "No space left on device; free some space"
    with pytest.raises(RecordError, match=full):
        keeps.record(timestep(), None)
    with pytest.raises(RecordError, match=full):
        keeps.flush()
    with pytest.raises(RecordError, match=full):
        keeps.close()


def test_a_folder_that_is_gone_is_a_record_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot write"):
        recorder(tmp_path / "gone")


def test_frames_that_cannot_be_written_are_a_record_error(tmp_path: Path) -> None:
    keeps = recorder(tmp_path, "all")
    (tmp_path / "frames").write_text("in the way")
    with pytest.raises(RecordError):
        keeps.record(timestep(), snapshot())
    keeps.close()
