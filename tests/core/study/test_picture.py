"""The picture of a study: axes with units, a line a group."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pytest
from tests.core.cli.conftest import Stempilot, stempilot, use  # noqa: F401 - fixtures
from tests.core.study.here import STUDY, InThisProcess, study_file

CURVES = """
[plot]
kind = "curves"
axes = ["agent", "task.tolerance"]
[[findings]]
says = "a wide tolerance is easier"
of = "evaluate.success_rate"
cells = { "task.tolerance" = 0.2 }
against = { "task.tolerance" = 0.1 }
above = 0
"""
POINTS = """
[plot]
kind = "points"
axes = ["task.tolerance", "agent"]
y = "evaluate.reward_mean"
x_label = "tolerance (px)"
y_label = "reward"
"""
OF_ONE = '[plot]\nkind = "{}"\n'


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[matplotlib.figure.Figure]:
    """Return the figures that are saved."""
    saved: list[matplotlib.figure.Figure] = []
    save = matplotlib.figure.Figure.savefig

    def savefig(figure: matplotlib.figure.Figure, *what: Any, **more: Any) -> None:
        saved.append(figure)
        save(figure, *what, **more)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", savefig)
    return saved


@pytest.fixture
def report(client: InThisProcess, stempilot: Stempilot, tmp_path: Path) -> Callable[[str], Any]:  # noqa: F811
    def run(more: str) -> Any:
        # Tables come last in TOML.
        ended = stempilot("study", "run", study_file(tmp_path, STUDY + more), "--out", "out")
        assert ended.code == 0, ended.err
        return stempilot("study", "report", "out", "--json")

    return run


def axes_labels(figure: matplotlib.figure.Figure) -> list[tuple[str, str]]:
    return [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes]


def test_curves_show_a_line_a_group_and_the_findings(
    report: Callable[[str], Any], drawn: list[matplotlib.figure.Figure]
) -> None:
    found = report(CURVES).json
    assert found["a wide tolerance is easier"].startswith("undecided: ")
    assert found["a wide tolerance is easier"].endswith("(2 and 2 cells)")
    assert Path(found["picture"]).read_bytes().startswith(b"\x89PNG")
    # All cells have the same agent, which tells nothing apart.
    assert axes_labels(drawn[0]) == [
        ("timesteps", "timesteps per episode"),
        ("timesteps", "episode reward"),
    ]
    legend = drawn[0].axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "tolerance 0.1 (2)",
        "tolerance 0.2 (2)",
    ]
    assert '"verdict": "undecided"' in Path("out/findings.json").read_text()


def test_points_show_intervals(
    report: Callable[[str], Any], drawn: list[matplotlib.figure.Figure]
) -> None:
    assert report(POINTS).code == 0
    assert axes_labels(drawn[0]) == [("tolerance (px)", "reward")]
    line = drawn[0].axes[0].get_lines()[0]
    assert np.array_equal(line.get_xdata(), [0.1, 0.2])


def test_actions_are_those_of_one_training(
    report: Callable[[str], Any], drawn: list[matplotlib.figure.Figure]
) -> None:
    found = report(OF_ONE.format("actions")).json
    assert Path(found["picture"]).name == "actions.png"
    assert len(drawn) == 1


def test_paths_are_those_of_one_training_in_a_plane(report: Callable[[str], Any]) -> None:
    ended = report(OF_ONE.format("paths"))
    assert ended.code == 2
    assert "two quantities of one unit" in ended.err


def test_a_study_without_a_finished_cell_has_nothing_to_draw(
    client: InThisProcess,
    stempilot: Stempilot,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stempilot.study.cells.execute", lambda plan, **_: 1 / 0)
    stempilot("study", "run", study_file(tmp_path, STUDY + CURVES), "--out", "out")
    ended = stempilot("study", "report", "out")
    assert ended.code == 2
    assert "nothing to draw" in ended.err
