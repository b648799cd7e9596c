"""The example that chains two tasks in one session does what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "two_tasks_one_session.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def places(text: str, before: str) -> list[str]:
    """Return where the knobs stood, as printed after some words."""
    return re.findall(rf"{before} (diffraction_shift = \(.*\))", text)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_both_stages_succeed_and_everything_is_put_back(seed: str) -> None:
    done = run("--seed", seed)
    assert done.returncode == 0, done.stderr
    distances = [float(found) for found in re.findall(r"([0-9.]+) px from the goal", done.stdout)]
    assert len(distances) == 2
    assert distances[0] <= 20.0
    assert distances[1] <= 2.0
    began, now = places(done.stdout, "began at"), places(done.stdout, "now at")
    assert began == [*places(done.stdout, "session opened at"), now[0]]
    assert now[1] != now[0]
    assert places(done.stdout, "session closed, back at") == began[:1]


def test_failed_stage_goes_back_to_where_it_began() -> None:
    done = run("--fine-steps", "1")
    assert done.returncode == 1
    assert "fine ended without success" in done.stderr
    began, back = places(done.stdout, "began at"), places(done.stdout, "  back at")
    assert back == began[1:]
    assert back != began[:1]
    assert places(done.stdout, "session closed, back at") == began[:1]
