"""The folder of a study, which may come from a stranger."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from pyarrow import parquet
from tests.core.study.test_cells import CELL, REGISTRY

from stempilot.errors import RunDirError
from stempilot.files import write_json
from stempilot.study.cells import ready
from stempilot.study.file import Study
from stempilot.study.folder import place_of, read_folder, write_study, write_table
from stempilot.study.run import report_study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a study of one cell that is done."""
    made = tmp_path / "study"
    made.mkdir()
    (cell,) = ready(REGISTRY, [({"agent.hidden": [1, 2], "odd": 1}, CELL)])
    write_study(made, Study(task="centring", title="t"), [cell], "")
    place_of(made, cell.key).mkdir(parents=True)
    put(made, status="done", figures={"train": {"timesteps": 3, "learner": {"x": 1}}})
    return made


def put(folder: Path, **content: Any) -> None:
    (place,) = (folder / "cells").iterdir()
    write_json(place / "cell.json", content)


def test_the_table_has_settings_and_figures(folder: Path) -> None:
    _, rows = read_folder(folder)
    (row,) = parquet.read_table(write_table(folder, rows)).to_pylist()
    assert row["status"] == "done"
    assert row["agent.hidden"] == [1, 2]
    assert row["train.timesteps"] == 3
    assert row["train.run_dir"] == f"cells/{row['key']}/train"
    assert "train.learner" not in row


def test_a_column_of_several_kinds_is_json(folder: Path) -> None:
    _, (row,) = read_folder(folder)
    other = evolve(row, listed=evolve(row.listed, swept={"odd": "text", "agent.hidden": 3}))
    half = evolve(row, listed=evolve(row.listed, swept={"odd": 1.5}))
    rows = parquet.read_table(write_table(folder, [row, other, half])).to_pylist()
    assert [one["odd"] for one in rows] == ["1", '"text"', "1.5"]
    assert [one["agent.hidden"] for one in rows] == ["[1, 2]", "3", None]
    rows = parquet.read_table(write_table(folder, [row, half])).to_pylist()
    assert [one["odd"] for one in rows] == [1, 1.5]


@pytest.mark.parametrize("odd", [10**400, "\ud800", {}, [{}], [{"x": [1]}]])
def test_whatever_a_stranger_wrote_can_be_tabled(folder: Path, odd: Any) -> None:
    change(folder, swept={"odd": odd})
    _, rows = read_folder(folder)
    (row,) = parquet.read_table(write_table(folder, rows)).to_pylist()
    assert json.loads(row["odd"]) == odd


def test_a_cell_that_is_listed_often_is_read_once(folder: Path) -> None:
    path = folder / "study.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "cells": content["cells"] * 50}))
    _, rows = read_folder(folder)
    assert len({id(row.result) for row in rows}) == 1
    path.write_text(json.dumps({**content, "cells": content["cells"] * 5_001}))
    with pytest.raises(RunDirError, match=r"study\.json is damaged"):
        read_folder(folder)


def change(folder: Path, **changes: Any) -> None:
    path = folder / "study.json"
    content = json.loads(path.read_text())
    content["cells"][0] |= changes
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("key", ["../../../etc", "/etc", "0" * 15, "0" * 17, "A" * 16])
def test_no_key_leads_out_of_the_folder(folder: Path, key: str) -> None:
    change(folder, key=key)
    with pytest.raises(RunDirError, match="is damaged"):
        read_folder(folder)


@pytest.mark.parametrize(
    "content",
    [
        {"status": 3},
        {"figures": {"train": 3}},
        {"episodes": {"train": {"t": ["x"], "steps": [], "reward": [], "success": []}}},
        {"episodes": {"train": {"t": [1], "steps": [], "reward": [], "success": []}}},
        {"wall_s": "long"},
    ],
)
def test_a_damaged_result_is_named(folder: Path, content: dict[str, Any]) -> None:
    put(folder, **content)
    with pytest.raises(RunDirError, match=r"cell\.json is damaged"):
        read_folder(folder)


def test_nothing_behind_a_link_is_read(folder: Path, tmp_path: Path) -> None:
    (place,) = (folder / "cells").iterdir()
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunDirError, match="is a link"):
        read_folder(folder)


def test_no_run_behind_a_link_is_drawn(folder: Path, tmp_path: Path) -> None:
    (place,) = (folder / "cells").iterdir()
    (tmp_path / "elsewhere").mkdir()
    (place / "train").symlink_to(tmp_path / "elsewhere")
    path = folder / "study.json"
    for kind in ("actions", "paths", "states"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "plots": [{"kind": kind}]}))
        with pytest.raises(RunDirError, match="is a link"):
            report_study(folder)


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match=r"holds no study\.json; give the folder"):
        read_folder(tmp_path)


ODD: dict[str, Any] = {"kind": "curves", "axes": ["odd", *map(str, range(1000))]}


@pytest.mark.parametrize(
    "plot",
    [
        ODD,
        {"kind": "points"},
        {"kind": "points", "axes": ["agent.hidden"], "y": "train.timesteps"},
        {"kind": "points", "axes": ["odd"], "y": "agent"},
        {"kind": "points", "axes": ["agent", "odd"], "y": "train.timesteps"},
        {"kind": "actions"},
        {"kind": "paths"},
    ],
)
def test_a_stranger_s_plot_is_drawn_or_refused(folder: Path, plot: dict[str, Any]) -> None:
    columns = {"t": [1, 10**400], "steps": [1, 2], "reward": [0.0, 1e308], "success": [True, False]}
    put(folder, status="done", figures={"train": {"timesteps": 3}}, episodes={"train": columns})
    path = folder / "study.json"
    content = json.loads(path.read_text())
    finding = {"says": "so", "of": "agent.hidden", "above": 0}
    content |= {"title": "$\\frac{" * 10_000, "plots": [plot], "findings": [finding]}
    content["cells"][0]["swept"]["odd"] = "$\\nothing{"
    path.write_text(json.dumps(content))
    with pytest.raises(RunDirError, match=r"cannot be drawn as|is damaged|cannot read"):
        report_study(folder)


def test_formulas_of_a_stranger_are_text(folder: Path) -> None:
    columns = {"t": [1, 9], "steps": [1, 8], "reward": [0.0, 1.0], "success": [True, False]}
    put(folder, status="done", episodes={"train": columns})
    path = folder / "study.json"
    content = json.loads(path.read_text()) | {"title": "$\\frac{" * 10_000, "plots": [ODD]}
    content["cells"][0]["swept"]["odd"] = "$\\nothing{"
    path.write_text(json.dumps(content))
    assert Path(report_study(folder)["picture 1"]).is_file()
