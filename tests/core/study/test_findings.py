"""Findings are judged by an effect with its interval."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stempilot.study.file import Cell, Finding, Relearn
from stempilot.study.findings import effect_of, judge, wilson
from stempilot.study.folder import Listed, Result, Row


def rows(values: dict[str, list[Any]], *, status: str = "done", relearn: bool = False) -> list[Row]:
    """Return cells whose option ``task.binning`` has each name, with these timesteps."""
    stage = "relearn" if relearn else "train"
    changed = Relearn(steps=50) if relearn else None
    cell = Cell(task="t", backend="b", agent="a", steps=100, relearn=changed)
    return [
        Row(
            number=number,
            listed=Listed(key="0" * 16, swept={"task.binning": name}, cell=cell),
            result=Result(status=status, figures={stage: {"converged_at": value}}),
            folder=Path(),
        )
        for name, numbers in values.items()
        for number, value in enumerate(numbers)
    ]


def finding(**more: Any) -> Finding:
    return Finding(**{"says": "it is so", "of": "train.converged_at", "above": 0, **more})


SLOW, FAST = [60, 70, 80, 75, 65], [20, 30, 25, 22, 28]


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({"above": 0}, "reproduced"),
        ({"below": 0}, "not reproduced"),
        ({"above": 45}, "undecided"),
        ({"above": 100}, "not reproduced"),
        ({"below": 100}, "reproduced"),
    ],
)
def test_a_difference_is_judged_by_its_interval(more: dict[str, Any], verdict: str) -> None:
    asked = {"cells": {"task.binning": 1}, "against": {"task.binning": 4}, "above": None, **more}
    found = judge(finding(**asked), rows({1: SLOW, 4: FAST}))  # type: ignore[dict-item]
    assert found.effect == 45
    assert found.cells == (5, 5)
    assert found.interval is not None
    assert found.interval[0] < 45 < found.interval[1]
    assert found.verdict == verdict


def test_few_cells_decide_nothing() -> None:
    found = judge(finding(), rows({"a": SLOW[:4]}))
    assert (found.verdict, found.cells) == ("undecided", (4,))
    assert found.interval is not None
    assert judge(finding(), rows({"a": SLOW}, status="failed")).text == "undecided (0 cells)"


def test_what_has_not_converged_counts_as_all_its_timesteps() -> None:
    assert judge(finding(), rows({"a": [None] * 5})).effect == 100
    asked = finding(of="relearn.converged_at")
    assert judge(asked, rows({"a": [None, 40]}, relearn=True)).effect == 45


def test_a_share_has_wilsons_interval() -> None:
    found = judge(finding(within=70, above=0.5), rows({"a": [*SLOW, None, None, None, 10, 20]}))
    assert found.effect == 0.5
    assert found.interval == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_a_difference_of_shares_has_newcombes_interval() -> None:
    # Newcombe (1998), table II, example (a): 56 of 70 against 48 of 80.
    sides = [[1.0] * 56 + [0.0] * 14, [1.0] * 48 + [0.0] * 32]
    effect, interval = effect_of(sides, shares=True)
    assert effect == pytest.approx(0.2)
    assert interval == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_the_bootstrap_covers_what_it_should() -> None:
    rng = np.random.default_rng(5)
    inside = [
        interval[0] <= 0 <= interval[1]
        for _, interval in (effect_of([rng.normal(size=20)]) for _ in range(200))  # type: ignore[list-item]
    ]
    assert 0.87 < np.mean(inside) < 0.99


def test_a_finding_says_what_reproduces_it() -> None:
    with pytest.raises(ValueError, match="needs above or below"):
        finding(above=None)
    with pytest.raises(ValueError, match="needs above or below"):
        finding(below=1)
