"""Reports look the same and succeed whatever the user has set for matplotlib."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from stempilot import report
from stempilot.errors import RunDirError
from stempilot.report import PLOTS, write_report
from stempilot.report.evidence import Evidence
from stempilot.report.style import Picture


def pictures(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / PLOTS).iterdir()}


def test_what_a_script_has_set_changes_nothing(evaluated: Path) -> None:
    write_report(evaluated)
    before = pictures(evaluated)
    with mpl.rc_context({"text.usetex": True, "font.size": 30, "axes.facecolor": "black"}):
        write_report(evaluated)
        assert mpl.rcParams["font.size"] == 30, "it is still as the script set it"
    assert pictures(evaluated) == before


def test_neither_rc_files_nor_backend_nor_style_of_the_user_are_read(
    evaluated: Path, tmp_path: Path
) -> None:
    write_report(evaluated)
    before = pictures(evaluated)
    site = tmp_path / "site"
    site.mkdir()
    # Latin-1, which ends the import of matplotlib.
    for folder in (site, tmp_path):
        (folder / "matplotlibrc").write_bytes(b"text.usetex: True\n# r\xe9sum\xe9\n")
    code = "import sys; from stempilot.report import write_report; write_report(sys.argv[1])"
    environment = {
        **os.environ,
        "MPLBACKEND": "a-notebooks-own",
        "MATPLOTLIBRC": str(site / "matplotlibrc"),
        "MPLCONFIGDIR": str(site),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(evaluated)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert pictures(evaluated) == before


def test_a_picture_that_cannot_be_drawn_is_named(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps_picture(_: Evidence) -> Picture:
        msg = "no font called <DejaVu Sans>"
        raise RuntimeError(msg)

    drawn = dict(report._DRAWN)
    drawn["evaluation"] = (steps_picture, *drawn["evaluation"][1:])
    monkeypatch.setattr(report, "_DRAWN", drawn)
    page = write_report(evaluated).read_text(encoding="utf-8")
    said = "Steps: could not be drawn: RuntimeError: no font called &lt;DejaVu Sans&gt;"
    assert said in page
    assert "finals.png" in pictures(evaluated)


def test_a_damaged_file_is_still_an_error(evaluated: Path) -> None:
    (evaluated / "finals.npy").write_bytes(b"")
    with pytest.raises(RunDirError):
        write_report(evaluated)
