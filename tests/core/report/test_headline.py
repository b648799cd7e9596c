from pathlib import Path

import pytest
from attrs import evolve
from tests.core.report.toy import event, simulate, write_run

from stempilot.report.headline import (
    UNKNOWN,
    badge,
    cards,
    changes,
    comparison,
    duration,
    figures,
    percent,
    plain,
)
from stempilot.report.loading import gather


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (20000, "20,000"),
        (8.384, "8.38"),
        (21.44, "21.4"),
        (1234.5678, "1,234.6"),
        (0.0123, "0.0123"),
        (None, UNKNOWN),
        (float("nan"), UNKNOWN),
        (True, "yes"),
        ("sac", "sac"),
        ([1], UNKNOWN),
    ],
)
def test_values_are_shown_to_three_digits(value: object, shown: str) -> None:
    assert plain(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (3.21, "3.21 s"),
        (204.2, "3 min 24 s"),
        (59.6, "59.6 s"),
        (7300, "2 h 1 min"),
        (None, UNKNOWN),
    ],
)
def test_times_are_shown_in_usual_units(seconds: object, shown: str) -> None:
    assert duration(seconds) == shown


def test_shares_are_shown_as_per_cent() -> None:
    assert percent(0.985) == "98.5 %"
    assert percent(None) == UNKNOWN


def test_a_training_shows_when_it_converged(trained: Path) -> None:
    shown = cards(gather(trained))
    assert "converged at" in shown
    assert ">390<" in shown
    assert ">400<" in shown


def test_a_training_shows_how_fast_and_how_evenly_it_corrected(trained: Path) -> None:
    found = gather(trained)
    assert "corrections per second" not in cards(found)
    pace = {"corrections_per_s": 5.123, "cycle_s_median": 0.19, "cycle_s_p95": 0.234}
    shown = cards(evolve(found, result={**found.result, **pace}))
    assert ">5.12<" in shown
    assert "cycle 0.19 s (median), 95 % within 0.234 s; the paper 5.5" in shown


def test_an_evaluation_shows_oracle_and_paper(tmp_path: Path) -> None:
    result = {
        "episodes": 8,
        "success_rate": 0.985,
        "steps_mean": 10.23,
        "steps_std": 4.04,
        "oracle_steps_mean": 8.74,
        "oracle_ratio": 1.17,
        "frames_median": 11.0,
    }
    events = simulate(10_000, lambda _: 0.97, episodes=8)
    run = write_run(tmp_path / "run", events, result=result, command="run", episodes=8)
    shown = cards(gather(run))
    for text in ("98.5 %", "10.2 ± 4.04", "oracle 8.74", "paper 21.4 ± 10.4", "11.0", " mrad"):
        assert text in shown


def test_an_evaluation_that_failed_is_counted_from_its_events(tmp_path: Path) -> None:
    events = [
        event(0, 0, 0, (60, 60)),
        event(0, 1, 1, (16, 32), reward=100.0, outcome="success"),
        event(1, 0, 1, (60, 60)),
        event(1, 1, 2, (600, 0), reward=-100.0, outcome="failure"),
    ]
    run = write_run(tmp_path / "run", events, command="run", episodes=9, status="failed")
    found = figures(gather(run))
    assert found["episodes"] == 2
    assert found["success_rate"] == 0.5
    assert found["steps_mean"] == 1.0


def test_rows_to_compare_with_are_shown_with_all_their_columns(trained: Path) -> None:
    text = '{"rows": [{"name": "sac", "success_rate": 1}, {"name": "<i>", "my_own": 3.5}]}'
    (trained / "comparison.json").write_text(text)
    shown = comparison(gather(trained))
    for cell in ("success", "my own", "100 %", "3.5", "&lt;i&gt;", UNKNOWN):
        assert cell in shown


def test_nothing_to_compare_with_shows_nothing(trained: Path) -> None:
    assert comparison(gather(trained)) == ""


def test_what_was_found_changed_is_told_with_what_was_done_about_it(trained: Path) -> None:
    found = gather(trained)
    assert changes(found) == ""
    change = {"timestep": 102, "episode": 8, "sentence": "turned <b>", "relearnt_timesteps": 50}
    shown = changes(evolve(found, result={"changes": [change, {"timestep": 300}, "damaged"]}))
    assert "turned &lt;b&gt;" in shown
    assert ">50<" in shown
    assert ">300<" in shown
    assert changes(evolve(found, result={"changes": 3})) == ""


def test_a_run_that_ended_without_success_is_not_shown_as_good(tmp_path: Path) -> None:
    done = gather(write_run(tmp_path / "run", [])).record
    assert "badge good" in badge(done, {"success": True})
    assert "badge unsure" in badge(done, {"success": False})


def test_what_is_wrong_with_a_run_stands_beside_its_outcome(tmp_path: Path) -> None:
    result = {"success": True, "outcome": "success", "reason": "moved 4 times <b>as far"}
    run = write_run(tmp_path / "run", simulate(10, lambda _: 0.97), result=result, command="run")
    assert "moved 4 times &lt;b&gt;as far" in cards(gather(run))
    run = write_run(tmp_path / "sound", [], result={**result, "reason": ""}, command="run")
    assert 'outcome</div><div class="value">success</div></div>' in cards(gather(run))
