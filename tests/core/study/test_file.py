"""A study file: what is swept, and the cells that follow."""

import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import toy_registry
from tests.core.study.here import STUDY, study_file

from stempilot.errors import ConfigError
from stempilot.study.file import Finding, Plot, Relearn, Study, cells_of, read_study

REGISTRY = toy_registry()


def study(**more: Any) -> Study:
    return Study(**{"task": "centring", "agent": "learner", "steps": 5, **more})


def finding(cells: dict[str, Any]) -> Finding:
    return Finding(says="so", of="train.timesteps", cells=cells, above=0)


def swept(made: Study) -> list[tuple[dict[str, Any], int]]:
    return [(values, cell.seed) for values, cell in cells_of(made, REGISTRY)]


def test_a_grid_is_all_combinations_with_all_seeds(tmp_path: Path) -> None:
    made = read_study(study_file(tmp_path))
    found = cells_of(made, REGISTRY)
    assert [(cell.settings["task"]["tolerance"], cell.seed) for _, cell in found] == [
        (0.1, 1),
        (0.1, 2),
        (0.2, 1),
        (0.2, 2),
    ]
    assert {cell.backend for _, cell in found} == {"simulator"}
    assert all(cell.settings["run"] == {"evaluate": False} for _, cell in found)


def test_names_and_what_relearning_changes_can_be_swept() -> None:
    made = study(
        grid={"agent": ["learner", "exact"], "relearn.backend.serial": [1, 2], "steps": [3]},
        relearn=Relearn(steps=4, settings={"run": {"evaluate": False}}),
    )
    cells = [cell for _, cell in cells_of(made, REGISTRY)]
    assert [cell.agent for cell in cells] == ["learner", "learner", "exact", "exact"]
    assert [cell.relearn.settings["backend"]["serial"] for cell in cells] == [1, 2, 1, 2]  # type: ignore[union-attr]
    assert all(cell.settings == {} and cell.steps == 3 for cell in cells)


def test_cases_change_several_options_together() -> None:
    made = study(
        cases=({"task.tolerance": 0.1, "backend.serial": 1}, {"task.tolerance": 0.2}),
        grid={"agent": ["learner"]},
    )
    assert [sorted(values) for values, _ in swept(made)] == [
        ["agent", "backend.serial", "task.tolerance"],
        ["agent", "task.tolerance"],
    ]


def test_draws_come_from_lists_and_ranges_and_stay_when_there_are_more() -> None:
    grid = {
        "task.tolerance": {"low": 0.01, "high": 1.0, "log": True},
        "backend.serial": {"low": 3, "high": 5},
        "agent": ["learner", "exact"],
    }
    few, many = swept(study(grid=grid, draws=4)), swept(study(grid=grid, draws=40))
    assert many[:4] == few
    assert {values["backend.serial"] for values, _ in many} == {3, 4, 5}
    assert {values["agent"] for values, _ in many} == {"learner", "exact"}
    tolerances = [values["task.tolerance"] for values, _ in many]
    assert all(0.01 <= one <= 1.0 for one in tolerances)
    assert 8 < sum(one < 0.1 for one in tolerances) < 32


def test_a_scale_lies_over_the_file(tmp_path: Path) -> None:
    text = STUDY + '[scales.small]\nseeds = [7]\ngrid = {"task.tolerance" = [0.3]}\n'
    made = read_study(study_file(tmp_path, text), "small")
    assert swept(made) == [({"task.tolerance": 0.3}, 7)]
    with pytest.raises(ConfigError, match=r"no scale 'smal'; did you mean small\?"):
        read_study(study_file(tmp_path, text), "smal")
    assert read_study(study_file(tmp_path, text), "full").seeds == (1, 2)


def test_a_seed_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"seeds = \[1, 2, 1\] names a seed twice"):
        read_study(study_file(tmp_path, STUDY.replace("[1, 2]", "[1, 2, 1]")))


def test_a_negative_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seeds"):
        read_study(study_file(tmp_path, STUDY.replace("[1, 2]", "[-1]")))


def test_a_logarithmic_range_of_whole_numbers_gives_whole_numbers() -> None:
    grid = {"backend.serial": {"low": 16, "high": 512, "log": True}}
    found = [values["backend.serial"] for values, _ in swept(study(grid=grid, draws=20))]
    assert all(type(one) is int and 16 <= one <= 512 for one in found)
    assert len(set(found)) > 10


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"grid": {"agnet.gamma": [1]}}, r"agnet\.gamma cannot be swept; did you mean agent\?"),
        ({"grid": {"seed": [1]}}, "seed cannot be swept"),
        ({"grid": {"relearn.agent.gamma": [1]}}, r"nothing is relearnt; give relearn\.steps"),
        ({"grid": {"label.day": [date(2026, 1, 1)]}}, r"label\.day = .* cannot be swept"),
        ({"cases": ({"label.x": math.inf},)}, r"label\.x = inf cannot be swept"),
        ({"cases": ({"agent": "exact"},), "grid": {"agent": ["learner"]}}, "agent: in the grid"),
        ({"grid": {"steps": {"low": 1, "high": 10**21}}, "draws": 2}, "is no range"),
        ({"plots": (Plot(kind="curves", axes=("agnet",)),)}, r"agnet is not swept; did you mean"),
        ({"findings": (finding({"sede": 1}),)}, r"finding 'so': sede is not swept; did you mean"),
        ({"grid": {"task.tolerance": 0.1}}, "is no list of values; a range needs draws"),
        ({"grid": {"task.tolerance": []}}, "is no list of values"),
        ({"grid": {"steps": [-1]}}, "steps"),
        ({"grid": {"task.tolerance": {"low": 1, "high": 1}}, "draws": 2}, "is no range"),
        ({"grid": {"task.tolerance": {"low": 0, "high": 1, "log": True}}, "draws": 2}, "no range"),
        ({"grid": {"task.tolerance": list(range(6000))}}, "6000 cells; a study has at most 5000"),
    ],
)
def test_what_cannot_be_swept_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        cells_of(study(**more), REGISTRY)


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sedes; did you mean toys\.toml\.seeds"):
        read_study(study_file(tmp_path, STUDY.replace("seeds", "sedes")))
