"""A script of three tasks is short, has no cast, and does what it says."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "three_tasks.py"


def test_it_has_at_most_15_lines_and_no_cast() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 15
    for shortcut in ("cast", "Any", "type: ignore"):
        assert shortcut not in text


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_is_strictly_typed() -> None:
    scripts = [str(SCRIPT), str(SCRIPT.with_name("two_tasks_one_session.py"))]
    words = [sys.executable, "-m", "mypy", "--strict", *scripts]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout


def test_it_plays_three_tasks() -> None:
    words = [sys.executable, str(SCRIPT)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=50)
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("True ") for line in lines)
