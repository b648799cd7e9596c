"""What the parts of a run have to say ends up in its folder."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from stempilot.record.log import LOG, run_log

PART = logging.getLogger("a_plugin.of.somebody")


def test_warnings_of_any_part_are_kept_and_others_are_not(tmp_path: Path) -> None:
    with run_log(tmp_path):
        PART.info("connected")
        PART.warning("the server at %s is back", "somewhere")
    PART.warning("after the run")
    [line] = (tmp_path / LOG).read_text("utf-8").splitlines()
    assert line.endswith("WARNING a_plugin.of.somebody: the server at somewhere is back")


def test_the_framework_writes_lines_of_its_own_that_nobody_else_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_log(tmp_path) as write:
        write("the response changed")
    [line] = (tmp_path / LOG).read_text("utf-8").splitlines()
    assert line.endswith("WARNING stempilot: the response changed")
    assert capsys.readouterr().err == ""


def test_a_resumed_run_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for word in ("one", "two"):
        with run_log(tmp_path):
            PART.error(word)
    lines = (tmp_path / LOG).read_text("utf-8").splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["one", "two"]


def test_nothing_to_say_makes_no_file(tmp_path: Path) -> None:
    with run_log(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LOG).mkdir()
    with run_log(tmp_path):
        PART.warning("lost")
    assert capsys.readouterr().err == ""


def test_warnings_still_show_where_nobody_else_takes_them(tmp_path: Path) -> None:
    code = (
        "import logging, pathlib, sys\n"
        "from stempilot.record.log import run_log\n"
        "with run_log(pathlib.Path(sys.argv[1])):\n"
        "    logging.getLogger('part').warning('sent again')\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "sent again"
    assert "sent again" in (tmp_path / LOG).read_text("utf-8")


def test_the_block_leaves_nothing_behind(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    with pytest.raises(ValueError, match="stop"), run_log(tmp_path):
        raise ValueError("stop")
    assert logging.getLogger().handlers == before
