"""A recorded workflow: a run for each try, going on after a stop, and repetitions."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.core.workflow.toys import (
    FILM,
    Column,
    column_envelope,
    column_registry,
    lines,
)

from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import (
    BackendError,
    ConfigError,
    HandsOffError,
    IncompatibleError,
    OperatorError,
    RunDirError,
    StempilotError,
)
from stempilot.files import read_json, write_json
from stempilot.instrument.audit import read_audit
from stempilot.instrument.unfinished import unfinished_runs
from stempilot.operation.session import open_session
from stempilot.record.run_dir import RunDir
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, plan_train
from stempilot.workflow.log import read_log
from stempilot.workflow.plans import (
    WorkflowPlan,
    check_workflow,
    plan_workflow,
    plan_workflow_resume,
)
from stempilot.workflow.recorded import run_to_restore, run_workflow, standing
from stempilot.workflow.steps import OperatorStep, Step, Workflow

CENTRE = Step(name="centre", task="centre", agent="exact")
LOOK = Step(name="look", task="look")
LOST = Step(name="lost", task="centre", agent="lost", options={"tolerance": 1e-6})
FILM_IN = OperatorStep(name="film-in", operator="film in", states={FILM: "in"})


def planned(folder: Path, column: Column | None, *steps: Any, **more: Any) -> WorkflowPlan:
    repeats = {key: more.pop(key) for key in ("every_minutes", "until") if key in more}
    settings = more.pop("settings", None)
    extras = Extras(out=folder / "flow", seed=3, envelope=column_envelope(), **more)
    workflow = Workflow(steps, **repeats)
    return plan_workflow(
        column_registry(column), workflow, backend="column", settings=settings, extras=extras
    )


def resumed(folder: Path, column: Column | None, *steps: Any, **more: Any) -> WorkflowPlan:
    registry = column_registry(column)
    return plan_workflow_resume(registry, Workflow(steps), folder / "flow", **more)


def status(folder: Path) -> Any:
    return read_json(folder / "flow" / "workflow.json")["status"]


def film_in(column: Column) -> Any:
    def does(question: str) -> bool:
        column.film = "in"
        return True

    return does


# --- what is left on disk ------------------------------------------------------------------------


def test_each_try_is_a_run_in_the_run_directory_of_the_whole(tmp_path: Path) -> None:
    column = Column(real=True)
    told: list[Any] = []
    result = run_workflow(planned(tmp_path, column, LOOK, CENTRE), on_line=told.append)
    flow = tmp_path / "flow"
    assert result["success"]
    assert (result["steps"], result["run_dir"]) == (2, str(flow))
    assert result["products"]["look.width"] == {"value": 0.5, "unit": "", "uncertainty": 0.1}
    assert lines(flow) == ["look began", "look done next", "centre began", "centre done next"]
    assert told == read_log(flow)
    assert status(tmp_path) == "done"
    for name, agent in (("01-look", "none"), ("02-centre", "exact")):
        run = RunDir.open(flow / "steps" / name)
        assert (run.record().status, run.record().agent) == ("done", agent)
        assert run.record().displaced is False
    baseline = RunDir(flow / "steps" / "02-centre").baseline()
    assert baseline is not None
    assert baseline.knobs == {BEAM_SHIFT: (0.0, 0.0)}
    assert unfinished_runs() == []


def test_a_line_is_on_the_disk_when_it_is_told(tmp_path: Path) -> None:
    found: list[int] = []

    def look(line: Any) -> None:
        found.append(len((tmp_path / "flow" / "steps.jsonl").read_text().splitlines()))

    run_workflow(planned(tmp_path, Column(real=True), LOOK, CENTRE), on_line=look)
    assert found == [1, 2, 3, 4]


def test_lines_survive_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronise, log, count = os.fsync, tmp_path / "flow" / "steps.jsonl", [0]

    def fsync(descriptor: int) -> None:
        count[0] += log.exists() and os.path.sameopenfile(descriptor, _opened(log))
        synchronise(descriptor)

    opened: dict[Path, int] = {}

    def _opened(path: Path) -> int:
        return opened.setdefault(path, os.open(path, os.O_RDONLY))

    monkeypatch.setattr(os, "fsync", fsync)
    run_workflow(planned(tmp_path, Column(real=True), LOOK, CENTRE))
    for descriptor in opened.values():
        os.close(descriptor)
    assert count[0] == 4


def test_the_audit_shows_that_a_failed_step_was_put_back_before_the_next_began(
    tmp_path: Path,
) -> None:
    column = Column(real=True)
    skipped = Step(name="lost", task="centre", agent="lost", retries=1, on_failure="skip")
    assert run_workflow(planned(tmp_path, column, skipped, CENTRE))["success"]
    runs = [tmp_path / "flow" / "steps" / name for name in ("01-lost", "02-lost", "03-centre")]
    audits = [list(read_audit(run)) for run in runs]
    for run, failed, following in zip(runs, audits, audits[1:], strict=False):
        baseline = RunDir(run).baseline()
        assert baseline is not None
        assert failed[-1]["origin"] == "restore"
        assert tuple(failed[-1]["read_back"]) == baseline.knobs[BEAM_SHIFT]
        assert failed[-1]["at_s"] + failed[-1]["duration_s"] <= following[0]["at_s"]


def test_time_that_is_up_is_a_failure(tmp_path: Path) -> None:
    column = Column(real=True)
    slow = Step(
        name="slow",
        task="centre",
        agent="walker",
        options={"tolerance": 1e-9},
        minutes=1e-9,
        on_failure="skip",
    )
    assert run_workflow(planned(tmp_path, column, slow, LOOK))["success"]
    failed = read_log(tmp_path / "flow")[1]
    assert (failed["event"], failed["then"]) == ("failed", "skip")
    assert failed["reason"].startswith("the limit of 1e-09 minutes is reached")
    assert column.place == (0.0, 0.0)


def test_every_step_is_recorded_as_on_the_instrument_of_the_workflow(tmp_path: Path) -> None:
    assert run_workflow(planned(tmp_path, Column(real=True), LOOK, CENTRE))["success"]
    records = [RunDir(run).record() for run in sorted((tmp_path / "flow" / "steps").iterdir())]
    assert [(record.seed, record.instrument_seed) for record in records] == [(3, 3), (4, 3)]


def test_a_spent_budget_stops(tmp_path: Path) -> None:
    plan = planned(tmp_path, Column(real=True), LOST)
    from attrs import evolve

    plan = evolve(plan, envelope=column_envelope(max_writes=1))
    with pytest.raises(StempilotError, match="max_writes = 1"):
        run_workflow(plan)
    assert lines(tmp_path / "flow") == ["lost began", "lost stopped stop"]


def test_a_step_may_be_played_by_a_trained_policy(tmp_path: Path) -> None:
    column = Column()
    registry = column_registry(column)
    trained = plan_train(
        registry,
        task="centre",
        agent="learner",
        backend="column",
        steps=60,
        settings={"run": {"evaluate": False}, "task": {"tolerance": 0.2}},
        extras=Extras(out=tmp_path / "trained"),
    )
    execute(trained)
    step = Step(name="a", task="centre", policy=tmp_path / "trained")
    result = run_workflow(planned(tmp_path, column, step))
    record = RunDir.open(tmp_path / "flow" / "steps" / "01-a").record()
    assert (record.agent, record.parent) == ("learner", str(tmp_path / "trained"))
    assert record.settings["task"] == {"tolerance": 0.2}, "as it was trained"
    assert result["steps"] == 1
    with open_session(column, Workflow([step]).tasks(registry), name="column") as session:
        assert Workflow([step]).run(session, registry=registry).log[-1]["event"] in {
            "done",
            "failed",
        }


def test_a_run_directory_is_used_once(tmp_path: Path) -> None:
    run_workflow(planned(tmp_path, Column(real=True), LOOK))
    with pytest.raises(RunDirError, match="exists already"):
        run_workflow(planned(tmp_path, Column(real=True), LOOK))


# --- going on ------------------------------------------------------------------------------------


def test_it_goes_on_after_an_operator_was_missing(tmp_path: Path) -> None:
    column = Column(real=True)
    steps = (CENTRE, FILM_IN, LOOK)
    with pytest.raises(OperatorError):
        run_workflow(planned(tmp_path, column, *steps))
    assert status(tmp_path) == "stopped"
    place = column.place
    assert place != (0.0, 0.0)
    assert unfinished_runs() == []
    result = run_workflow(resumed(tmp_path, column, *steps), operator=film_in(column))
    assert result["success"]
    assert lines(tmp_path / "flow") == [
        "centre began",
        "centre done next",
        "film-in began",
        "film-in stopped stop",
        "film-in began",
        "film-in done next",
        "look began",
        "look done next",
    ]
    assert column.place == place


def test_what_an_operator_did_last_is_asked_again(tmp_path: Path) -> None:
    column = Column(real=True)
    out = OperatorStep(name="film-out", operator="film out")
    steps = (FILM_IN, LOOK, out, LOST)
    run_workflow(planned(tmp_path, column, *steps), operator=film_in(column))
    asked: list[str] = []

    def does(question: str) -> bool:
        asked.append(question.partition(":")[0])
        return True

    mended = (*steps[:3], Step(name="lost", task="centre", agent="exact"))
    result = run_workflow(resumed(tmp_path, column, *mended), operator=does)
    assert result["success"]
    assert asked == ["film-out"]


def test_a_simulated_instrument_is_told_to_be_another_one(tmp_path: Path) -> None:
    steps, said = (LOOK, FILM_IN), list[str]()
    with pytest.raises(OperatorError):
        run_workflow(planned(tmp_path, Column(), *steps), say=said.append)
    assert said == []
    column = Column()
    run_workflow(resumed(tmp_path, column, *steps), operator=film_in(column), say=said.append)
    assert said == ["a simulated instrument shows nothing of what was done before it is resumed"]


def test_products_are_still_known(tmp_path: Path) -> None:
    column = Column(real=True)
    fine = Step(name="fine", task="centre", agent="lost", inputs={"tolerance": "look.width"})
    with pytest.raises(OperatorError):
        run_workflow(planned(tmp_path, column, LOOK, FILM_IN, fine))
    run_workflow(resumed(tmp_path, column, LOOK, FILM_IN, fine), operator=film_in(column))
    assert read_log(tmp_path / "flow")[-2]["values"] == {"tolerance": 0.5}


def test_settings_and_seed_are_those_it_was_begun_with(tmp_path: Path) -> None:
    column = Column(real=True)
    set_before = {"look": {"value": 0.7}, "backend": {"serial": 5}}
    with pytest.raises(OperatorError):
        run_workflow(planned(tmp_path, column, LOOK, FILM_IN, settings=set_before))
    plan = resumed(tmp_path, column, LOOK, FILM_IN, settings={"backend": {"serial": 6}})
    assert plan.settings == {"look": {"value": 0.7}, "backend": {"serial": 6}}
    assert (plan.seed, plan.backend) == (3, "column")
    assert plan.envelope is not None
    assert plan.envelope.knobs == column_envelope().knobs


def test_what_is_done_must_not_have_changed(tmp_path: Path) -> None:
    column = Column(real=True)
    with pytest.raises(OperatorError):
        run_workflow(planned(tmp_path, column, LOOK, CENTRE, FILM_IN))
    other = Step(name="look", task="look", options={"value": 0.4})
    for steps in ((other, CENTRE, FILM_IN), (LOOK,), (CENTRE, LOOK, FILM_IN)):
        with pytest.raises(RunDirError, match="has done step .*, which is not what the workflow"):
            resumed(tmp_path, column, *steps)
    assert resumed(tmp_path, column, LOOK, CENTRE, LOST).resumes


def test_what_came_to_its_end_is_not_gone_on_with(tmp_path: Path) -> None:
    run_workflow(planned(tmp_path, Column(real=True), LOOK))
    with pytest.raises(RunDirError, match="came to its end"):
        resumed(tmp_path, None, LOOK)
    with pytest.raises(RunDirError):
        plan_workflow_resume(column_registry(), Workflow([LOOK]), tmp_path)


def test_a_line_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    column = Column(real=True)
    with pytest.raises(OperatorError):
        run_workflow(planned(tmp_path, column, LOOK, FILM_IN))
    log = tmp_path / "flow" / "steps.jsonl"
    log.write_text(log.read_text() + '{"event": "be')
    assert len(read_log(tmp_path / "flow")) == 4
    run_workflow(resumed(tmp_path, column, LOOK, FILM_IN), operator=film_in(column))
    assert all(json.loads(line) for line in log.read_text().splitlines())


@pytest.mark.parametrize(
    "line",
    [
        *["3", "{}", '{"event": 3}', '{"event": "began", "step": 3}', "{", '{"event": "done"}'],
        '{"event": "done", "step": "a", "products": [1]}',
        '{"event": "done", "step": "a", "products": {"x": {"value": 1}}}',
        '{"event": "done", "step": "a", "products": {"x": {"value":"","unit":"","uncertainty":0}}}',
    ],
)
def test_a_damaged_log_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "steps.jsonl").write_text(line + "\n")
    with pytest.raises(RunDirError, match="line 1 is damaged"):
        read_log(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"seed": -1}, {"settings": []}, {"steps": 3}, {"envelope": 1}, {"frames": []}, {"backend": 1}],
)
def test_a_damaged_record_is_refused(tmp_path: Path, change: Any) -> None:
    run_workflow(planned(tmp_path, Column(real=True), LOOK))
    file = tmp_path / "flow" / "workflow.json"
    write_json(file, {**read_json(file), **change})
    with pytest.raises(RunDirError, match=r"workflow.json is damaged"):
        resumed(tmp_path, None, LOOK)


# --- an instrument that was left displaced -------------------------------------------------------


def stuck(tmp_path: Path) -> tuple[Column, Path]:
    """Return a column that a workflow could not put back, and the step's run."""
    column = Column(real=True)
    moved: list[int] = []

    def trouble(count: int) -> None:
        if column.place != centred and centred:
            moved.append(count)
        if len(moved) > 1:
            msg = "no answer"
            raise BackendError(msg)

    centred: Any = ()
    run_workflow(planned(tmp_path, column, CENTRE, LOST))
    centred, column.before_write = column.place, trouble
    with pytest.raises(StempilotError) as caught:
        run_workflow(resumed(tmp_path, column, CENTRE, LOST))
    assert caught.value.exit_code == 5
    column.before_write = lambda count: None
    assert column.place != centred
    return column, tmp_path / "flow" / "steps" / "03-lost"


