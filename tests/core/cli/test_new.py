"""``stempilot new`` writes a package and says what comes next."""

from pathlib import Path

from tests.core.cli.conftest import Stempilot


def test_new_writes_a_package_and_says_what_comes_next(stempilot: Stempilot) -> None:
    ended = stempilot("new", "task", "demo")
    assert ended.code == 0
    assert "python -m pip install -e demo; stempilot check demo" in ended.err
    assert Path("demo/src/demo/task.py").exists()


def test_new_as_json_into_another_folder(stempilot: Stempilot) -> None:
    ended = stempilot("new", "agent", "demo", "--out", "plugins/mine", "--json")
    assert ended.json == {"kind": "agent", "name": "demo", "folder": str(Path("plugins/mine"))}
    assert Path("plugins/mine/tests/test_agent.py").exists()


def test_new_refuses_names_that_are_taken_and_kinds_that_there_are_not(
    stempilot: Stempilot,
) -> None:
    ended = stempilot("new", "agent", "walker")
    assert ended.code == 2
    assert "'walker' is a plug-in of toys 1.0 already" in ended.err
    assert stempilot("new", "microscope", "demo").code == 2
    assert list(Path().iterdir()) == []
