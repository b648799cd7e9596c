"""``stempilot workflow``: what it shows, asks, and ends with."""

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.core.cli.conftest import Stempilot
from tests.core.workflow.toys import Column, column_registry, lines

from stempilot.cli import render
from stempilot.cli.steps_shown import StepsShown
from stempilot.instrument.envelope_file import write_envelope
from stempilot.plugins.registry import Registry
from stempilot.workflow.steps import Step, Workflow

Use = Callable[[Registry], None]

FILE = """
[[steps]]
name = "look"
task = "look"

[[steps]]
name = "film-in"
operator = "Put the film in"
states = { film = "in" }

[[steps]]
name = "centre"
task = "centre"
agent = "exact"
inputs = { tolerance = "look.width" }
"""
ON_COLUMN = ("--backend", "column", "--envelope", "e.toml", "--yes", "--out", "flow")


@pytest.fixture
def column(use: Use, stempilot: Stempilot) -> Column:
    """Return an instrument that counts as real, with an envelope and a workflow beside."""
    del stempilot
    made = Column(real=True)
    use(column_registry(made))
    write_envelope(Path("e.toml"), "column", made.offers())
    Path("steps.toml").write_text(FILE)
    return made


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], bool]]:
    """Return a list of what a person at the terminal does and answers."""
    given: list[Callable[[], bool]] = []
    monkeypatch.setattr(
        "stempilot.cli.workflow.ask_at_terminal",
        lambda question: given.pop(0)() if given else False,
    )
    return given


def test_a_workflow_without_a_terminal_ends_at_the_operator_and_goes_on(
    column: Column, stempilot: Stempilot, answers: list[Callable[[], bool]]
) -> None:
    ended = stempilot("workflow", "run", "steps.toml", *ON_COLUMN)
    assert ended.code == 3
    assert "error: the operator's step film-in was not confirmed: Put the film in" in ended.err
    more = "workflow run steps.toml --resume flow"
    assert f"report: flow/report.html\ngo on with: stempilot {more}\n" in ended.err
    assert ended.out == ""

    def film_in() -> bool:
        column.film = "in"
        return True

    answers.append(film_in)
    ended = stempilot(*more.split(), "--yes", "--json")
    assert ended.code == 0
    assert ended.json["success"] is True
    assert ended.json["products"]["look.width"]["value"] == 0.5
    assert ended.json["report"] == "flow/report.html"
    assert "film-in: done, film reads in\n" in ended.err
    assert lines(Path("flow"))[-1] == "centre done next"


def test_an_answer_that_is_not_true_stops(
    column: Column, stempilot: Stempilot, answers: list[Callable[[], bool]]
) -> None:
    answers.append(lambda: True)
    ended = stempilot("workflow", "run", "steps.toml", *ON_COLUMN)
    assert ended.code == 4
    assert "film-in was confirmed, but film is out, not in. Nothing was sent" in ended.err
    assert "go on with" in ended.err


def test_a_failed_step_is_an_exit_code(column: Column, stempilot: Stempilot) -> None:
    Path("bad.toml").write_text('[[steps]]\nname = "a"\ntask = "centre"\nagent = "lost"\n')
    ended = stempilot("workflow", "run", "bad.toml", *ON_COLUMN)
    assert ended.code == 1
    assert "a: failed, the dot is gone, stop" in ended.err
    assert "a failed: the dot is gone" in ended.out
    assert column.place == (0.0, 0.0)


def test_ctrl_c_is_an_exit_code_and_goes_on(column: Column, stempilot: Stempilot) -> None:
    def interrupt(count: int) -> None:
        column.before_write = lambda count: None
        raise KeyboardInterrupt

    column.before_write = interrupt
    ended = stempilot("workflow", "run", "steps.toml", *ON_COLUMN)
    assert ended.code == 130
    assert "a step under way was put back, what was done before is kept" in ended.err
    assert "report: flow/report.html" in ended.err
    assert "--resume flow" in ended.err


def test_options_are_set_by_step(column: Column, stempilot: Stempilot) -> None:
    words = ("workflow", "run", "steps.toml", *ON_COLUMN)
    assert stempilot(*words, "--set", "look.value=0.25").code == 3
    first = json.loads(Path("flow/steps.jsonl").read_text().splitlines()[1])
    assert first["products"]["width"]["value"] == 0.25
    ended = stempilot(*words, "--set", "lok.value=0.25")
    assert ended.code == 2
    assert "unknown section: lok; did you mean look?" in ended.err
    ended = stempilot(*words, "--set", "look.val=0.25")
    assert (ended.code, "steps.toml, step look: " in ended.err) == (2, True)


