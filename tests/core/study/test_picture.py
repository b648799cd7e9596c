"""The picture of a study: axes with units, a line a group."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.figure
import numpy as np
import pytest
from tests.core.cli.conftest import Stempilot, stempilot, use  # noqa: F401 - fixtures
from tests.core.study.here import STUDY, InThisProcess, study_file

from stempilot.study.file import Cell, Plot
from stempilot.study.folder import Episodes, Listed, Result, Row
from stempilot.study.picture import draw

CURVES = """
[[plots]]
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
[[plots]]
kind = "points"
axes = ["task.tolerance", "agent"]
y = "evaluate.reward_mean"
x_label = "tolerance (px)"
y_label = "reward"
"""
OF_ONE = '[[plots]]\nkind = "{}"\n'


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
    assert Path(found["picture 1"]).read_bytes().startswith(b"\x89PNG")
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


def test_pictures_of_a_study_that_was_here_before_are_removed(report: Callable[[str], Any]) -> None:
    report(POINTS + POINTS)
    assert Path("out/picture-2.png").exists()
    own = Path("out/picture-2-of-mine.png")
    own.write_bytes(b"")
    report(POINTS)
    assert Path("out/picture-1.png").exists()
    assert not Path("out/picture-2.png").exists()
    assert own.exists()


def test_actions_are_those_of_one_training(
    report: Callable[[str], Any], drawn: list[matplotlib.figure.Figure]
) -> None:
    found = report(OF_ONE.format("actions")).json
    assert Path(found["picture 1"]).name == "picture-1.png"
    assert len(drawn) == 1


def test_states_need_a_plane(report: Callable[[str], Any]) -> None:
    ended = report(OF_ONE.format("states"))
    assert ended.code == 2
    assert "two quantities of one unit to draw states in" in ended.err


def test_states_are_those_of_the_last_timesteps(
    drawn: list[matplotlib.figure.Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    t = np.arange(6_001)
    x, y = SimpleNamespace(label="x (px)"), SimpleNamespace(label="y (px)")
    ends = [
        SimpleNamespace(last=at, success=success)
        for at, success in ((900, True), (5_000, True), (6_000, False))
    ]
    series = SimpleNamespace(
        timesteps=6_000,
        t=t,
        position=np.column_stack([t, -t]),
        goal=np.full((6_001, 2), 7.0),
        complete=ends,
        has_positions=True,
        shown=SimpleNamespace(plane=(x, y), on_camera=True),
    )
    monkeypatch.setattr(
        "stempilot.study.picture.gather", lambda run: SimpleNamespace(series=series)
    )
    picture = draw("t", Plot(kind="states", axes=("g",)), [row(n, [1], g=n) for n in range(5)])
    assert "1 of 5 kinds are not drawn" in picture.caption
    ax = drawn[0].axes[0]
    assert len(np.asarray(ax.get_lines()[0].get_xdata())) == 5_000
    assert ax.get_title(loc="left") == "g 0\n1 of 2 episodes succeed"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (px)", "y (px)")
    low, high = ax.get_ylim()
    assert low > high  # as on the camera, y goes downward


def row(number: int, t: list[int], timesteps: int = 0, **swept: Any) -> Row:
    columns = Episodes(t=t, steps=t, reward=[1.0] * len(t), success=[True] * len(t))  # type: ignore[arg-type]
    cell = Cell(task="t", backend="b", agent="a", seed=number, steps=9)
    figures = {"train": {"score": -float(number), "timesteps": timesteps}}
    result = Result(status="done", figures=figures, episodes={"train": columns})
    listed = Listed(key=f"{number:016x}", swept=swept, cell=cell)
    return Row(number=number, listed=listed, result=result, folder=Path())


def test_no_curve_goes_on_after_a_training_has_ended(
    drawn: list[matplotlib.figure.Figure],
) -> None:
    draw("t", Plot(kind="curves"), [row(1, [1, 500, 1000]), row(2, [1, 250, 500])])
    x = np.asarray(drawn[0].axes[0].get_lines()[0].get_xdata())
    assert 490 < x.max() <= 500


def test_a_curve_lasts_as_long_as_its_training(drawn: list[matplotlib.figure.Figure]) -> None:
    # The last episode of neither had ended when its training did.
    rows = [row(1, [200], timesteps=400), row(2, [40, 210], timesteps=400)]
    draw("t", Plot(kind="curves"), rows)
    x = np.asarray(drawn[0].axes[0].get_lines()[0].get_xdata())
    assert 200 <= x.min() < 202
    assert x.max() == 400


def test_lines_differ_and_what_is_left_out_is_said(drawn: list[matplotlib.figure.Figure]) -> None:
    plot = Plot(kind="points", axes=("x", "group"), y="train.score")
    rows = [row(n, [1, 2], x=n % 20, group=n // 20) for n in range(300)]
    picture = draw("t", plot, rows)
    assert "3 of 15 lines are not drawn" in picture.caption
    lines = [line for line in drawn[0].axes[0].get_lines() if len(line.get_xdata()) == 20]  # type: ignore[arg-type]
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}
    assert len({look for look in looks if look[1] not in {"None", "_", "|"}}) == 12
    low, high = drawn[0].axes[0].get_ylim()
    assert low < -200 < high


@pytest.mark.parametrize(
    ("axis", "value", "label"),
    [
        ("tolerance_m", 1e-9, "tolerance 1e-09 m (1)"),
        ("tolerance_bins", 3, "tolerance 3 bins (1)"),
        ("hidden_sizes", [16, 16], "hidden sizes [16, 16] (1)"),
        ("m", 1, "m 1 (1)"),
    ],
)
def test_a_legend_has_the_unit_after_the_value(
    drawn: list[matplotlib.figure.Figure], axis: str, value: Any, label: str
) -> None:
    draw("t", Plot(kind="curves", axes=(axis,)), [row(1, [1, 2], **{axis: value})])
    legend = drawn[0].axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [label]


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
