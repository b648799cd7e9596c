"""The scripts of the page on scripting do what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to-script.md"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_script_trains_shows_a_plan_and_reports(tmp_path: Path) -> None:
    train, report, *_ = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    # Long enough to see that it works, much too short to learn anything.
    script = train.replace("steps=2_500", "steps=20") + report
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    converged, moves, page = done.stdout.splitlines()
    assert converged == "None"
    assert moves.startswith("diffraction_shift within")
    assert (tmp_path / page).name == "report.html"
    assert (tmp_path / page).exists()
