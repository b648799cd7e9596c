"""What follows a step, what is put back before, and what an operator is believed."""

import time
from typing import Any

import pytest
from attrs import evolve
from tests.core.workflow.toys import (
    FILM,
    LENGTH,
    Column,
    Moody,
    column_envelope,
    column_registry,
    shown,
)

from stempilot.contract.agent import Brief
from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import SetPoint
from stempilot.errors import (
    BackendError,
    ConfigError,
    EnvelopeError,
    HandsOffError,
    OperatorError,
    StempilotError,
)
from stempilot.operation.session import Session, open_session
from stempilot.workflow import log as logs
from stempilot.workflow.steps import OperatorStep, Step, Workflow

REGISTRY = column_registry()
CENTRE = Step(name="centre", task="centre", agent="exact")
LOOK = Step(name="look", task="look")
LOST = Step(name="lost", task="centre", agent="lost", options={"tolerance": 1e-6})
FILM_IN = OperatorStep(name="film-in", operator="film in", states={FILM: "in"})
IN = {"film": "in"}


def opened(column: Column, workflow: Workflow, **more: Any) -> Any:
    more = {"in_parts": True, **more}
    return open_session(column, workflow.tasks(REGISTRY), name="column", **more)


def carried_out(column: Column, *steps: Any, **more: Any) -> Any:
    workflow = Workflow(steps)
    with opened(column, workflow) as session:
        return workflow.run(session, registry=REGISTRY, **more)


def seen(monkeypatch: pytest.MonkeyPatch, column: Column) -> list[Any]:
    """Return a list that gets each line with where the knob stands when it is told."""
    told: list[Any] = []
    add = logs.StepLog.add

    def adding(self: Any, event: str, **what: Any) -> Any:
        told.append((*shown([{"event": event, **what}]), column.place))
        return add(self, event, **what)

    monkeypatch.setattr(logs.StepLog, "add", adding)
    return told


# --- successes, and what is handed on ------------------------------------------------------------


def test_steps_follow_each_other_and_their_success_stays() -> None:
    column = Column()
    result = carried_out(column, LOOK, CENTRE)
    assert (result.success, result.reason) == (True, "")
    assert shown(result.log) == ["look began", "look done next", "centre began", "centre done next"]
    assert column.place == column.writes[-1] != (0.0, 0.0)
    assert result.products["look"]["width"].value == 0.5
    assert 0 <= result.products["centre"]["offset"].value <= 0.1


def test_a_reading_returns_home() -> None:
    column = Column()
    assert carried_out(column, Step(name="look", task="look", options={"away": 2e-7})).success
    assert column.writes == [(2e-7, 0.0), (0.0, 0.0)]


def test_products_become_options() -> None:
    fine = Step(name="centre", task="centre", agent="exact", inputs={"tolerance": "look.width"})
    result = carried_out(Column(), LOOK, fine)
    assert [line.get("values") for line in result.log if line["event"] == "began"] == [
        None,
        {"tolerance": 0.5},
    ]


def test_several_products_may_become_one_option() -> None:
    pair = Step(name="b", task="centre", agent="exact", inputs={"tolerance": ("look.width",) * 2})
    with pytest.raises(ConfigError, match=r"\[0.5, 0.5\] is not a number"):
        carried_out(Column(), LOOK, pair)


@pytest.mark.parametrize(
    ("source", "value", "has"), [("look.with", 0.5, "width"), ("look.width", -1.0, "width")]
)
def test_a_step_fails_without_its_inputs(source: str, value: float, has: str) -> None:
    column = Column()
    look = Step(name="look", task="look", options={"value": value})
    fine = Step(name="centre", task="centre", agent="exact", inputs={"tolerance": source})
    result = carried_out(column, look, fine)
    assert result.reason == (
        f"centre failed: there is no {source} for tolerance; look handed on {has}"
    )
    assert column.writes == [(0.0, 0.0)], "nothing but the reading"


