"""Rows from cells, by numbers that can be checked by hand."""

from typing import Any

import pytest
from benchmarks.tables.aggregate import agent_row, oracle_rows, rows, weighted


def cell(seed: int = 1, **changes: Any) -> dict[str, Any]:
    asked = {
        "table": "learnt",
        "agent": "one",
        "condition": "random",
        "seed": seed,
        "episodes": 10,
        "steps": 0,
        "settings": {"task": {}},
    }
    evaluation = {
        "episodes": 10,
        "success_rate": 0.8,
        "steps_mean": 12.0,
        "paired_steps_mean": 12.0,
        "oracle_steps_mean": 8.0,
        "oracle_success_rate": 1.0,
        "error_px_rms": 3.0,
    }
    found: dict[str, Any] = {"training": None}
    found["asked"] = asked | {k: v for k, v in changes.items() if k in asked}
    found["evaluation"] = evaluation | {k: v for k, v in changes.items() if k in evaluation}
    if "training" in changes:
        found["training"] = changes["training"]
    return found


def failed(seed: int = 1, **changes: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("steps_mean", "paired_steps_mean", "oracle_steps_mean"))
    return cell(seed, **{"success_rate": 0.0, **nothing, **changes})


def learnt(at: int | None, pace: float | None) -> dict[str, Any]:
    return {"converged_at": at, "corrections_per_s": pace}


def test_seeds_are_weighted_by_what_they_count() -> None:
    # 8 of 10 and 3 of 5 succeed: 11 of 15; steps 8 x 12 and 3 x 23 over 11.
    second = {"episodes": 5, "success_rate": 0.6, "steps_mean": 23.0, "paired_steps_mean": 23.0}
    row = agent_row([cell(1), cell(2, oracle_steps_mean=19.0, error_px_rms=6.0, **second)])
    assert (row.table, row.condition, row.agent, row.seeds) == ("learnt", "random", "one", (1, 2))
    assert row.episodes == 15
    assert row.success == pytest.approx(11 / 15)
    assert row.success_worst_seed == 0.6
    assert row.steps == pytest.approx(165 / 11)
    assert row.paired_steps == pytest.approx(165 / 11)
    assert row.oracle_steps == pytest.approx((8 * 8 + 3 * 19) / 11)
    assert row.ratio == pytest.approx(165 / 121)
    assert row.frames == pytest.approx(16.0)
    assert row.seconds == pytest.approx(2.72)
    assert row.error_px == pytest.approx(((10 * 9 + 5 * 36) / 15) ** 0.5)
    assert row.trained_timesteps is None


def test_a_seed_where_nothing_succeeded_has_no_steps_to_count() -> None:
    row = agent_row([cell(1), failed(2, error_px_rms=None)])
    assert row.success == pytest.approx(0.4)
    assert (row.steps, row.oracle_steps, row.ratio, row.error_px) == (12.0, 8.0, 1.5, 3.0)


def test_where_nothing_succeeded_there_are_no_steps() -> None:
    row = agent_row([failed()])
    assert row.success == 0
    assert (row.steps, row.ratio, row.frames, row.seconds) == (None, None, None, None)


def test_learning_is_the_median_over_the_seeds_that_converged() -> None:
    trainings = [learnt(100, 50.0), learnt(None, 50.0), learnt(300, 100.0), learnt(110, 10.0)]
    cells = [cell(n, steps=500, training=training) for n, training in enumerate(trainings)]
    row = agent_row(cells)
    assert (row.trained_timesteps, row.converged_seeds, row.learnt_timesteps) == (500, 3, 110)
    assert row.learnt_s == 3.0  # of 2, 3 and 11


def test_where_no_seed_converged_there_is_nothing_to_say() -> None:
    row = agent_row([cell(steps=500, training=learnt(None, 9.0))])
    assert (row.converged_seeds, row.learnt_timesteps, row.learnt_s) == (0, None, None)


def test_the_oracle_is_seen_through_the_agent_that_solves_most() -> None:
    found = rows(
        [
            cell(agent="bad", success_rate=0.1, oracle_steps_mean=2.0),
            cell(agent="good", success_rate=0.9, oracle_steps_mean=9.0, oracle_success_rate=0.7),
            failed(agent="none"),
        ]
    )
    assert [row.agent for row in found] == ["oracle", "bad", "good", "none"]
    oracle = found[0]
    assert (oracle.steps, oracle.frames, oracle.success, oracle.ratio) == (9.0, 10.0, 0.7, 1.0)
    assert oracle.error_px is None


def test_the_oracle_is_not_seen_through_an_agent_with_other_actions() -> None:
    discrete = {"task": {"actions": "discrete"}}
    found = rows(
        [
            cell(agent="dqn", success_rate=1.0, oracle_steps_mean=11.0, settings=discrete),
            cell(agent="one", oracle_steps_mean=9.0),
        ]
    )
    assert [(row.agent, row.oracle_steps) for row in found] == [
        ("oracle", 9.0),
        ("dqn", 11.0),
        ("one", 9.0),
    ]


def test_without_a_success_there_is_no_oracle() -> None:
    cells = [failed(oracle_success_rate=None)]
    assert oracle_rows([agent_row(cells)], [cells]) == []


def test_rows_are_in_the_order_first_met_but_tables_stay_together() -> None:
    cells = [
        cell(table="unknown", condition="b"),
        cell(table="learnt", condition="b"),
        cell(table="unknown", condition="a"),
        cell(2, table="unknown", condition="b"),
    ]
    found = [(row.table, row.condition, row.agent) for row in rows(cells)]
    assert found == [
        (table, condition, agent)
        for table, condition in (("unknown", "b"), ("unknown", "a"), ("learnt", "b"))
        for agent in ("oracle", "one")
    ]
    assert rows(cells)[1].seeds == (1, 2)


def test_weighted_leaves_out_what_is_unknown_or_weighs_nothing() -> None:
    assert weighted([1.0, None, 4.0, 9.0], [1.0, 5.0, 2.0, 0.0]) == 3.0
    assert weighted([None, 2.0], [1.0, 0.0]) is None
