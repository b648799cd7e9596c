"""Files of a run are regular files inside its folder, whoever made it; all else is refused."""

import errno
import io
import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stempilot import files
from stempilot.errors import RecordError, RunDirError
from stempilot.files import (
    MOST_JSON,
    MOST_LINE,
    file_hash,
    open_own,
    own_files,
    own_folder,
    parse_json,
    read_array,
    read_file,
    read_json,
    read_lines,
    remove_folder,
    write_file,
    write_json,
)

posix = pytest.mark.skipif(os.name == "nt", reason="links and pipes as POSIX has them")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_bytes(b"precious\n")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "elsewhere" / "precious")


def dangling(path: Path) -> None:
    path.symlink_to(path.parent.parent / "elsewhere" / "nothing")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def door(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(before)


def folder(path: Path) -> None:
    path.mkdir()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


TRAPS = (link, dangling, circle, zeros, pipe, door, folder, sparse)
READS: tuple[Callable[[Path], object], ...] = (
    read_file,
    read_json,
    read_array,
    file_hash,
    lambda path: list(read_lines(path)),
    lambda path: open_own(path, "ab+"),
)


@posix
@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
@pytest.mark.parametrize("number", range(len(READS)))
def test_what_is_no_file_of_the_run_is_refused_by_name(
    run: Path, trap: Callable[[Path], None], number: int
) -> None:
    trap(run / "record.json")
    with pytest.raises(RunDirError, match=re.escape(str(run / "record.json"))):
        READS[number](run / "record.json")
    assert (run.parent / "elsewhere" / "precious").read_bytes() == b"precious\n"
    assert not (run.parent / "elsewhere" / "nothing").exists()


@posix
def test_a_folder_on_the_way_may_be_no_link_and_the_run_itself_may(run: Path) -> None:
    (run / "frames").symlink_to(run.parent / "elsewhere")
    with pytest.raises(RunDirError, match=r"frames.precious is a link, or lies behind one"):
        read_file(run / "frames" / "precious", inside=run)
    with pytest.raises(RunDirError, match="frames is a link"):
        own_folder(run / "frames")
    with pytest.raises(RunDirError, match="frames is a link"):
        own_files(run / "frames")
    (run.parent / "latest").symlink_to(run)
    write_file(run / "a", b"a")
    assert read_file(run.parent / "latest" / "a") == b"a"


def test_a_path_that_leads_out_of_the_run_is_refused(run: Path) -> None:
    with pytest.raises(RunDirError, match="only what lies in"):
        read_file(run / ".." / "elsewhere" / "precious", inside=run)


def test_what_becomes_a_pipe_after_the_first_look_is_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked at is not what was opened: the opened one is looked at too."""
    (run / "a").write_bytes(b"a")
    reading, writing = os.pipe()
    monkeypatch.setattr(files, "_open_carefully", lambda path, flags: reading)
    with pytest.raises(RunDirError, match="not a regular file"):
        read_file(run / "a")
    os.close(writing)


@posix
def test_adding_to_a_file_with_a_second_name_is_refused(run: Path) -> None:
    (run / "events.jsonl").hardlink_to(run.parent / "elsewhere" / "precious")
    with pytest.raises(RunDirError, match="the same file as another one"):
        open_own(run / "events.jsonl", "ab+")
    assert read_file(run / "events.jsonl") == b"precious\n", "reading it is harmless"


@posix
@pytest.mark.parametrize("trap", [link, dangling, zeros, pipe])
def test_a_link_where_a_file_is_prepared_leads_nowhere(
    run: Path, trap: Callable[[Path], None]
) -> None:
    trap(run / ".record.json.new")
    trap(run / "record.json")
    write_file(run / "record.json", b"new")
    assert (run / "record.json").read_bytes() == b"new"
    assert list(run.iterdir()) == [run / "record.json"]
    assert os.listdir(run.parent / "elsewhere") == ["precious"]  # noqa: PTH208 - a plain list
    assert (run.parent / "elsewhere" / "precious").read_bytes() == b"precious\n"


def test_a_folder_where_a_file_is_prepared_is_named(run: Path) -> None:
    (run / ".record.json.new").mkdir()
    with pytest.raises(RecordError, match=r"cannot write .*\.record\.json\.new"):
        write_file(run / "record.json", b"new")


def test_files_are_as_large_as_their_kind_may_be(run: Path) -> None:
    (run / "a").write_bytes(b"12345")
    assert read_file(run / "a", most=5) == b"12345"
    with pytest.raises(RunDirError, match="has 5 bytes; a file of its kind has at most 4"):
        read_file(run / "a", most=4)


def test_lines_come_one_by_one_and_the_last_may_be_cut_off(run: Path) -> None:
    (run / "a").write_bytes(b"one\n\ntwo")
    assert list(read_lines(run / "a")) == [b"one\n", b"\n", b"two"]
    with pytest.raises(RunDirError, match=r"cannot read .*no: No such file"):
        list(read_lines(run / "no"))


def test_a_line_that_never_ends_is_refused(run: Path) -> None:
    with (run / "a").open("wb") as file:
        file.write(b"fine\n")
        file.truncate(2 * MOST_LINE)
    lines = read_lines(run / "a")
    assert next(lines) == b"fine\n"
    with pytest.raises(RunDirError, match=f"line 2 has more than {MOST_LINE} bytes"):
        next(lines)


@pytest.mark.parametrize("unit", ["[],", "{},", "[[[]]],"])
def test_what_takes_many_times_its_size_once_parsed_is_refused(unit: str) -> None:
    with pytest.raises(ValueError, match="more than 100000 lists and objects"):
        parse_json(f"[{unit * 100_000}1]")
    assert len(parse_json(f"[{'[],' * 99_999}1]")) == 100_000


@pytest.mark.parametrize("content", ["x" * MOST_JSON, [[]] * 100_000])
def test_what_could_not_be_read_again_is_not_written(run: Path, content: Any) -> None:
    write_json(run / "a", {"kept": 1})
    with pytest.raises(RecordError, match="a would be too large to be read again"):
        write_json(run / "a", {"content": content})
    assert read_json(run / "a")["kept"] == 1


ARRAYS: tuple[Any, ...] = (
    np.arange(12, dtype=np.uint16).reshape(3, 4),
    np.arange(12, dtype=">f4").reshape(3, 4),
    np.asfortranarray(np.arange(24, dtype=np.int64).reshape(2, 3, 4)),
    np.array([True, False]),
    np.float64(3.5),
    np.zeros((0, 3), np.float16),
)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype.str}{array.shape}")
def test_arrays_come_back(run: Path, array: Any) -> None:
    np.save(run / "a.npy", array)
    found = read_array(run / "a.npy")
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    size = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + header.encode("latin1") + content


def test_later_versions_of_the_format_are_read(run: Path) -> None:
    header = "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }  \n"
    for version in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        (run / "a.npy").write_bytes(npy(header, b"\x01\0\x02\0", version))
        assert read_array(run / "a.npy").tolist() == [1, 2]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff\xff",
        b"PK\x03\x04",
        npy("{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }\n", b"\0"),
        npy("{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }\n", b"\0" * 5),
        npy("{'descr': '<u2', 'fortran_order': False, 'shape': (999999999999,), }\n"),
        npy("{'descr': '<u3', 'fortran_order': False, 'shape': (2,), }\n", b"\0" * 6),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n", b"\0" * 16),
        npy("{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (2,), }\n", b"\0" * 4),
        npy("{'descr': '<u2', 'fortran_order': False, 'shape': (-2,), }\n", b"\0" * 4),
        npy("{'descr': '<u2', 'fortran_order': False, 'shape': (" + "9" * 400 + ",), }\n"),
        npy("{'descr': '<u2', 'fortran_order': 1 if 1 else 0, 'shape': (2,), }\n", b"\0" * 4),
        npy("(" * 9000 + "\n"),
    ],
    ids=range(14),
)
def test_what_is_no_array_of_plain_numbers_is_refused(run: Path, content: bytes) -> None:
    (run / "a.npy").write_bytes(content)
    with pytest.raises(RunDirError, match=r"a\.npy"):
        read_array(run / "a.npy")


def test_a_pickle_in_an_array_is_not_opened(run: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    (run / "a.npy").write_bytes(buffer.getvalue())
    with pytest.raises(RunDirError, match="no NPY file of plain numbers"):
        read_array(run / "a.npy")


@posix
def test_a_saved_agent_consists_of_its_own_files(run: Path) -> None:
    (run / "agent-10" / "nets").mkdir(parents=True)
    (run / "agent-10" / "nets" / "a").write_bytes(b"a")
    assert own_files(run / "agent-10") == [run / "agent-10" / "nets" / "a"]
    (run / "agent-10" / "nets" / "b").symlink_to(run / "agent-10" / "nets" / "a")
    with pytest.raises(RunDirError, match=r"nets.b is a link"):
        own_files(run / "agent-10")


@posix
def test_what_lies_in_the_place_of_a_folder_is_removed_without_being_opened(run: Path) -> None:
    for trap in (link, dangling, zeros, pipe, door):
        trap(run / "agent-10")
        remove_folder(run / "agent-10")
        assert list(run.iterdir()) == []
    (run / "agent-10").symlink_to(run.parent / "elsewhere")
    remove_folder(run / "agent-10")
    assert (run.parent / "elsewhere" / "precious").exists()


def blocked(monkeypatch: pytest.MonkeyPatch, times: int) -> list[float]:
    """Let so many renamings fail as where another program has the file open; return the pauses."""
    rename, failed = Path.replace, list[Path]()
    pauses: list[float] = []

    def refusing(self: Path, target: Path) -> Path:
        if len(failed) < times:
            failed.append(target)
            raise PermissionError(errno.EACCES, "in use", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", refusing)
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def test_a_reader_does_not_keep_a_file_from_being_replaced_on_windows(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_WINDOWS", True)
    pauses = blocked(monkeypatch, 3)
    write_file(run / "record.json", b"new")
    assert (run / "record.json").read_bytes() == b"new"
    assert pauses == [0.01, 0.03, 0.1]
    blocked(monkeypatch, 99)
    with pytest.raises(RecordError, match=r"record\.json: in use"):
        write_file(run / "record.json", b"newer")
    assert [path.name for path in run.iterdir()] == ["record.json"]


def test_elsewhere_a_refusal_is_one_at_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_WINDOWS", False)
    pauses = blocked(monkeypatch, 1)
    with pytest.raises(RecordError, match="in use"):
        write_file(run / "record.json", b"new")
    assert pauses == []
