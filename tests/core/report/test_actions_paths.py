from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.core.report.toy import GOAL_PX, simulate, write_run

from stempilot.report.actions import action_table, actions_picture
from stempilot.report.intervals import Interval
from stempilot.report.loading import gather
from stempilot.report.paths import paths_picture, pieces
from stempilot.report.series import series
from stempilot.report.style import Picture


def run_with(folder: Path, action: Callable[[int], Any]) -> Path:
    events = simulate(60, lambda _: 0.9)
    for line in events:
        if line["k"]:
            line["action"] = action(line["t"])
    return write_run(folder, events, command="run", episodes=9)


@pytest.mark.parametrize(
    "action",
    [
        lambda t: [0.1 * (t % 10), -1.0],
        lambda t: t % 8,
        lambda t: 0.5 * t,
        lambda t: [t % 3, 2],
        lambda _: [0.0, 0.0],
        lambda t: [t, 1, 2, 3],
    ],
    ids=["two components", "discrete", "scalar", "several discrete", "constant", "four"],
)
def test_actions_of_any_usual_space_are_drawn(tmp_path: Path, action: Callable[[int], Any]) -> None:
    drawn = actions_picture(gather(run_with(tmp_path / "run", action)))
    assert isinstance(drawn, Picture), drawn
    assert len(drawn.content) > 5_000


@pytest.mark.parametrize(
    "action",
    [
        lambda _: {"shift": 1},
        lambda t: [0.0] * (t % 2 + 1),
        lambda _: [[1.0, 2.0]],
        lambda _: [0.0] * 5,
        lambda t: 1000 * t,
        lambda t: -t,
        lambda _: [],
        lambda _: "left",
        lambda _: [1e300, 0.0],
        lambda _: 10**400,
        lambda _: None,
    ],
    ids=[
        "mapping",
        "lengths differ",
        "nested",
        "five components",
        "too many choices",
        "negative choices",
        "empty",
        "text",
        "too large",
        "beyond a float",
        "nothing",
    ],
)
def test_actions_that_cannot_be_drawn_are_left_out(
    tmp_path: Path, action: Callable[[int], Any]
) -> None:
    drawn = actions_picture(gather(run_with(tmp_path / "run", action)))
    assert isinstance(drawn, str)
    assert drawn.startswith("Actions:")


def test_another_policy_looks_different(tmp_path: Path) -> None:
    runs = [
        run_with(tmp_path / "left", lambda t: [t % 2, 0]),
        run_with(tmp_path / "right", lambda t: [t % 2, 1]),
    ]
    pictures = [actions_picture(gather(run)) for run in runs]
    first, second = (p.content for p in pictures if isinstance(p, Picture))
    assert first != second


def test_resets_have_no_action() -> None:
    events = simulate(5, lambda _: 0.0)
    table = action_table(series(events, ()))
    assert table is not None
    np.testing.assert_array_equal(np.isnan(table[:, 0]), [line["k"] == 0 for line in events])


def test_paths_show_the_data(tmp_path: Path) -> None:
    drawn = []
    for seed in (1, 2):
        run = write_run(
            tmp_path / str(seed),
            simulate(100, lambda _: 0.9, seed=seed),
            command="run",
            episodes=9,
        )
        picture = paths_picture(gather(run))
        assert isinstance(picture, Picture)
        drawn.append(picture.content)
    assert drawn[0] != drawn[1]


def test_paths_of_an_unfinished_episode_are_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", simulate(3, lambda _: 0.0))
    assert gather(run).series.complete == ()
    assert isinstance(paths_picture(gather(run)), Picture)


def test_paths_need_positions(tmp_path: Path) -> None:
    events = simulate(20, lambda _: 0.9)
    for line in events:
        line["summary"] = {"x_px": 1.0, "contrast": 2.0}
    run = write_run(tmp_path / "run", events)
    assert "two quantities" in str(paths_picture(gather(run)))


def test_the_goal_shows_where_the_place_is_not_known_at_the_start(tmp_path: Path) -> None:
    events = simulate(60, lambda _: 0.9, episodes=1)
    events[0]["summary"] = {"visible": 1.0}
    evidence = gather(write_run(tmp_path / "run", events, command="run"))
    (piece,) = pieces(evidence.series, Interval(after=0, until=len(events), episodes=()))
    assert piece.goal == pytest.approx(GOAL_PX)
