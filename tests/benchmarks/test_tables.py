"""The command: what it measures, that it goes on where it stopped, and what it writes."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.tables import __main__ as command, measure as measuring
from benchmarks.tables.aggregate import Row
from benchmarks.tables.cells import CONDITIONS, Cell, all_cells
from benchmarks.tables.writing import as_csv, as_json, as_markdown
from PIL import Image

import stempilot

FEW = ["--conditions", "random", "--seeds", "7001", "--episodes", "2"]
ABOUT = {
    "command": "python -m benchmarks.tables --out here",
    "seeds": [1, 2],
    "episodes": 10,
    "software": {
        "python": "3.11",
        "system": "Linux",
        "versions": {"stempilot": "0.1", "none": None},
    },
    "revisions": ["0123456789abcdef", "fedcba9876543210"],
}


def cell(**changes: Any) -> Cell:
    values: dict[str, Any] = {"table": "learnt", "agent": "adaptive", "condition": "random"}
    values |= {"seed": 7001, "episodes": 2, "steps": 0}
    return Cell(**values | changes)


def row(**changes: Any) -> Row:
    values: dict[str, Any] = {
        "table": "learnt",
        "condition": "random",
        "agent": "sac",
        "seeds": (1, 2),
        "episodes": 20,
        "success": 0.95,
        "success_worst_seed": 0.9,
        "steps": 12.25,
        "paired_steps": 12.25,
        "oracle_steps": 10.0,
        "ratio": 1.225,
        "frames": 13.25,
        "seconds": 2.2525,
        "error_px": 6.04,
        "trained_timesteps": 1500,
        "converged_seeds": 1,
        "learnt_timesteps": 1100.0,
        "learnt_s": 31.62,
    }
    return Row(**values | changes)


def outputs(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.is_file()}


def test_every_agent_meets_every_condition_with_every_seed() -> None:
    found = list(
        all_cells(
            agents={"unknown": ["a"], "learnt": ["a", "b"]},
            conditions=list(CONDITIONS),
            seeds=[1, 2],
            episodes=3,
            steps={"b": 7},
        )
    )
    assert len(found) == len({each.name for each in found}) == 2 * (9 + 2 * 8)
    assert {each.steps for each in found if each.agent == "b"} == {7}
    assert {each.steps for each in found if each.agent == "a"} == {0}


def test_what_is_kept_from_episode_to_episode_differs_between_the_tables() -> None:
    unknown, learnt = cell(table="unknown").settings, cell().settings
    assert unknown["backend"] == {"preset": "random", "redraw": "episode"}
    assert learnt["backend"] == {"preset": "random", "redraw": "run"}
    assert (unknown["agent"], learnt["agent"]) == ({"memory": "fresh"}, {})
    assert cell(agent="dqn").settings["task"] == {"actions": "discrete"}


def test_options_have_the_documented_defaults() -> None:
    full = command.parse(["--out", "x"])
    assert (full.conditions, full.seeds) == (list(CONDITIONS), [7001, 7002, 7003, 7004, 7005])
    assert (full.episodes, full.steps["sac-rapid"], full.steps["sac"]) == (200, 150, 1500)
    quick = command.parse(["--out", "x", "--quick", "--steps", "sac=9"])
    assert (quick.episodes, quick.seeds, quick.steps["sac"]) == (20, [7001], 9)
    assert max(quick.steps.values()) <= 200


@pytest.mark.parametrize("steps", ["sac", "sac=0", "sac=x"])
def test_steps_that_are_no_number_are_refused(steps: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        command.parse(["--out", "x", "--steps", steps])
    assert "is not AGENT=N" in capsys.readouterr().err


def test_an_agent_that_belongs_to_no_table_is_refused() -> None:
    with pytest.raises(SystemExit, match="known here are adaptive"):
        command.cells_of(command.parse(["--out", "x", "--agents", "recorded"]))


def test_csv_has_a_line_for_each_row() -> None:
    header, first, second = csv.reader(as_csv([row(), row(error_px=None)]).splitlines())
    found = dict(zip(header, first, strict=True))
    assert (found["seeds"], found["steps"], found["ratio"]) == ("1 2", "12.25", "1.225")
    assert dict(zip(header, second, strict=True))["error_px"] == ""


def test_json_says_what_it_is_of() -> None:
    found = json.loads(as_json([row()], ABOUT))
    assert found["seeds"] == [1, 2]
    assert found["rows"][0]["learnt_timesteps"] == 1100


def test_markdown_shows_numbers_as_people_read_them() -> None:
    text = as_markdown([row(), row(table="unknown", trained_timesteps=None, ratio=None)], ABOUT)
    learnt = "| random | sac | 95.0 % | 90.0 % | 12.25 | 1.225 | 13.25 | 2.25 | 6.0 |"
    assert f"{learnt} 1,500 | 1,100 (1/2) | 31.6 |\n" in text
    assert "| random | sac | 95.0 % | 90.0 % | 12.25 | - | 13.25 | 2.25 | 6.0 |\n" in text
    assert "stempilot 0.1, Python 3.11, Linux; revision 0123456789ab, fedcba987654." in text
    assert "none" not in text.split("Python 3.11")[0]
    assert text.index("## One instrument") < text.index("## Unknown instrument")


@pytest.mark.slow
def test_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: Any) -> None:
    asked = ["--out", str(tmp_path), "--agents", "adaptive", *FEW]
    assert command.main(asked) == 0
    names = {"learnt-adaptive-random-7001", "unknown-adaptive-random-7001"}
    assert {file.stem for file in (tmp_path / "cells").iterdir()} == names
    assert not any((tmp_path / "runs").iterdir())
    assert outputs(tmp_path) == {
        "tables.json",
        "tables.csv",
        "tables.md",
        "unknown.png",
        "learnt.png",
    }
    for name in ("unknown", "learnt"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert len(np.unique(np.asarray(picture.convert("L")))) > 50
    before = (tmp_path / "tables.csv").read_text()

    measured: list[str] = []

    def counted(folder: Path, each: Cell, *rest: Any) -> Any:
        measured.append(each.name)
        return real(folder, each, *rest)

    real = measuring.measure
    monkeypatch.setattr(command, "measure", counted)
    assert command.main(asked) == 0
    assert measured == []
    half = tmp_path / "cells" / "learnt-adaptive-random-7001.json"
    half.write_text(half.read_text()[:-20])
    (tmp_path / "runs" / "learnt-adaptive-random-7001").mkdir()
    assert command.main(asked) == 0
    assert measured == ["learnt-adaptive-random-7001"]
    assert (tmp_path / "tables.csv").read_text() == before
    assert measuring.measured(tmp_path, cell()) is not None
    assert measuring.measured(tmp_path, cell(episodes=3)) is None
    [revision] = json.loads((tmp_path / "tables.json").read_text())["revisions"]
    assert revision[:12] in (tmp_path / "tables.md").read_text()


def test_an_interrupted_cell_does_not_count(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(stempilot, "execute", lambda *_, **__: {"interrupted": True})
    assert command.main(["--out", str(tmp_path), "--agents", "adaptive", *FEW]) == 130
    assert outputs(tmp_path) == set()
    assert not (tmp_path / "cells").exists()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
def test_all_agents_are_judged_on_the_same_instrument_and_starts(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    learner = cell(agent="sac", steps=120)
    for each in (learner, cell(), cell(table="unknown")):
        assert measuring.measure(tmp_path, each) is not None

    def starts(name: str, run: str = "run") -> list[Any]:
        lines = (tmp_path / "runs" / name / run / "events.jsonl").read_text().splitlines()
        resets = [event for event in map(json.loads, lines) if event["k"] == 0]
        return [
            (event["truth"]["jacobian_px_per_rad"], event["truth"]["position_px"])
            for event in resets
        ]

    trained, by_learner, by_adaptive = (
        starts(learner.name, "train"),
        starts(learner.name),
        starts(cell().name),
    )
    assert by_learner == by_adaptive
    assert not {str(start) for _, start in by_learner} & {str(start) for _, start in trained}
    unknown = [response for response, _ in starts(cell(table="unknown").name)]
    assert not np.allclose(unknown[0], unknown[1], rtol=0.02)
    found = measuring.measured(tmp_path, learner)
    assert found is not None
    assert found["training"]["timesteps"] == 120
