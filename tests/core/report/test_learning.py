from pathlib import Path

import pytest
from tests.core.report.toy import event, record, simulate, write_run

from stempilot.record.figures import smoothed
from stempilot.report.learning import approach_picture, convergence, learning_picture, steps_picture
from stempilot.report.loading import gather
from stempilot.report.style import Picture, new_figure


def content(drawn: Picture | str) -> bytes:
    assert isinstance(drawn, Picture), drawn
    return drawn.content


def test_the_weighted_average_is_that_of_25_points() -> None:
    """Two points: weights 1 and 24/26, normalised by their sum."""
    first, second = smoothed([10.0, 36.0])
    assert first == pytest.approx(10.0)
    assert second == pytest.approx((24 / 26 * 10 + 36) / (24 / 26 + 1))


def test_the_curves_show_the_data(tmp_path: Path) -> None:
    drawn = []
    for seed, timesteps in ((1, 200), (2, 200), (1, 150)):
        folder = tmp_path / f"{seed}-{timesteps}"
        run = write_run(folder, simulate(timesteps, lambda _: 0.9, seed=seed))
        drawn.append(content(learning_picture(gather(run))))
    assert len(set(drawn)) == 3
    assert all(len(png) > 10_000 for png in drawn)


def test_a_run_without_a_result_still_has_its_convergence(tmp_path: Path) -> None:
    events = [event(0, 0, 0, (50, 50)), event(0, 1, 1, (20, 30), reward=100.0, outcome="success")]
    passed = [
        {"timestep": 10, "episodes": 5, "successes": 0},
        {"timestep": 20, "episodes": 100, "successes": 96},
        {"timestep": 30, "episodes": 100, "successes": 100},
    ]
    run = write_run(tmp_path / "run", events, evaluations=passed, status="failed")
    assert convergence(gather(run)) == (20, 1)


def test_the_result_says_when_it_converged(tmp_path: Path) -> None:
    events = simulate(100, lambda _: 0.9)
    result = {"converged_at": None, "reward_converged_at": 77}
    run = write_run(tmp_path / "run", events, result=result)
    assert convergence(gather(run)) == (None, 77)


def test_without_a_complete_episode_there_are_no_curves(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", simulate(3, lambda _: 0.0))
    assert "no episode was completed" in str(learning_picture(gather(run)))


def test_steps_are_drawn_with_oracle_and_paper(tmp_path: Path) -> None:
    events = simulate(10_000, lambda _: 0.97, episodes=8)
    drawn = []
    for name, result in (("with", {"oracle_steps_mean": 7.5}), ("without", {"a": 1})):
        run = write_run(tmp_path / name, events, result=result, command="run", episodes=8)
        drawn.append(content(steps_picture(gather(run))))
    assert drawn[0] != drawn[1]


def test_steps_of_failures_are_not_drawn(tmp_path: Path) -> None:
    events = [event(0, 0, 0, (50, 50)), event(0, 1, 1, (600, 0), reward=-100.0, outcome="failure")]
    run = write_run(tmp_path / "run", events, command="run", episodes=1)
    assert "no episode succeeded" in str(steps_picture(gather(run)))


def test_a_single_run_is_drawn_step_by_step(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", simulate(999, lambda _: 0.9, episodes=1), command="run")
    assert len(content(approach_picture(gather(run)))) > 10_000


def test_a_run_that_took_no_step_has_no_approach(tmp_path: Path) -> None:
    events = [event(0, 0, 0, (16, 32), outcome="success")]
    run = write_run(tmp_path / "run", events, command="run")
    assert "no timestep was taken" in str(approach_picture(gather(run)))


def test_figures_leave_matplotlib_as_it_was() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    new_figure(2).subplots()
    assert dict(mpl.rcParams) == before


def test_toy_records_are_valid(tmp_path: Path) -> None:
    assert gather(write_run(tmp_path / "run", [])).record.task == record()["task"]
