import numpy as np
import pytest
from tests.core.report.toy import event, simulate

from stempilot.record.quantities import UNDECLARED
from stempilot.report.intervals import Interval, chosen, intervals, whole, width_for
from stempilot.report.paths import pieces
from stempilot.report.series import series


def test_successes_are_those_counted_by_hand() -> None:
    """Episodes end at 10 (success), 20 (failure), 21 (success) and 45 (success)."""
    events = []
    ends = {0: (10, "success"), 1: (20, "failure"), 2: (21, "success"), 3: (45, "success")}
    t = 0
    for number, (end, outcome) in ends.items():
        events.append(event(number, 0, t, (100, 100)))
        for k in range(1, end - t + 1):
            last = t + k == end
            events.append(
                event(
                    number, k, t + k, (90, 90), reward=0.0, outcome=outcome if last else "running"
                )
            )
        t = end
    found = intervals(series(events, UNDECLARED), 20)
    assert [(i.after, i.until) for i in found] == [(0, 20), (20, 40), (40, 45)]
    assert [(i.successes, len(i.episodes)) for i in found] == [(1, 2), (1, 1), (1, 1)]


def test_intervals_hold_each_episode_once() -> None:
    found = series(simulate(2500, lambda t: t / 2500, seed=5), UNDECLARED)
    episodes = [episode for interval in intervals(found, 1000) for episode in interval.episodes]
    assert episodes == list(found.complete)


def test_pieces_hold_each_timestep_once() -> None:
    found = series(simulate(900, lambda t: t / 900, seed=5), UNDECLARED)
    steps = [len(piece.path) - 1 for part in intervals(found, 100) for piece in pieces(found, part)]
    assert sum(steps) == 900


def test_pieces_of_a_broken_episode_join() -> None:
    events = [event(0, 0, 0, (0, 0))]
    events += [event(0, k, k, (k, 2 * k), reward=0.0) for k in range(1, 21)]
    found = series(events, UNDECLARED)
    (first,), (second,) = (pieces(found, part) for part in intervals(found, 10))
    np.testing.assert_array_equal(first.path[-1], second.path[0])
    assert first.from_start
    assert not second.from_start


def test_an_episode_that_starts_at_its_end_is_still_a_place() -> None:
    found = series([event(0, 0, 0, (16, 32), outcome="success")], UNDECLARED)
    (piece,) = pieces(found, whole(found))
    np.testing.assert_array_equal(piece.path, [[16, 32]])


@pytest.mark.parametrize(("timesteps", "width"), [(80, 10), (100, 20), (2999, 500), (3000, 1000)])
def test_long_runs_use_the_paper_s_width(timesteps: int, width: int) -> None:
    events = [event(0, 0, 0, (9, 9)), event(0, timesteps, timesteps, (9, 9), reward=0.0)]
    events.insert(1, event(0, 1, 1, (9, 9), reward=0.0))
    assert width_for(series(events, UNDECLARED)) == width


def test_at_most_eight_are_chosen_with_first_and_last() -> None:
    found = tuple(Interval(after=n * 1000, until=n * 1000 + 1000, episodes=()) for n in range(20))
    picked = chosen(found)
    assert len(picked) == 8
    assert picked[:3] == found[:3]
    assert picked[-1] == found[-1]
    assert list(picked) == sorted(picked, key=lambda interval: interval.after)