def test_an_agent_may_be_an_object() -> None:
    task = REGISTRY.task("centre")
    step = Step(name="a", task="centre", agent=Moody(Brief.of(task, 0), bad=0))
    assert carried_out(Column(), step).success


# --- failures ------------------------------------------------------------------------------------


def test_a_failed_step_is_put_back_before_anything_is_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    column = Column()
    told = seen(monkeypatch, column)
    result = carried_out(column, CENTRE, LOST)
    assert not result.success
    assert result.reason == "lost failed: the dot is gone"
    centred = told[1][1]
    assert centred != (0.0, 0.0)
    assert told[2:] == [("lost began", centred), ("lost failed stop", centred)]
    assert len(set(column.writes)) > 3
    assert column.place == centred, "only the failed step is put back"


def test_a_step_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    column = Column()
    told = seen(monkeypatch, column)
    agent = Moody(Brief.of(REGISTRY.task("centre"), 0), bad=2)
    step = Step(name="centre", task="centre", agent=agent, retries=2)
    result = carried_out(column, step)
    assert result.success
    assert told[:-1] == [
        ("centre began", (0.0, 0.0)),
        ("centre failed again", (0.0, 0.0)),
        ("centre began", (0.0, 0.0)),
        ("centre failed again", (0.0, 0.0)),
        ("centre began", (0.0, 0.0)),
    ]
    assert [line["n"] for line in result.log] == [1, 1, 2, 2, 3, 3]


def test_retries_are_counted_for_each_step() -> None:
    again = Step(name="lost", task="centre", agent="lost", retries=1, on_failure="skip")
    more = Step(name="more", task="centre", agent="lost", retries=1)
    result = carried_out(Column(), again, more)
    ends = [line.get("then") for line in result.log if line["event"] == "failed"]
    assert ends == ["again", "skip", "again", "stop"]


def test_a_failed_step_may_be_skipped() -> None:
    skipped = Step(name="lost", task="centre", agent="lost", on_failure="skip")
    result = carried_out(Column(), skipped, CENTRE)
    assert result.success
    assert shown(result.log)[1] == "lost failed skip"
    assert result.products["lost"] == {}


def test_a_failed_step_may_lead_back_once() -> None:
    back = evolve(LOST, on_failure="back to centre")
    column = Column()
    result = carried_out(column, LOOK, CENTRE, back)
    assert not result.success
    assert shown(result.log)[4:] == [
        "lost began",
        "lost failed back to centre",
        "centre began",
        "centre done next",
        "lost began",
        "lost failed stop",
    ]


