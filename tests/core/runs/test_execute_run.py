"""A plain run keeps its success; a failed one and an evaluation are put back."""

import signal
from pathlib import Path

import pytest
from attrs import evolve
from tests.core.fakes import (
    blank,
    desk_plugin,
    toy_registry,
)
from tests.core.jobs import (
    AWAY,
    REGISTRY,
    desk_away,
    desk_envelope,
    events,
    extras,
    on_desk,
    record,
    run,
    standing,
    when,
)

from stempilot.contract.goals import Product
from stempilot.errors import StartError
from stempilot.files import read_json
from stempilot.report.loading import gather
from stempilot.runs.execute import execute
from stempilot.runs.plans import plan_resume, plan_run
from stempilot.testing.toys import ToyCentring


def test_a_script_is_asked_nothing_and_gets_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: pytest.fail("asked"))
    assert execute(run(desk_away(), tmp_path / "run"))["success"] is True
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_run_that_succeeds_keeps_its_result(tmp_path: Path) -> None:
    desk = desk_away()
    result = execute(run(desk, tmp_path / "run"))
    assert (result["success"], result["outcome"]) == (True, "success")
    assert result["episodes"] == 1
    assert standing(desk) == pytest.approx(desk.log[-1], abs=1e-12)
    assert standing(desk) != AWAY
    assert record(tmp_path / "run").status == "done"
    assert len(list((tmp_path / "run" / "frames").iterdir())) == 2


