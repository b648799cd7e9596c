"""The report of a workflow: every try in order, with products, last frames and links."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.core.report.test_report import HOSTILE, read
from tests.core.workflow.toys import FILM, Column, column_registry

from stempilot.errors import OperatorError, RunDirError
from stempilot.files import read_json, write_json
from stempilot.report import workflow, write_report
from stempilot.runs.plans import Extras
from stempilot.workflow.plans import plan_workflow
from stempilot.workflow.recorded import run_workflow
from stempilot.workflow.steps import OperatorStep, Step, Workflow

PRODUCT = {"value": None, "unit": HOSTILE, "uncertainty": HOSTILE}
LOST = Step(name="lost", task="centre", agent="lost", on_failure="skip")
CENTRE = Step(name="centre", task="centre", agent="exact")
OPERATOR = OperatorStep(name="film-in", operator="film in", states={FILM: "out", "valves": "open"})


def carried_out(folder: Path, *steps: Any, **more: Any) -> Path:
    plan = plan_workflow(
        column_registry(Column()),
        Workflow(steps, name="morning"),
        backend="column",
        extras=Extras(out=folder / "flow"),
    )
    run_workflow(plan, **more)
    return folder / "flow"


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    run = carried_out(folder, LOST, OPERATOR, CENTRE, operator=lambda question: True)
    write_report(run)
    return run


def test_it_has_each_try_with_what_it_handed_on(flow: Path) -> None:
    text, reader = read(flow / "report.html")
    for said in ("morning", "On column, seed 0", "1. lost", "2. film-in", "3. centre", "skip"):
        assert said in text
    assert "<td>offset</td>" in text
    assert "<td>film</td><td>out</td>" in text
    assert "Could not be read back: valves." in text
    assert "the dot is gone" in text
    assert reader.names.count("img") == 2, "the last frame of each run"


def test_each_step_has_its_own_report(flow: Path) -> None:
    _, reader = read(flow / "report.html")
    links = [source for source in reader.sources if not source.startswith("data:")]
    assert links == ["steps/01-lost/report.html", "steps/03-centre/report.html"]
    for link in links:
        assert read(flow / link)


def test_of_many_tries_the_last_ones_are_shown(flow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "MOST_SHOWN", 1)
    text, reader = read(write_report(flow))
    assert (reader.names.count("img"), "1. lost" in text) == (1, False)
    assert "<td>lost</td>" in text


def test_a_workflow_that_was_stopped_or_killed_has_one_too(tmp_path: Path) -> None:
    with pytest.raises(OperatorError):
        carried_out(tmp_path, OPERATOR)
    text, _ = read(write_report(tmp_path / "flow"))
    assert "was not confirmed" in text
    log = tmp_path / "flow" / "steps.jsonl"
    log.write_text(log.read_text().splitlines(keepends=True)[0])
    assert "killed" in read(write_report(tmp_path / "flow"))[0]


def test_a_step_without_a_sound_run_is_said_to_have_no_report(tmp_path: Path) -> None:
    run = carried_out(tmp_path, CENTRE)
    (run / "steps" / "01-centre" / "record.json").write_text("{")
    assert "Its run has no report" in read(write_report(run))[0]


@pytest.mark.parametrize("name", ["../other", "steps/../../x", "/etc", 3, "steps/1-"])
def test_runs_of_steps_lie_in_the_workflow(tmp_path: Path, name: Any) -> None:
    run = carried_out(tmp_path, CENTRE)
    line = {"event": "began", "n": 1, "step": "centre", "run": name}
    (run / "steps.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(RunDirError, match="those of steps lie in"):
        write_report(run)


def test_a_link_in_the_place_of_a_run_is_refused(tmp_path: Path) -> None:
    run, outside = carried_out(tmp_path, CENTRE), tmp_path / "outside"
    (run / "steps" / "01-centre").rename(outside)
    try:
        (run / "steps" / "01-centre").symlink_to(outside, target_is_directory=True)
    except OSError:
        pytest.skip("links may not be made here")
    with pytest.raises(RunDirError, match="is a link"):
        write_report(run)


def test_text_of_the_files_is_no_markup(tmp_path: Path) -> None:
    run = carried_out(tmp_path, CENTRE)
    record = read_json(run / "workflow.json")
    write_json(run / "workflow.json", {**record, "workflow": HOSTILE, "reason": HOSTILE})
    line = {"n": HOSTILE, "step": HOSTILE, "at": 3, "values": {HOSTILE: HOSTILE}}
    ended = {**line, "event": "done", "products": {HOSTILE: PRODUCT}, "then": HOSTILE}
    ended |= {"read_back": {HOSTILE: HOSTILE}, "not_read": [HOSTILE], "reason": HOSTILE}
    both = [{**line, "event": "began"}, ended]
    (run / "steps.jsonl").write_text("".join(json.dumps(each) + "\n" for each in both))
    assert "<script>" not in read(write_report(run))[0]
