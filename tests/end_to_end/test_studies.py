"""A study through the emulator that its cell starts, and the study files of the paper."""

from pathlib import Path

import pytest

from stempilot import discover
from stempilot.plugins import options as config
from stempilot.record.run_dir import RunDir
from stempilot.study.cells import key_of, run_cell
from stempilot.study.file import Cell, cells_of, read_study

FILES = sorted((Path(__file__).parents[2] / "examples" / "studies").glob("*.toml"))
REGISTRY = discover(only="")


@pytest.mark.parametrize("scale", [None, "medium", "small"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_first_and_the_last_cell_of_each_figure_can_be_planned(
    file: Path, scale: str | None
) -> None:
    study = read_study(file, scale)
    cells = [cell for _, cell in cells_of(study, REGISTRY)]
    keys = {key_of(REGISTRY, cell) for cell in cells[:: max(1, len(cells) - 1)]}
    assert len(keys) == min(2, len(cells))
    assert study.plots


@pytest.mark.slow
def test_a_cell_starts_its_own_emulator_and_drives_nothing_else(tmp_path: Path) -> None:
    cell = Cell(
        task="bf-disk-centering",
        backend="usetem-themis",
        agent="random",
        settings={
            "task": {"preset": "paper"},
            "emulator": {"realtime": False, "rotation_deg": 75},
            "run": {"max_timesteps": 5},
        },
        episodes=1,
    )
    place = tmp_path / "cells" / "one"
    done = run_cell(config.plain(cell), key_of(REGISTRY, cell), str(place))
    assert done == {"status": "done", "reason": ""}
    record = RunDir.open(place / "evaluate").record()
    assert record.simulated is False
    assert record.settings["backend"]["url"].startswith("http://127.0.0.1:")
    assert not record.settings["backend"]["url"].endswith(":8001/temscript")
