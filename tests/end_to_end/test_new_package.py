"""A package of each kind is written, installed without a network, checked, tested and used."""

import json
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from stempilot.plugins.registry import discover
from stempilot.scaffold.write import KINDS, new_package

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
KIND_OF = {
    "demo": "task",  # as in the tutorial
    "new-backend": "backend",
    "new-agent": "agent",
    "new-package": "package",
}


def python_of(folder: Path) -> Path:
    """Make a virtual environment that sees what this one sees, and return its Python."""
    venv.create(folder, with_pip=False)
    own = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    Path(own, "outer.pth").write_text("\n".join(path for path in sys.path if path))
    return next(folder.glob("Scripts/python.exe"), folder / "bin" / "python")


def run(*words: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_packages_are_installed_checked_and_tested(tmp_path: Path) -> None:
    # One test: an environment for each would cost more than all that is done in it.
    registry = discover(only="")
    made = [new_package(what, name, tmp_path / name, registry) for name, what in KIND_OF.items()]
    python = python_of(tmp_path / "venv")
    editable = [word for folder in made for word in ("--editable", folder)]
    offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        *offline,
        *editable,
        cwd=tmp_path,
    )
    plugins = json.loads(run(python, "-m", "stempilot", "plugins", "--json", cwd=tmp_path))
    theirs = {(e["kind"], e["name"]) for e in plugins["plugins"] if e["name"] in KIND_OF}
    one_each = {(what, name) for name, what in KIND_OF.items() if what != "package"}
    assert theirs == one_each | {(kind, "new-package") for kind in KINDS}
    # The tests hold the contracts of all of them; the command is checked on the quickest one.
    checked = json.loads(
        run(python, "-m", "stempilot", "check", "new-agent", "--json", cwd=tmp_path)
    )
    assert all(row["passed"] for row in checked["results"])
    tests = [folder / "tests" for folder in made]
    quiet = ("-q", "-n", "0", "-p", "no:cacheprovider", "--import-mode=importlib")
    told = run(python, "-m", "pytest", *quiet, *tests, cwd=tmp_path)
    assert "passed" in told
    for words in commands_of_the_tutorial():
        run(python, "-m", "stempilot", *words, cwd=tmp_path)


def commands_of_the_tutorial() -> list[list[str]]:
    """Return how its own task is trained, much too shortly to learn anything, and is run."""
    lines = re.findall(r"^stempilot ((?:train|run) demo .*)$", TUTORIAL.read_text("utf-8"), re.M)
    assert [line.split()[0] for line in lines] == ["train", "run"]
    short = {"--steps 100": "--steps 3", "--episodes 20": "--episodes 1"}
    for long, brief in short.items():
        assert any(long in line for line in lines)
        lines = [line.replace(long, brief) for line in lines]
    return [line.split() for line in lines]
