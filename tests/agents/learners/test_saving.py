"""Files of numbers: what is written is read back, and what is wrong is refused by name."""

import json
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen

from stempilot.errors import RunDirError
from stempilot_agents.learners import saving as weights

ARRAYS: dict[str, Any] = {
    "scalar": np.array(2.5, np.float32),
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "counts": np.array([1, 2], np.int64),
    "empty": np.zeros((0, 3), np.float32),
}


@frozen(kw_only=True)
class Note:
    schema: int
    text: str
    sizes: tuple[int, ...]
    more: dict[str, Any]


NOTE = Note(schema=1, text="disk", sizes=(1, 2), more={"big": 2**120, "none": None})


def test_arrays_come_back_with_shape_and_dtype(tmp_path: Any) -> None:
    weights.write_arrays(tmp_path / "a.safetensors", ARRAYS)
    found = weights.read_arrays(tmp_path / "a.safetensors", ARRAYS)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"matrix": None}, "matrix is missing"),
        ({"extra": np.zeros(1)}, "extra does not belong there"),
        ({"matrix": np.zeros((3, 2), np.float32)}, r"matrix has shape \(3, 2\), not \(2, 3\)"),
        ({"matrix": np.zeros((2, 3))}, "matrix is float64, not float32"),
        ({"matrix": np.full((2, 3), np.nan, np.float32)}, "matrix holds numbers that are not"),
        ({"scalar": np.array(np.inf, np.float32)}, "scalar holds numbers that are not finite"),
    ],
)
def test_wrong_arrays_are_refused_by_name(tmp_path: Any, change: Any, said: Any) -> None:
    file = tmp_path / "a.safetensors"
    changed = {name: array for name, array in (ARRAYS | change).items() if array is not None}
    weights.write_arrays(file, changed)
    with pytest.raises(RunDirError, match=said) as caught:
        weights.read_arrays(file, ARRAYS)
    assert str(file) in str(caught.value)


def test_all_problems_are_listed(tmp_path: Any) -> None:
    weights.write_arrays(tmp_path / "a.safetensors", {"other": np.zeros(1)})
    with pytest.raises(RunDirError, match="matrix is missing; other does not belong there; scal"):
        weights.read_arrays(tmp_path / "a.safetensors", ARRAYS)


def test_half_a_file_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "a.safetensors"
    weights.write_arrays(file, ARRAYS)
    content = file.read_bytes()
    for length in (0, 4, 40, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(RunDirError, match="not a valid safetensors file"):
            weights.read_arrays(file, ARRAYS)


def test_missing_files_are_named(tmp_path: Any) -> None:
    with pytest.raises(RunDirError, match=r"cannot read .*a\.safetensors: No such file"):
        weights.read_arrays(tmp_path / "a.safetensors", ARRAYS)
    with pytest.raises(RunDirError, match=r"cannot read .*a\.json: No such file"):
        weights.read_document(tmp_path / "a.json", Note, schema=1)


def test_documents_come_back(tmp_path: Any) -> None:
    weights.write_document(tmp_path / "a.json", NOTE)
    assert weights.read_document(tmp_path / "a.json", Note, schema=1) == NOTE


def test_numbers_that_json_does_not_have_are_not_written(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        weights.write_document(tmp_path / "a.json", evolve(NOTE, more={"bad": float("nan")}))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"9" * 5_000, "is not JSON"),
        (b"[1]", "must hold an object, not list"),
        (b"{}", "schema = None; this stempilot reads schema 1"),
        (b'{"schema": 2}', "schema = 2; this stempilot reads schema 1"),
        (b'{"schema": 1, "text": "a", "sizes": [1]}', "more is missing"),
    ],
)
def test_damaged_documents_are_refused(tmp_path: Any, content: Any, said: Any) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(RunDirError, match=said) as caught:
        weights.read_document(file, Note, schema=1)
    assert str(file) in str(caught.value)


def test_wrong_and_unknown_fields_are_named(tmp_path: Any) -> None:
    file = tmp_path / "a.json"
    good = {"schema": 1, "text": "a", "sizes": [1], "more": {}}
    for change, said in (({"sizes": ["x"]}, "sizes"), ({"txt": 1}, "txt")):
        file.write_text(json.dumps(good | change))
        with pytest.raises(RunDirError, match=said):
            weights.read_document(file, Note, schema=1)


def test_files_larger_than_what_they_should_hold_are_refused_unread(tmp_path: Any) -> None:
    file = tmp_path / "a.safetensors"
    weights.write_arrays(file, ARRAYS)
    with file.open("rb+") as opened:
        opened.truncate(2**40)
    with pytest.raises(RunDirError, match="a file of its kind has at most"):
        weights.read_arrays(file, ARRAYS)
    (tmp_path / "a.json").write_bytes(b" " * 9_000_000)
    with pytest.raises(RunDirError, match="a file of its kind has at most"):
        weights.read_document(tmp_path / "a.json", Note, schema=1)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**62]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [2, 1]}},
        {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}},
        {"a": 3},
        [],
    ],
)
def test_hostile_headers_are_refused(tmp_path: Any, header: Any) -> None:
    text = json.dumps(header).encode()
    file = tmp_path / "a.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 4)
    with pytest.raises(RunDirError, match=r"a\.safetensors"):
        weights.read_arrays(file, ARRAYS)
