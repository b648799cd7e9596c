"""The commands of the page on recorded runs do what it says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to-replay.md"


def blocks(kind: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)


def run(words: list[str], folder: Path) -> Any:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def told(run: Path) -> list[Any]:
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [(line["observation"], line.get("action"), line.get("reward")) for line in lines]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_page_can_be_followed(tmp_path: Path) -> None:
    commands = [block for block in blocks("") if block.startswith("stempilot ")]
    assert len(commands) == 3
    for command in commands:
        words = shlex.split(command.replace("\\\n", " "))
        done = run([sys.executable, "-m", *words], tmp_path)
        assert done.returncode == 0, done.stderr
    runs = tmp_path / "runs"
    assert told(runs / "again") == told(runs / "recorded")
    assert len(told(runs / "changed")) < len(told(runs / "recorded"))
    other = "run bf-disk-centering --agent random --backend replay --set backend.run=runs/recorded"
    done = run([sys.executable, "-m", "stempilot", *other.split(), "--episodes", "1"], tmp_path)
    assert done.returncode == 4
    assert "was to be written, but the record of runs/recorded" in done.stderr.replace("\n", " ")
    (script,) = blocks("python")
    done = run([sys.executable, "-c", script], tmp_path)
    assert done.returncode == 0, done.stderr
    steps = sum(action is not None for _, action, _ in told(runs / "recorded"))
    assert done.stdout.startswith(f"{steps} ({steps}, 2) ")
