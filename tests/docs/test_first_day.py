"""Every command of docs/first-day.md, in its order, against a virtual Themis."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "first-day.md"
PORT = "8001"
BACK_DOOR = "8002"
CLI = (sys.executable, "-m", "stempilot")


def commands(kind: str) -> list[str]:
    """Return the commands of all blocks of a kind: ``sh``, ``sh emulator``, ``sh background``."""
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.strip().splitlines()]


@pytest.fixture
def themis(tmp_path: Path) -> Iterator[Any]:
    """Run the page's emulator on free ports, without its waiting; return what it says."""
    [line] = commands("sh emulator")
    words = shlex.split(line.replace(PORT, "0").replace(BACK_DOOR, "0"))[1:]
    server = subprocess.Popen(
        [*CLI, *words, "--set", "emulator.realtime=false", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_command_works(themis: Any, tmp_path: Path) -> None:
    lines = commands("sh")
    assert len(lines) == 6
    for line in lines:
        words = shlex.split(line)
        assert words[0] == "stempilot"
        where = ["--set", f"backend.url={themis['url']}"] if "--backend" in words else []
        done = subprocess.run(
            [*CLI, *words[1:], *where], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert (tmp_path / "runs" / "first" / "report.html").exists()
    evaluation = json.loads((tmp_path / "runs" / "twenty" / "evaluation.json").read_text("utf-8"))
    assert evaluation["success_rate"] >= 0.95


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_knob_can_be_turned_by_hand(themis: Any) -> None:
    [line] = commands("sh background")
    door = re.match(r"http://[^/]+", themis["rehearsal"])
    assert door is not None
    words = shlex.split(line.replace(f"http://127.0.0.1:{BACK_DOOR}", door[0]))
    done = subprocess.run([*words, "-sS"], capture_output=True, text=True, check=True)
    assert "0.01" in done.stdout
