"""The rate of corrections, and how even it is."""

from itertools import pairwise

import pytest

from stempilot.record.figures import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def paced(*ticks: tuple[int, float]) -> Pace:
    """Return what has seen (timestep, seconds since the one before)."""
    clock = Clock()
    pace = Pace(clock)
    for step, later in ticks:
        clock.now += later
        pace.tick(step)
    return pace


def test_cycles_run_from_observation_to_observation() -> None:
    figures = paced((0, 5.0), (1, 0.2), (2, 0.2), (3, 0.4)).figures()
    assert figures["corrections_per_s"] == pytest.approx(3 / 0.8)
    assert figures["cycle_s_median"] == pytest.approx(0.2)
    assert 0.35 < figures["cycle_s_p95"] < 0.4


def test_the_way_to_a_new_start_is_no_cycle() -> None:
    figures = paced((0, 0.0), (1, 0.2), (0, 9.0), (1, 0.2)).figures()
    assert figures["corrections_per_s"] == pytest.approx(5.0)


def test_a_skipped_cycle_is_left_out() -> None:
    clock = Clock()
    pace = Pace(clock)
    for step, (_, later) in enumerate(pairwise([0, 0.0, 0.1, 0.1, 0.1])):
        clock.now += later
        pace.tick(step)
    pace.skip()
    clock.now += 60
    pace.tick(4)
    clock.now += 0.1
    pace.tick(5)
    assert pace.figures()["corrections_per_s"] == pytest.approx(10.0)


def test_nothing_to_say_without_a_timestep() -> None:
    assert set(paced((0, 1.0)).figures().values()) == {None}
