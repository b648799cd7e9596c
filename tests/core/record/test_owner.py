"""Two runs never write into one run directory, and a dead one keeps nobody out."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from stempilot.errors import RecordError, RunDirError
from stempilot.record.owner import HOLDER, LOCK, owned

HOLD = """
import sys
from pathlib import Path
from stempilot.record.owner import owned
with owned(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_told_who_writes(tmp_path: Path) -> None:
    with owned(tmp_path):
        for _ in range(2):
            with pytest.raises(RunDirError) as caught, owned(tmp_path):
                pytest.fail("the block must not begin")
    assert caught.value.exit_code == 2
    assert f"{tmp_path} is in use by process {os.getpid()} on " in str(caught.value)
    assert not (tmp_path / HOLDER).exists()
    with owned(tmp_path):
        pass


def test_nothing_is_written_through_a_link_of_a_stranger(tmp_path: Path) -> None:
    mine, folder = tmp_path / "mine", tmp_path / "theirs"
    mine.write_text("mine")
    folder.mkdir()
    for name in (HOLDER, f".lock.{os.getpid()}"):
        (folder / name).symlink_to(mine)
    with owned(folder):
        assert (folder / HOLDER).is_file()
        assert not (folder / HOLDER).is_symlink()
    (folder / LOCK).unlink()
    (folder / LOCK).symlink_to(mine)
    with pytest.raises(RecordError), owned(folder):
        pytest.fail("the block must not begin")
    assert mine.read_text() == "mine"


def test_a_process_that_was_killed_keeps_no_run_out(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunDirError, match=f"by process {other.pid} on "), owned(tmp_path):
            pytest.fail("the block must not begin")
        other.kill()
    assert (tmp_path / HOLDER).exists(), "the other could not tidy up"
    with owned(tmp_path):
        pass


def test_a_folder_that_stays_empty_is_removed_with_those_above_it(tmp_path: Path) -> None:
    with owned(tmp_path / "runs" / "a"):
        assert (tmp_path / "runs" / "a" / LOCK).exists()
    assert list(tmp_path.iterdir()) == []
    with owned(tmp_path / "runs" / "a"):
        (tmp_path / "runs" / "a" / "record.json").touch()
    assert (tmp_path / "runs" / "a" / "record.json").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_where_the_file_system_knows_no_locks_it_goes_without_and_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with owned(tmp_path / "a"):
        (tmp_path / "a" / "record.json").touch()
    assert "another run is not kept out" in caplog.text


def test_what_cannot_be_written_to_is_an_error_but_where_it_must_not_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(RecordError, match=r"cannot write .*\.lock: "), owned(tmp_path):
        pytest.fail("the block must not begin")
    with owned(tmp_path, must=False):
        assert "another run is not kept out" in caplog.text


def test_a_name_that_is_too_long_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot write"), owned(tmp_path / ("a" * 300)):
        pytest.fail("the block must not begin")
