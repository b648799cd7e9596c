"""The constants that stand for the network of `universal`, and figures that are measured once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.universal.__main__ import CONSTANTS, constant, main, write_constant

import stempilot
from stempilot_agents.universal.features import HEDGED, SIZE
from stempilot_agents.universal.network import ANSWERS, SHIPPED, UniversalNetwork


def test_constants_do_not_depend_on_what_is_seen(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    told = rng.standard_normal((5, SIZE)).astype(np.float32)
    for name in CONSTANTS:
        answers = constant(name, SHIPPED)
        file = tmp_path / f"{name}.safetensors"
        write_constant(answers, file)
        network = UniversalNetwork.read(file)
        np.testing.assert_array_equal(network.answers(told), np.tile(answers, (5, 1)))
        assert answers.shape == (ANSWERS,)
        assert np.array_equal(network.forward(told), told[:, HEDGED]) == (name == "both-hands")


def test_a_figure_is_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played = []

    def execute(plan: Any) -> dict[str, Any]:
        played.append(plan)
        plan.out.mkdir()
        return {"success_rate": 0.5, "interrupted": False}

    monkeypatch.setattr(stempilot, "execute", execute)
    mine = tmp_path / "run" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("kept")
    words = ["--out", str(tmp_path), "--cases", "random", "--agents", "adaptive", "both-hands"]
    for episodes in ("7", "7", "8"):
        assert main([*words, "--episodes", episodes]) == 0
    assert [plan.episodes for plan in played] == [7, 7, 8, 8]
    assert capsys.readouterr().out.count("| random | both-hands | 50.00 % | - |") == 3
    assert mine.read_text() == "kept"
    half = tmp_path / "random-adaptive.json"
    half.write_text(half.read_text()[:-9])
    assert main([*words, "--episodes", "8"]) == 0
    assert len(played) == 5
