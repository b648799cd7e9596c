from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.core.report.toy import GOAL_PX, PIXEL_RAD, event, simulate, write_run

from stempilot.report.accuracy import accuracy_picture, rms
from stempilot.report.loading import gather
from stempilot.report.style import Picture


def ending_at(folder: Path, offsets_px: list[tuple[float, float]], **options: Any) -> Path:
    """Write an evaluation whose episodes succeed at these true offsets, and one that fails."""
    events = []
    for number, (dx, dy) in enumerate(offsets_px):
        events.append(event(number, 0, number, (100, 100), **options))
        place = (GOAL_PX[0] + dx - 0.5, GOAL_PX[1] + dy)
        last = event(
            number,
            1,
            number + 1,
            place,
            reward=100.0,
            outcome="success",
            error_px=(0.5, 0.0),
            **options,
        )
        events.append(last)
    events.append(event(99, 0, len(offsets_px), (500, 500), **options))
    lost = event(
        99, 1, len(offsets_px) + 1, (519, 519), reward=-100.0, outcome="failure", **options
    )
    return write_run(folder, [*events, lost], command="run", episodes=len(offsets_px) + 1)


def test_errors_are_true_offsets_of_successes(tmp_path: Path) -> None:
    run = ending_at(tmp_path / "run", [(3.0, 4.0), (0.0, 1.0)])
    errors = gather(run).errors()
    np.testing.assert_allclose(errors.px, [5.0, 1.0])
    np.testing.assert_allclose(errors.mrad, np.array([5.0, 1.0]) * PIXEL_RAD * 1e3)
    np.testing.assert_allclose(errors.measured, [np.hypot(2.5, 4.0), np.hypot(0.5, 1.0)])


def test_root_mean_square() -> None:
    assert rms(np.array([3.0, 4.0, np.nan])) == pytest.approx(np.sqrt(12.5))
    assert rms(np.array([np.nan])) is None


def test_the_caption_quotes_px_and_mrad(tmp_path: Path) -> None:
    picture = accuracy_picture(gather(ending_at(tmp_path / "run", [(3.0, 4.0), (0.0, 5.0)])))
    assert isinstance(picture, Picture)
    assert "5 px RMS" in picture.caption
    assert "2.82 mrad RMS" in picture.caption
    assert "2 successful of 3" in picture.caption


def test_without_truth_errors_are_as_measured(tmp_path: Path) -> None:
    run = ending_at(tmp_path / "run", [(3.0, 4.0), (0.0, 5.0)], truth=False)
    picture = accuracy_picture(gather(run))
    assert isinstance(picture, Picture)
    assert "as measured" in picture.caption


def test_errors_of_pixels_of_different_angle_have_no_common_axis(tmp_path: Path) -> None:
    events = simulate(10_000, lambda _: 0.97, episodes=6)
    pictures = []
    for varied in (False, True):
        for line in events:
            if varied:
                line["truth"]["pixel_rad"] = [PIXEL_RAD * (1 + line["e"])]
        run = write_run(tmp_path / str(varied), events, command="run", episodes=6)
        pictures.append(accuracy_picture(gather(run)))
    first, second = (p.content for p in pictures if isinstance(p, Picture))
    assert first != second


def test_a_distance_alone_is_enough_for_a_histogram(tmp_path: Path) -> None:
    events = simulate(10_000, lambda _: 0.97, episodes=6, truth=False)
    for line in events:
        line["summary"] = {"distance_px": line["summary"]["distance_px"]}
    run = write_run(tmp_path / "run", events, command="run", episodes=6)
    assert isinstance(accuracy_picture(gather(run)), Picture)


def test_zero_errors_are_drawn(tmp_path: Path) -> None:
    run = ending_at(tmp_path / "run", [(0.0, 0.0), (0.0, 0.0)])
    assert isinstance(accuracy_picture(gather(run)), Picture)


def test_fewer_than_two_successes_are_left_out(tmp_path: Path) -> None:
    run = ending_at(tmp_path / "run", [(3.0, 4.0)])
    assert "fewer than two" in str(accuracy_picture(gather(run)))
