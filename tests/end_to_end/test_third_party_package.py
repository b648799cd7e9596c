"""A stranger's package is built, installed beside stempilot's wheel, and used, all from nothing."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

ROOT = Path(__file__).parents[2]
OFFERED = (("backend", "desktop"), ("task", "focus"), ("agent", "golden-section"))
EXAMPLE = ROOT / "examples" / "stempilot-example"


@frozen
class Installed:
    """A virtual environment of its own."""

    bin: Path

    def stempilot(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "stempilot"), *arguments],
            cwd=cwd,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )


def clean_environment() -> dict[str, str]:
    """Return the environment without anything that leads back to the source tree."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "STEMPILOT_PLUGINS"}
    return {name: value for name, value in os.environ.items() if name not in hidden}


def wheel(source: Path, folder: Path) -> Path:
    before = set(folder.glob("*.whl"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source],
        env=clean_environment(),
        capture_output=True,
        check=True,
        timeout=120,
    )
    (built,) = set(folder.glob("*.whl")) - before
    return built


def install(folder: Path) -> Installed:
    wheels = [wheel(source, folder) for source in (ROOT, EXAMPLE)]
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run(
        [str(binaries / "python"), "-m", "pip", "install", "--quiet", *constraints, *wheels],
        env=clean_environment(),
        check=True,
        timeout=450,
    )
    return Installed(binaries)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_package_is_found_checked_and_run_in_a_fresh_environment(tmp_path: Path) -> None:
    # One test, because parallel test processes would each install everything anew.
    installed = install(tmp_path)
    check_that_plugins_of_both_packages_are_listed(installed, tmp_path)
    for kind, name in OFFERED:
        check_that_it_keeps_its_contract(installed, tmp_path, kind, name)
    check_that_they_run_together(installed, tmp_path)
    check_that_what_does_not_fit_is_refused(installed, tmp_path)


def check_that_plugins_of_both_packages_are_listed(installed: Installed, folder: Path) -> None:
    done = installed.stempilot("plugins", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["plugins"]
    assert [entry for entry in found if not entry["usable"]] == []
    theirs = {(e["kind"], e["name"]) for e in found if e["distribution"] == "stempilot-example"}
    assert theirs == set(OFFERED)
    assert ("backend", "simulator") in {(entry["kind"], entry["name"]) for entry in found}


def check_that_it_keeps_its_contract(
    installed: Installed, folder: Path, kind: str, name: str
) -> None:
    done = installed.stempilot("check", name, "--json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["kind"], told["name"]) == (kind, name)
    assert len(told["results"]) >= 18
    assert [result for result in told["results"] if not result["passed"]] == []


def check_that_they_run_together(installed: Installed, folder: Path) -> None:
    out = folder / "run"
    parts = ["focus", "--backend", "desktop", "--agent", "golden-section"]
    done = installed.stempilot("run", *parts, "--seed=3", f"--out={out}", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["success"] is True
    record = read(out / "record.json")
    assert record["status"] == "done"
    assert set(record["plugins"].values()) == {"stempilot-example 0.1.0"}
    last = json.loads((out / "events.jsonl").read_text().splitlines()[-1])
    assert last["outcome"] == "success"
    assert abs(last["summary"]["defocus_m"] - last["truth"]["focus_m"][0]) < 40e-9


def check_that_what_does_not_fit_is_refused(installed: Installed, folder: Path) -> None:
    parts = ["focus", "--backend", "simulator", "--agent", "golden-section"]
    done = installed.stempilot("run", *parts, cwd=folder)
    assert done.returncode == 3, done.stderr
    assert "needs source haadf; simulator offers flucam" in done.stderr


@pytest.mark.slow
def test_its_own_tests_pass() -> None:
    # They are what an author copies, so they must not rot.
    places = [str(EXAMPLE / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=EXAMPLE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content