def test_what_could_not_be_put_back_is_put_back_by_restore(tmp_path: Path) -> None:
    from stempilot.runs.restore import restore

    column, run = stuck(tmp_path)
    assert [each.run_dir for each in unfinished_runs()] == [run]
    with pytest.raises(StempilotError, match="stempilot restore .*03-lost") as caught:
        run_workflow(resumed(tmp_path, column, CENTRE, LOST))
    assert caught.value.exit_code == 5
    assert run_to_restore(tmp_path / "flow") == run
    restore(column_registry(column), run)
    mended = Step(name="lost", task="centre", agent="exact")
    assert run_workflow(resumed(tmp_path, column, CENTRE, mended))["success"]
    with pytest.raises(RunDirError, match="nothing to put back"):
        run_to_restore(tmp_path / "flow")


def test_other_runs_are_put_back_as_they_are(tmp_path: Path) -> None:
    assert run_to_restore(tmp_path) == tmp_path


# --- repetitions ---------------------------------------------------------------------------------


def test_steps_repeat_each_time_in_a_session_of_its_own(tmp_path: Path) -> None:
    column = Column(real=True)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        from stempilot.instrument.lock import instrument_lock

        with instrument_lock(column, "column"):
            waited.append(seconds)
        if len(waited) == 3:
            raise KeyboardInterrupt

    plan = planned(tmp_path, column, CENTRE, every_minutes=10)
    with pytest.raises(KeyboardInterrupt):
        run_workflow(plan, sleep=sleep)
    assert 500 < waited[0] <= 600
    assert lines(tmp_path / "flow") == [
        *["centre began", "centre done next", "repeated"] * 2,
        "centre began",
        "centre done next",
    ]
    assert status(tmp_path) == "interrupted"
    assert len(list((tmp_path / "flow" / "steps").iterdir())) == 3
    assert unfinished_runs() == []