def test_a_dry_run_writes_nothing(column: Column, stempilot: Stempilot) -> None:
    ended = stempilot("workflow", "run", "steps.toml", *ON_COLUMN, "--dry-run", "--json")
    assert ended.code == 0
    assert [row["step"] for row in ended.json["steps"]] == ["look", "film-in", "centre"]
    assert ended.json["now"]["beam_shift"].startswith("now at [0.0, 0.0]")
    assert column.writes == []
    assert not Path("flow").exists()
    assert (
        "now at [0.0, 0.0]"
        in stempilot("workflow", "run", "steps.toml", *ON_COLUMN, "--dry-run").out
    )


def test_a_check_opens_nothing(column: Column, stempilot: Stempilot) -> None:
    column.open = pytest.fail  # type: ignore[method-assign]
    ended = stempilot("workflow", "check", "steps.toml", "--backend", "column")
    assert ended.code == 0
    assert "Put the film in" in ended.out
    Path("steps.toml").write_text(FILE.replace('"exact"', '"exactt"'))
    ended = stempilot("workflow", "check", "steps.toml", "--backend", "column")
    assert ended.code == 2
    assert "steps.toml, step centre: " in ended.err
    assert "did you mean exact" in ended.err


def test_beside_resume_stands_little(column: Column, stempilot: Stempilot) -> None:
    stempilot("workflow", "run", "steps.toml", *ON_COLUMN)
    ended = stempilot("workflow", "run", "steps.toml", "--resume", "flow", "--seed", "0")
    assert ended.code == 2
    assert "--seed: --resume RUN goes on with what the run was begun with" in ended.err


def test_a_real_instrument_is_asked_for(
    column: Column, stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    ended = stempilot("workflow", "run", "steps.toml", *ON_COLUMN[:4], "--out", "flow")
    assert ended.code == 2
    assert "was not confirmed; nothing was sent. Pass --yes" in ended.err
    assert stempilot("workflow", "run", "steps.toml", "--backend", "column", "--yes").code == 4


def test_another_folder_is_not_gone_on_with(column: Column, stempilot: Stempilot) -> None:
    Path("flow").mkdir()
    Path("flow", "workflow.json").write_text("{}")
    ended = stempilot("workflow", "run", "steps.toml", *ON_COLUMN)
    assert ended.code == 2
    assert "exists already" in ended.err
    assert "go on with" not in ended.err


def test_restore_of_a_workflow_has_nothing_to_do_between_steps(
    column: Column, stempilot: Stempilot
) -> None:
    stempilot("workflow", "run", "steps.toml", *ON_COLUMN)
    ended = stempilot("restore", "flow")
    assert ended.code == 2
    assert "there is nothing to put back" in ended.err


# --- the live tree -------------------------------------------------------------------------------

STEPS = Workflow([Step(name=name, task="x") for name in ("read", "centre")])
DONE = {"event": "done", "step": "read", "then": "next"}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    console = Console(force_terminal=True, no_color=True, width=80, file=io.StringIO())
    monkeypatch.setattr(render, "err", console)
    return console


def told(console: Console) -> str:
    """Return what was shown, without what moves the cursor."""
    return re.sub(r"\x1b\[[?0-9]*[A-Za-z]", "", written(console))


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_a_tree(terminal: Console) -> None:
    products = {"radius": {"value": 1.5, "uncertainty": 0.1, "unit": "px"}}
    with StepsShown(STEPS, [DONE]) as shown:
        shown.show({"event": "began", "step": "centre"})
        with shown.paused():
            terminal.file.write("film in?\n")
        shown.show({"event": "done", "step": "centre", "products": products, "then": "next"})
    assert "film in?\n" in told(terminal)
    assert "film in?\n\x1b[?25lworkflow" in written(terminal), "it is drawn below"
    last = told(terminal).rpartition("workflow")[2]
    assert "ok read" in last
    assert "ok centre  done, radius = 1.50 \N{PLUS-MINUS SIGN} 0.10 px" in last


def test_a_repetition_begins_with_a_clean_tree(terminal: Console) -> None:
    with StepsShown(STEPS, [DONE]) as shown:
        shown.show({"event": "repeated"})
    first, _, last = told(terminal).rpartition("workflow")
    assert "ok" in first
    assert "ok" not in last


def test_a_terminal_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> int:
            raise OSError(5, "gone")

        def flush(self) -> None:
            raise OSError(5, "gone")

        def isatty(self) -> bool:
            return True

    gone: Any = Gone()
    monkeypatch.setattr(render, "err", render._Remarks(force_terminal=True, file=gone))
    with StepsShown(STEPS) as shown:
        shown.show(DONE)
