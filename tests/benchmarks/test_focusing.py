import pytest
from benchmarks.focusing import AGENTS, STARTS, Played, play

from stempilot import Episode


def episode(error_nm: float, *, steps: int = 4, success: bool = True) -> Episode:
    return Episode(steps=steps, success=success, reward=0.0, errors={"error_nm": error_nm})


def test_frames_and_errors_are_those_of_successes() -> None:
    found = Played(
        task="stigmator",
        agent="adaptive",
        tolerance_nm=2.0,
        episodes=[episode(1.0), episode(5.0, steps=6), episode(90.0, steps=60, success=False)],
    ).figures()
    assert found["success %"] == pytest.approx(200 / 3)
    assert (found["frames"], found["median"], found["false"]) == (6, 6, 1)
    assert found["rms nm"] == pytest.approx(13**0.5)


def test_every_task_has_starts_and_an_agent() -> None:
    assert set(STARTS) == set(AGENTS)


def test_a_start_is_played_on_frames() -> None:
    found = play("read-aberrations", "", starts=1, seed=3)
    assert found.episodes[0].success
    assert found.figures()["frames"] == 2