@pytest.mark.parametrize("real", [True, False])
def test_a_knob_that_is_moved_between_repetitions_ends_them(tmp_path: Path, real: bool) -> None:
    column = Column(real=real)
    count: list[int] = []

    def sleep(seconds: float) -> None:
        count.append(1)
        if len(count) == 2:
            column._shift = column._shift + 1e-8

    with pytest.raises(HandsOffError, match="another user moved it"):
        run_workflow(planned(tmp_path, column, CENTRE, every_minutes=10), sleep=sleep)
    assert len(count) == 2


def test_they_end_at_the_time_of_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime, timedelta

    end = (datetime.now(UTC).astimezone() + timedelta(minutes=25)).time()
    column, now = Column(real=True), [0.0]
    from stempilot.workflow import recorded

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=now[0])

    monkeypatch.setattr(recorded, "datetime", Clock)
    plan = planned(tmp_path, column, CENTRE, every_minutes=10, until=end)
    result = run_workflow(plan, sleep=lambda s: now.__setitem__(0, now[0] + s))
    assert result["success"]
    assert lines(tmp_path / "flow").count("repeated") == 2


def test_a_repetition_that_fails_ends_them(tmp_path: Path) -> None:
    plan = planned(tmp_path, Column(real=True), LOST, every_minutes=10)
    result = run_workflow(plan, sleep=lambda s: pytest.fail("it must not wait"))
    assert (result["success"], result["reason"]) == (False, "lost failed: the dot is gone")


