"""``stempilot mask`` makes the file that tasks take for a camera's defective pixels."""

import re
from pathlib import Path

import numpy as np
import pytest
from tests.core.cli.conftest import Stempilot


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    """Write dark frames with a hot pixel, a dead column and a clipped row."""
    rng = np.random.default_rng(1)
    paths = [tmp_path / f"{number}.npy" for number in range(3)]
    for path in paths:
        pixels = rng.normal(100, 6, (96, 128)).astype(np.uint16)
        pixels[10, 20], pixels[:, 30], pixels[40, :] = 9000, 0, 65535
        np.save(path, pixels)
    return paths


def test_it_says_how_many_of_which_kind(stempilot: Stempilot, frames: list[Path]) -> None:
    ended = stempilot("mask", "dark", *frames, "--out", "mask.npy")
    assert ended.code == 0
    told = dict(re.split(r"  +", line.strip()) for line in ended.out.splitlines())
    assert told == {
        "mask": "mask.npy",
        "dead": "0",
        "hot or clipped": "1",
        "columns": "1 (30)",
        "rows": "1 (40)",
        "masked": "1.823% of the frame",
    }
    ended = stempilot("mask", "dark", *frames, "--out", "mask.npy", "--replace", "--json")
    assert ended.json == {
        "mask": "mask.npy",
        "dead": 0,
        "hot_or_clipped": 1,
        "columns": [30],
        "rows": [40],
        "masked": pytest.approx(224 / (96 * 128)),
    }
    assert np.load("mask.npy").sum() == 224


def test_it_overwrites_nothing_unasked_and_leaves_no_part(
    stempilot: Stempilot, frames: list[Path], tmp_path: Path
) -> None:
    Path("mask.npy").write_bytes(b"mine")
    ended = stempilot("mask", "dark", *frames, "--out", "mask.npy")
    assert (ended.code, Path("mask.npy").read_bytes()) == (2, b"mine")
    assert "mask.npy exists already; choose another --out" in ended.err
    ended = stempilot("mask", "dark", *frames[1:], "--out", "new.npy")
    assert (ended.code, Path("new.npy").exists()) == (2, False)
    assert "2 frames are too few" in ended.err
    ended = stempilot("mask", "dark", *frames, "--out", "none/new.npy")
    assert (ended.code, "cannot write" in ended.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir() if "new" in path.name] == []


def test_without_frames_it_says_what_to_give(stempilot: Stempilot) -> None:
    ended = stempilot("mask", "dark", "--out", "mask.npy")
    assert (ended.code, ended.err) == (
        2,
        "error: 0 frames are too few; give at least 3 of one kind\n",
    )
    ended = stempilot("mask", "dark", "none.npy", "--out", "mask.npy")
    assert (ended.code, "none.npy cannot be read" in ended.err) == (2, True)


def test_a_camera_is_read_and_left_alone(stempilot: Stempilot) -> None:
    ended = stempilot("mask", "dark", "--backend", "simulator", "--count", 4, "--out", "mask.npy")
    assert ended.code == 2
    assert "frame 1 of simulator holds (48, 64) uint16" in ended.err
    ended = stempilot("mask", "dark", "-b", "simulator", "--source", "eels", "--out", "mask.npy")
    assert "simulator has no source 'eels'; choose with --source one of: toy_camera" in ended.err