def test_a_step_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    column = Column()
    step = Step(name="slow", task="centre", agent="walker", options={"tolerance": 1e-9}, minutes=1)
    now = [0.0]
    column.before_write = lambda count: now.__setitem__(0, now[0] + 31.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    result = carried_out(column, step)
    assert result.reason == "slow failed: the limit of 1 minutes is reached"
    assert len(column.writes) == 4, "two of the agent, two on the way back"
    assert column.place == (0.0, 0.0)


@pytest.mark.parametrize("error", [BackendError("stuck"), KeyboardInterrupt()])
def test_an_instrument_that_fails_stops_and_only_the_step_is_put_back(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = Column()
    told = seen(monkeypatch, column)
    began: list[int] = []

    def trouble(count: int) -> None:
        if told[-1][0] == "lost began" and column.place != told[1][1] and not began:
            began.append(count)
            raise error

    column.before_write = trouble
    with pytest.raises(type(error)):
        carried_out(column, CENTRE, LOST)
    event = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped"
    assert told[-1] == (f"lost {event} stop", told[1][1])
    assert column.place == told[1][1] != (0.0, 0.0)


# --- states --------------------------------------------------------------------------------------


def test_states_are_checked_at_each_step() -> None:
    column = Column()
    under = Step(name="under", task="centre", agent="exact", options={"film": "in"})
    out = Step(name="out", task="centre", agent="exact", options={"film": "out"})

    def film_in(question: str) -> bool:
        column.film = "in"
        return True

    assert carried_out(column, out, FILM_IN, under, operator=film_in).success
    column = Column()
    with pytest.raises(BackendError, match="film is out, set it to in"):
        carried_out(column, CENTRE, under)
    assert column.place == column.writes[-1], "what was done stays"


def test_a_session_that_is_not_used_in_parts_checks_them_all_at_once() -> None:
    under = Step(name="under", task="centre", agent="exact", options={"film": "in"})
    with pytest.raises(BackendError, match="film is out"):
        with opened(Column(), Workflow([CENTRE, under]), in_parts=False):
            pytest.fail("the block must not begin")


# --- the operator --------------------------------------------------------------------------------


def test_an_operator_does_what_the_step_says() -> None:
    column, asked = Column(), []
    step = OperatorStep(
        name="film-in",
        operator="film in",
        states={FILM: "in", "valves": "open"},
        numbers={LENGTH: 1.2},
    )

    def does(question: str) -> bool:
        asked.append(question)
        column.film, column.length_m = "in", 1.199
        return True

    result = carried_out(column, step, operator=does)
    assert asked == ["film-in: film in. Done?"]
    assert result.log[-1]["read_back"] == {FILM: "in", LENGTH: 1.199}
    assert result.log[-1]["not_read"] == ["valves"]


@pytest.mark.parametrize(("film", "length_m"), [("out", 1.2), ("in", 1.0)])
def test_an_answer_alone_is_not_believed(film: str, length_m: float) -> None:
    column = Column()
    column.film, column.length_m = film, length_m
    step = OperatorStep(name="x", operator="film in", states={FILM: "in"}, numbers={LENGTH: 1.2})
    wrong = "film is out, not in" if film == "out" else "camera_length_m is 1 m, not 1.2 m"
    with pytest.raises(BackendError, match=f"x was confirmed, but {wrong}. Nothing was sent"):
        carried_out(column, CENTRE, step, LOST, operator=lambda question: True)
    assert column.place == column.writes[-1] != (0.0, 0.0), "everything before it is kept"


def test_without_an_answer_everything_before_is_kept() -> None:
    column = Column()
    with pytest.raises(OperatorError, match="film-in was not confirmed: film in") as caught:
        carried_out(column, CENTRE, FILM_IN, LOST)
    assert caught.value.exit_code == 3
    assert column.place == column.writes[-1] != (0.0, 0.0)


def test_a_baseline_from_before_an_operator_is_never_written() -> None:
    column = Column()
    theirs = (1e-7, -1e-7)

    def moves(question: str) -> bool:
        column.film = "in"
        column._shift[:] = theirs
        return True

    result = carried_out(column, CENTRE, FILM_IN, LOST, operator=moves)
    assert not result.success
    after = column.writes[column.writes.index(theirs) - 1 :] if theirs in column.writes else []
    assert after, "the failed step went back to where the operator had left the knob"
    assert column.place == theirs


@pytest.mark.parametrize("answer", [False, KeyboardInterrupt])
def test_nor_where_the_operator_did_not_finish(answer: Any) -> None:
    column = Column()
    theirs = (1e-7, -1e-7)

    def moves(question: str) -> bool:
        column._shift[:] = theirs
        if answer is KeyboardInterrupt:
            raise KeyboardInterrupt
        return False

    with pytest.raises((OperatorError, KeyboardInterrupt)):
        carried_out(column, CENTRE, FILM_IN, operator=moves)
    assert column.place == theirs


def test_whoever_moves_a_knob_elsewhere_stops_the_workflow() -> None:
    column = Column()
    workflow = Workflow([CENTRE, LOOK])
    with opened(column, workflow) as session:
        first = Workflow([CENTRE]).run(session, registry=REGISTRY)
        assert first.success
        column._shift[:] = (1e-7, 0.0)
        with pytest.raises(HandsOffError):
            Workflow([LOST]).run(session, registry=REGISTRY)
    assert column.place == (1e-7, 0.0)


def test_an_operator_needs_a_session_that_is_used_in_parts() -> None:
    workflow = Workflow([CENTRE, FILM_IN])
    with opened(Column(), workflow, in_parts=False) as session:
        with pytest.raises(ConfigError, match="in_parts=True"):
            workflow.run(session, registry=REGISTRY)


def test_a_workflow_that_repeats_is_no_part_of_a_session() -> None:
    workflow = Workflow([CENTRE], every_minutes=5)
    with opened(Column(), workflow) as session:
        with pytest.raises(ConfigError, match="opens a session each time"):
            workflow.run(session, registry=REGISTRY)


# --- sessions ------------------------------------------------------------------------------------


def test_a_plain_session_is_put_back_at_its_end_and_keeps_its_limits() -> None:
    column = Column()
    workflow = Workflow([CENTRE, evolve(CENTRE, name="again")])
    with opened(column, workflow, in_parts=False) as session:
        assert workflow.run(session, registry=REGISTRY).success
        assert column.place != (0.0, 0.0)
    assert column.place == (0.0, 0.0), "the second step wrote nothing, and hides nothing"


def test_nothing_is_written_outside_of_a_part() -> None:
    column = Column()
    with opened(column, Workflow([CENTRE])) as session:
        assert isinstance(session, Session)
        assert session.baseline == {}
        with pytest.raises(EnvelopeError, match="allowed: nothing"):
            session.guard.send([SetPoint(BEAM_SHIFT, (1e-7, 0.0))])
        session.put_back()
        with (
            pytest.raises(StempilotError),
            session.part(REGISTRY.task("centre"), keep=True) as part,
        ):
            part.guard.send([SetPoint(BEAM_SHIFT, (1e-7, 0.0))])
            raise StempilotError
    assert column.writes == [(1e-7, 0.0), (0.0, 0.0)]


def test_reach_counts_from_where_a_part_begins() -> None:
    column = Column()
    limits = column_envelope()
    rows = dict(limits.knobs)
    rows[BEAM_SHIFT] = evolve(rows[BEAM_SHIFT], reach=(3e-7, 3e-7))
    envelope = evolve(limits, knobs=rows)
    task = REGISTRY.task("centre")
    with opened(column, Workflow([CENTRE]), envelope=envelope) as session:
        for x in (2e-7, 4e-7):
            with session.part(task, keep=True) as part:
                part.guard.send([SetPoint(BEAM_SHIFT, (x, 0.0))])
        with session.part(task, keep=True) as part, pytest.raises(EnvelopeError, match="outside"):
            part.guard.send([SetPoint(BEAM_SHIFT, (8e-7, 0.0))])


def test_a_part_that_wrote_nothing_leaves_the_knob_where_it_is() -> None:
    column = Column()
    limits = column_envelope()
    row = evolve(limits.knobs[BEAM_SHIFT], approach=(1e-7, 1e-7))
    envelope = evolve(limits, knobs={BEAM_SHIFT: row})
    broken = Step(name="broken", task="centre", agent="exact", options={"broken": True})
    workflow = Workflow([CENTRE, broken])
    with pytest.raises(BackendError, match="the camera is gone"):
        with opened(column, workflow, envelope=envelope) as session:
            centred = Workflow([CENTRE]).run(session, registry=REGISTRY)
            count = len(column.writes)
            Workflow([broken]).run(session, registry=REGISTRY)
    assert centred.success
    assert len(column.writes) == count


def test_a_part_needs_its_states_before_it_looks() -> None:
    column = Column()
    task = REGISTRY.task("centre", film="in")
    with opened(column, Workflow([CENTRE])) as session:
        with pytest.raises(BackendError, match="film is out, set it to in"):
            with session.part(task, keep=True):
                pytest.fail("the block must not begin")


def test_what_was_seen_before_says_nothing_of_another_part() -> None:
    column = Column()

    def takes_the_beam_away(question: str) -> bool:
        column.film, column.dark = "in", True
        return True

    result = carried_out(column, CENTRE, FILM_IN, LOST, operator=takes_the_beam_away)
    assert result.reason == "lost failed: the dot is gone"