# --- checks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "error", "said"),
    [
        (Step(name="a", task="centr", agent="exact"), ConfigError, "did you mean centre"),
        (Step(name="a", task="centre", agent="exactt"), ConfigError, "did you mean exact"),
        (Step(name="a", task="centre"), ConfigError, "give either the name of an agent"),
        (
            Step(name="a", task="centre", agent="exact", options={"toleranc": 1}),
            ConfigError,
            "did you mean task.tolerance",
        ),
        (
            Step(name="a", task="centre", agent="exact", inputs={"toleranc": "look.width"}),
            ConfigError,
            "input toleranc is no option of centre; did you mean tolerance",
        ),
        (Step(name="a", task="centre", policy="nowhere"), RunDirError, "nowhere"),
        (Step(name="a", task="brighter", agent="walker"), ConfigError, "no task is called"),
        (
            OperatorStep(name="a", operator="x", states={FILM: "inn"}),
            IncompatibleError,
            "film = inn; there is only in, out; did you mean in",
        ),
        (
            Step(name="a", task="centre", agent="exact", options={"film": "gone"}),
            IncompatibleError,
            "film = gone; column only knows film",
        ),
    ],
)
def test_what_cannot_be_done_is_told_with_file_and_step(
    tmp_path: Path, step: Any, error: type[Exception], said: str
) -> None:
    from attrs import evolve

    plan = evolve(planned(tmp_path, None, LOOK, step), file="steps.toml")
    with pytest.raises(error, match=said) as caught:
        check_workflow(plan)
    assert "steps.toml, step a: " in str(caught.value)


def test_an_agent_that_is_an_object_cannot_be_recorded(tmp_path: Path) -> None:
    from tests.core.workflow.toys import Lost

    with pytest.raises(ConfigError, match="takes agents by their names"):
        check_workflow(planned(tmp_path, None, Step(name="a", task="centre", agent=Lost())))


def test_a_check_describes_the_steps_and_touches_nothing(tmp_path: Path) -> None:
    column = Column(real=True)
    step = OperatorStep(name="op", operator="film in", states={"valves": "open", FILM: "in"})
    plan = planned(tmp_path, column, LOOK, step, CENTRE)
    assert check_workflow(plan) == [
        {"step": "look", "who": "none", "what": "look", "moves": BEAM_SHIFT},
        {
            "step": "op",
            "who": "operator",
            "what": "film in (cannot be read back: valves)",
            "moves": "",
        },
        {"step": "centre", "who": "exact", "what": "centre", "moves": BEAM_SHIFT},
    ]
    assert standing(plan)[BEAM_SHIFT].startswith("now at [0.0, 0.0], within [-4e-06")
    assert column.writes == []
    assert not (tmp_path / "flow").exists()
