"""The nearest known names are found in one place."""

from pathlib import Path

import pytest

import stempilot
from stempilot.plugins.suggest import listed, meant, nearest

KNOWN = ("task.size", "task.side", "run")


def test_the_nearest_names_are_asked_for() -> None:
    assert nearest("rum", KNOWN) == "did you mean run?"
    assert nearest("task.sise", KNOWN) == "did you mean task.size or task.side?"
    assert nearest("other", KNOWN) == ""
    assert nearest("rum", KNOWN, "--") == "did you mean --run?"


def test_where_none_is_near_all_are_named() -> None:
    assert meant("other", KNOWN) == "known: task.size, task.side, run"
    assert meant("rum", KNOWN) == "did you mean run?"


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("rum", KNOWN, "there is task.size, task.side, run; did you mean run?"),
        ("other", KNOWN, "there is task.size, task.side, run"),
        ("other", (), "there is none"),
    ],
)
def test_a_sentence_may_name_all_and_ask(name: str, known: tuple[str, ...], said: str) -> None:
    assert listed("there is", name, known) == said


def test_no_other_module_looks_for_near_names() -> None:
    core = Path(stempilot.__file__).parent
    found = {
        path.relative_to(core).as_posix()
        for path in core.rglob("*.py")
        if "difflib" in (text := path.read_text(encoding="utf-8")) or "did you mean" in text
    }
    assert found == {"plugins/suggest.py"}