def test_a_run_hands_on_its_products(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    products = {
        "radius": Product(value=2.5, unit="px", uncertainty=0.5),
        "unknown": Product(value=1.0, unit="", uncertainty=float("nan")),
    }
    assert execute(run(desk_away(), tmp_path / "none"))["products"] == {}
    monkeypatch.setattr(ToyCentring, "products", lambda self, state: products)
    result = execute(run(desk_away(), tmp_path / "run"))
    assert result["products"] == {
        "radius": {"value": 2.5, "unit": "px", "uncertainty": 0.5},
        "unknown": {"value": 1.0, "unit": "", "uncertainty": None},
    }
    assert read_json(tmp_path / "run" / "result.json")["products"] == result["products"]


def test_the_record_holds_the_quantities_of_the_task(tmp_path: Path) -> None:
    execute(run(desk_away(), tmp_path / "run"))
    (quantity,) = record(tmp_path / "run").quantities
    assert quantity == ToyCentring().quantities[0]
    assert record(tmp_path / "run").goal == "centre"


@pytest.mark.parametrize("episodes", [None, 2])
def test_a_learner_that_was_not_trained_is_named(tmp_path: Path, episodes: int | None) -> None:
    said: list[str] = []
    plan = run(desk_away(), tmp_path / "run", agent="learner", episodes=episodes)
    execute(plan, say=said.append)
    assert said[0] == "agent learner was not trained; --policy RUN uses one that was"
    said.clear()
    plan = run(desk_away(), tmp_path / "other", agent="walker", episodes=episodes)
    execute(plan, say=said.append)
    assert not any("trained" in sentence for sentence in said)


@pytest.mark.parametrize(("seed", "met"), [(3, True), (4, False)])
def test_starts_that_the_policy_was_trained_on_are_named(
    tmp_path: Path, seed: int, met: bool
) -> None:
    desk = desk_away()
    execute(on_desk(desk, tmp_path / "train"))
    policy = {"agent": None, "policy": tmp_path / "train", "extras": {"seed": seed}}
    said: list[str] = []
    execute(run(desk, tmp_path / "run", episodes=2, **policy), say=said.append)
    away = [events(tmp_path / name)[0]["summary"]["offset_px"] for name in ("train", "run")]
    assert (away[1] == pytest.approx(away[0], abs=0.05)) is met
    assert any("these episodes begin where its episodes began" in each for each in said) is met
    said.clear()
    execute(run(desk, tmp_path / "once", **policy), say=said.append)
    assert not said


def test_a_run_starts_from_where_the_instrument_stands(tmp_path: Path) -> None:
    desk = desk_away()
    execute(run(desk, tmp_path / "run"))
    first = events(tmp_path / "run")[0]
    assert first["writes"] == []
    assert events(tmp_path / "run")[1]["writes"][0][2] == list(AWAY)


def test_a_run_may_be_put_back_all_the_same(tmp_path: Path) -> None:
    desk = desk_away()
    result = execute(run(desk, tmp_path / "run", extras={"keep": False}))
    assert result["success"] is True
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


@pytest.mark.parametrize("keep", [None, True])
def test_a_run_that_fails_is_put_back(tmp_path: Path, keep: bool | None) -> None:
    desk = desk_away()
    settings = {"run": {"max_timesteps": 2}, "task": {"tolerance": 1e-6}}
    plan = run(desk, tmp_path / "run", settings=settings, extras={"keep": keep})
    result = execute(plan)
    assert (result["success"], result["outcome"]) == (False, "out of steps")
    assert len(desk.log) > 2
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


def test_a_run_that_sees_nothing_at_the_start_fails_and_moves_nothing(tmp_path: Path) -> None:
    desk = desk_away()
    desk.develop = blank
    result = execute(run(desk, tmp_path / "run"))
    assert (result["success"], result["outcome"]) == (False, "failure")
    assert desk.log == []


def test_a_run_without_writes_left_ends_cleanly(tmp_path: Path) -> None:
    desk = desk_away()
    settings = {"task": {"tolerance": 1e-6}}
    plan = run(desk, tmp_path / "run", limits=desk_envelope(max_writes=1), settings=settings)
    result = execute(plan)
    assert (result["success"], result["outcome"]) == (False, "out of writes")
    assert "allows max_writes = 1 in a run" in result["reason"]
    assert result["budget_spent"] == result["reason"]
    assert len(desk.log) == 2, "one by the agent, one back"
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


def test_ctrl_c_in_a_run_puts_back(tmp_path: Path) -> None:
    desk = desk_away()

    def interrupt(what: str, _: str) -> None:
        if what == "acquire" and desk.log:
            desk.before = lambda what, name: None
            signal.raise_signal(signal.SIGINT)

    desk.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        execute(run(desk, tmp_path / "run"))
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert record(tmp_path / "run").status == "interrupted"
    assert not record(tmp_path / "run").must_be_restored


# --- evaluation ----------------------------------------------------------------------------------


def test_an_evaluation_says_so_before_it_starts_and_ends_at_home(tmp_path: Path) -> None:
    desk, said = desk_away(), []

    def say(sentence: str) -> None:
        assert desk.log == []
        said.append(sentence)

    result = execute(run(desk, tmp_path / "run", episodes=5), say=say)
    assert "5 episodes, each from a start drawn around where the knobs stand" in said[-1]
    assert "they are put back at the end" in said[-1]
    assert result["episodes"] == 5
    assert "success" not in result
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    starts = {tuple(e["summary"].values()) for e in events(tmp_path / "run") if e["k"] == 0}
    assert len(starts) == 5
    figures = read_json(tmp_path / "run" / "evaluation.json")
    assert (figures["seed"], figures["episodes"]) == (3, 5)
    assert figures["success_rate"] == result["success_rate"]


def test_an_evaluation_says_that_its_budget_is_spent_and_counts_whole_episodes_alone(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    plan = run(desk_away(), tmp_path / "run", limits=desk_envelope(max_writes=9), episodes=20)
    result = execute(plan, say=said.append)
    last = events(tmp_path / "run")[-1]
    assert (last["truncated"], last["budget_spent"], last["writes"]) == (True, True, [])
    assert result["episodes"] == last["e"] > 0
    assert result["success_rate"] == 1.0
    sentence = result["budget_spent"]
    for told in ("max_writes = 9", f"after {last['e']} of 20 episodes", "Raise max_writes"):
        assert told in sentence
    assert said[-1] == sentence
    assert sentence in (tmp_path / "run" / "log.txt").read_text()
    assert read_json(tmp_path / "run" / "evaluation.json")["budget_spent"] == sentence
    shown = gather(tmp_path / "run").series
    assert len(shown.complete) == result["episodes"]


def test_a_training_says_that_its_budget_is_spent_and_how_to_go_on(tmp_path: Path) -> None:
    said: list[str] = []
    desk = desk_away()
    plan = on_desk(desk, tmp_path / "run", limits=desk_envelope(max_writes=23))
    result = execute(plan, say=said.append)
    *before, last = [event for event in events(tmp_path / "run") if event["k"]]
    assert last["budget_spent"]
    assert result["episodes"] == sum(e["outcome"] != "running" or e["truncated"] for e in before)
    sentence = result["budget_spent"]
    for told in ("max_writes = 23", "after 24 of 40 timesteps", f"--resume {tmp_path / 'run'}"):
        assert told in sentence
    assert said[-1] == sentence
    assert sentence in (tmp_path / "run" / "log.txt").read_text()
    again = execute(plan_resume(toy_registry(desk_plugin(desk)), tmp_path / "run"))
    assert (again["timesteps"], again["budget_spent"]) == (40, None)


def test_a_run_with_writes_left_says_nothing_of_them(tmp_path: Path) -> None:
    plan = run(desk_away(), tmp_path / "run", limits=desk_envelope(max_writes=500), episodes=2)
    assert execute(plan)["budget_spent"] is None
    assert not (tmp_path / "run" / "log.txt").exists()


def test_an_evaluation_may_be_kept(tmp_path: Path) -> None:
    desk, said = desk_away(), list[str]()
    execute(run(desk, tmp_path / "run", episodes=2, extras={"keep": True}), say=said.append)
    assert "they stay where the last ends" in said[-1]
    assert standing(desk) == pytest.approx(desk.log[-1], abs=1e-12)


def test_on_a_simulator_the_oracle_plays_the_same_starts(tmp_path: Path) -> None:
    plan = plan_run(
        REGISTRY, task="centring", agent="walker", episodes=8, extras=extras(tmp_path / "run")
    )
    result = execute(plan)
    assert result["oracle_success_rate"] == 1.0
    assert result["success_rate"] < 1.0
    assert result["miss_px_rms"] > result["measured_miss_px_rms"] * 0.5


def test_an_evaluation_can_be_stopped_after_an_episode(tmp_path: Path) -> None:
    plan = plan_run(
        REGISTRY, task="centring", agent="exact", episodes=9, extras=extras(tmp_path / "run")
    )
    stop = when(3, lambda: signal.raise_signal(signal.SIGINT))
    result = execute(plan, on_progress=stop)
    assert (result["episodes"], result["interrupted"]) == (3, True)
    assert record(tmp_path / "run").status == "interrupted"


def test_an_evaluation_that_is_interrupted_at_once_says_so(tmp_path: Path) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    desk = desk_away()
    with pytest.raises(KeyboardInterrupt):
        execute(run(desk, tmp_path / "run", episodes=9), on_progress=when(3, twice))
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    found = record(tmp_path / "run")
    assert (found.status, found.reason, found.displaced) == ("interrupted", None, False)


def test_a_task_that_never_finds_a_start_stops(tmp_path: Path) -> None:
    desk = desk_away()
    desk.develop = lambda frame: evolve(frame, pixels=frame.pixels % 7)
    with pytest.raises(StartError):
        execute(run(desk, tmp_path / "run", episodes=2))
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert str(record(tmp_path / "run").reason).startswith("StartError: ")
