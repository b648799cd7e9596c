"""Findings are judged by an effect with its interval."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

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
            listed=Listed(key=f"{place:08x}{number:08x}", swept={"task.binning": name}, cell=cell),
            result=Result(status=status, figures={stage: {"converged_at": value}}),
            folder=Path(),
        )
        for place, (name, numbers) in enumerate(values.items())
        for number, value in enumerate(numbers)
    ]


def keyed(row: Row, number: int) -> Row:
    """Return a cell under another key."""
    return evolve(row, listed=evolve(row.listed, key=f"{number:016x}"))


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
    found = judge(finding(), rows({"a": SLOW}, status="failed"))
    assert found.text == "undecided (0 cells; 5 not done)"


def test_what_is_not_done_is_counted_where_it_is_asked_for() -> None:
    done, (late, _) = rows({"a": SLOW, "b": SLOW}), rows({"b": [None], "a": [None]}, status="late")
    found = judge(
        finding(cells={"task.binning": "b"}), [*done[:9], keyed(done[9], 9), keyed(late, 1)]
    )
    assert (found.cells, found.not_done) == ((5,), 1)
    assert found.text.endswith("(5 cells; 1 not done)")


def test_a_training_that_is_listed_twice_counts_once() -> None:
    once = rows({"a": SLOW[:3]})
    found = judge(finding(), [*once, *once])
    assert (found.cells, found.verdict) == ((3,), "undecided")
    # On two sides it does so on each.
    alike = [keyed(row, row.number) for row in rows({"a": SLOW, "b": SLOW})]
    asked = finding(cells={"task.binning": "a"}, against={"task.binning": "b"})
    assert judge(asked, alike).cells == (5, 5)


def test_what_has_not_converged_counts_as_all_its_timesteps() -> None:
    found = judge(finding(), rows({"a": [None] * 5}))
    assert (found.effect, found.not_converged) == (100, 5)
    asked = finding(of="relearn.converged_at")
    assert judge(asked, rows({"a": [None, 40]}, relearn=True)).effect == 45


NEVER = [None] * 5


@pytest.mark.parametrize(
    ("slow", "fast", "asked", "verdict"),
    [
        # Nothing was learnt on either side: there is nothing to compare.
        (NEVER, NEVER, {"above": 0}, "undecided"),
        (NEVER, NEVER, {"below": 0}, "undecided"),
        # The difference is at least 75, and may be any above.
        (NEVER, FAST, {"above": 0}, "reproduced"),
        (NEVER, FAST, {"above": 200}, "undecided"),
        (NEVER, FAST, {"below": 200}, "undecided"),
        (NEVER, FAST, {"below": 0}, "not reproduced"),
        (FAST, NEVER, {"above": 0}, "not reproduced"),
        (FAST, NEVER, {"above": -200}, "undecided"),
        ([*FAST[:4], None], FAST, {"below": 100}, "undecided"),
        # Which side it is on decides, and not on which side of zero the difference is.
        ([*FAST[:4], None], [*SLOW, 90, 95], {"below": 30}, "undecided"),
        ([*FAST[:4], None], FAST, {"above": -200}, "reproduced"),
        ([95] * 6, [*FAST, None], {"above": 0}, "undecided"),
        ([95] * 6, [*FAST, None], {"below": 100}, "reproduced"),
        ([None] * 6, [*FAST, None], {"above": 0}, "undecided"),
    ],
)
def test_what_has_not_converged_only_shows_what_it_can(
    slow: list[Any], fast: list[Any], asked: dict[str, Any], verdict: str
) -> None:
    sides = {"cells": {"task.binning": 1}, "against": {"task.binning": 4}, "above": None}
    found = judge(finding(**{**sides, **asked}), rows({1: slow, 4: fast}))  # type: ignore[dict-item]
    assert found.verdict == verdict
    assert "not converged" in found.text


def test_a_mean_of_what_has_not_converged_may_be_any_above() -> None:
    unlearnt = rows({"a": NEVER})
    assert judge(finding(above=50), unlearnt).verdict == "reproduced"
    assert judge(finding(above=100.5), unlearnt).verdict == "undecided"
    assert judge(finding(above=None, below=100.5), unlearnt).verdict == "undecided"


def test_a_shorter_training_does_not_tell_what_would_have_been() -> None:
    asked = finding(within=101, above=None, below=0.5)
    assert judge(asked, rows({"a": NEVER})).text == "undecided (0 cells)"
    asked = finding(within=100, above=None, below=0.5)
    assert judge(asked, rows({"a": [*NEVER, *NEVER]})).verdict == "reproduced"


def test_a_figure_that_no_cell_has_decides_nothing() -> None:
    for within in (None, 50):
        asked = finding(of="train.convergd_at", within=within, above=None, below=0.5)
        found = judge(asked, rows({"a": SLOW}))
        assert found.text.startswith(
            "undecided (0 cells; no finished cell has train.convergd_at. "
            "did you mean train.converged_at or"
        )


def test_a_figure_of_a_stranger_that_is_no_number_does_not_count() -> None:
    values = [10**400, 1e308, "fast", [1], *SLOW]
    assert judge(finding(of="train.converged_at", above=0), rows({"a": values})).effect is not None
    assert judge(finding(within=100), rows({"a": values})).cells == (8,)


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


@pytest.mark.parametrize("sizes", [(5,), (5, 5), (5, 20)])
def test_the_interval_covers_what_it_should(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(1_000):
        sides = [rng.normal(scale=size, size=size) for size in sizes]
        _, interval = effect_of(sides)  # type: ignore[arg-type]
        assert interval is not None
        inside.append(interval[0] <= 0 <= interval[1])
    assert 0.93 < np.mean(inside) < 0.97


def test_a_single_value_has_no_interval() -> None:
    assert effect_of([[3.0]]) == (3.0, None)
    assert judge(finding(), rows({"a": [3]})).text == "undecided: 3 (1 cells)"


def test_a_finding_says_what_reproduces_it() -> None:
    with pytest.raises(ValueError, match="needs above or below"):
        finding(above=None)
    with pytest.raises(ValueError, match="needs above or below"):
        finding(below=1)
