"""Saved learners are searched for pickles, and damaged in every way that must be noticed."""

import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save

from stempilot.testing.saved import damages, file_problems


def npy(array: npt.NDArray[Any], *, objects: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=objects)
    return buffer.getvalue()


def npz(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


OBJECTS = np.array([{"a": 1}], dtype=object)
GOOD = {
    "agent.json": b'{"a": 1}',
    "log.csv": b"a,b\n1,2\n",
    "weights.npy": npy(np.zeros(3)),
    "more.npz": npz(a_npy=npy(np.zeros(3))),
    "actor.safetensors": save({"w": np.zeros((2, 2))}),
}
BAD = {
    "agent.pkl": pickle.dumps(1),
    "agent.pt": b"PK\x03\x04",
    "really.json": pickle.dumps({"a": 1}),
    "cut.json": b'{"a": ',
    "binary.csv": b"\xff\xfe\x00",
    "objects.npy": npy(OBJECTS, objects=True),
    "pickle.npy": pickle.dumps(np.zeros(3), protocol=4),
    "objects.npz": npz(a_npy=npy(OBJECTS, objects=True)),
    "other.npz": npz(a_npy=npy(np.zeros(3)), data_pkl=b"x"),
    "none.npz": b"not a zip",
    "cut.safetensors": save({"w": np.zeros((2, 2))})[:-1],
    "short.safetensors": b"123",
}


@pytest.mark.parametrize("name", GOOD)
def test_formats_that_hold_no_code_are_let_through(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(GOOD[name])
    assert list(file_problems(tmp_path)) == []


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BAD[name])
    (problem,) = file_problems(tmp_path)
    assert problem.startswith(name)


def test_empty_folders_and_folders_in_folders_are_named(tmp_path: Path) -> None:
    assert list(file_problems(tmp_path)) == ["nothing was saved"]
    (tmp_path / "more").mkdir()
    assert list(file_problems(tmp_path)) == ["more is not a file"]


def test_damages_change_one_file_each(tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.mkdir()
    (original / "a.json").write_text(json.dumps(list(range(100))))
    (original / "b.npy").write_bytes(GOOD["weights.npy"])
    found = {}
    for what, damage in damages(original):
        copy = tmp_path / "copy"
        shutil.copytree(original, copy)
        damage(copy)
        found[what] = {path.name: path.stat().st_size for path in copy.iterdir()}
        shutil.rmtree(copy)
    a, b = (original / "a.json").stat().st_size, (original / "b.npy").stat().st_size
    assert len(found) == 8
    assert found["without a.json"] == {"b.npy": b}
    assert found["with a.json cut in half"] == {"a.json": a // 2, "b.npy": b}
    assert found["with b.npy empty"] == {"a.json": a, "b.npy": 0}
    assert all(sizes != {"a.json": a, "b.npy": b} for sizes in found.values())
