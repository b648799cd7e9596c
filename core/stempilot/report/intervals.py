"""Stretches of a run: which episodes ended in them and how many succeeded."""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from stempilot.report.series import Series, Track

PAPER_WIDTH = 1000
"""Timesteps of an interval in the paper's figures 3 and 4."""
MOST = 8
_SHORT_WIDTHS = (10, 20, 50, 100, 200, 500, PAPER_WIDTH)
_LONG_ENOUGH = 3 * PAPER_WIDTH


@frozen(kw_only=True)
class Interval:
    """The timesteps after ``after``, up to and including ``until``.

    Attributes:
        after: the last timestep before it.
        until: its last timestep.
        episodes: the complete episodes that ended in it.
    """

    after: int
    until: int
    episodes: tuple[Track, ...]

    @property
    def successes(self) -> int:
        """How many of its episodes succeeded."""
        return sum(episode.success for episode in self.episodes)


def width_for(series: Series) -> int:
    """Return the paper's 1,000 timesteps, or less for a run of fewer than three such intervals."""
    first, last = _span(series)
    if last - first >= _LONG_ENOUGH:
        return PAPER_WIDTH
    return next(
        (width for width in _SHORT_WIDTHS if -(-last // width) - first // width <= MOST),
        PAPER_WIDTH,
    )


def intervals(series: Series, width: int) -> tuple[Interval, ...]:
    """Return all intervals of a run; they begin at multiples of ``width`` timesteps."""
    first, last = _span(series)
    episodes: dict[int, list[Track]] = {}
    for episode in series.complete:
        episodes.setdefault(max(int(series.t[episode.last]) - 1, 0) // width, []).append(episode)
    return tuple(
        Interval(
            after=index * width,
            until=min((index + 1) * width, last),
            episodes=tuple(episodes.get(index, ())),
        )
        for index in range(first // width, -(-last // width))
    )


def whole(series: Series) -> Interval:
    """Return a run as a single interval."""
    return Interval(after=0, until=series.timesteps, episodes=series.complete)


def chosen(found: tuple[Interval, ...], most: int = MOST) -> tuple[Interval, ...]:
    """Return at most ``most`` intervals: the first and last, and more of the early ones.

    Most of what is learned is learned early.
    """
    if len(found) <= most:
        return found
    picks = np.unique(np.geomspace(1, len(found), most).round().astype(int))
    missing = [n for n in range(1, len(found) + 1) if n not in picks][: most - len(picks)]
    return tuple(found[n - 1] for n in sorted([*picks, *missing]))


def _span(series: Series) -> tuple[int, int]:
    """Return the first timestep of a run, counted from 0, and its last, counted from 1."""
    taken = series.t[series.k > 0]
    return (int(taken.min()) - 1, int(taken.max())) if taken.size else (0, 0)


def stretches(series: Series, interval: Interval) -> Iterator[tuple[Track, slice]]:
    """Yield each episode of which something lies in an interval, and the rows of that.

    The first row is the one that the first step left from.
    """
    taken = (series.k > 0) & (series.t > interval.after) & (series.t <= interval.until)
    begun = (series.k == 0) & (series.t >= interval.after)
    begun &= series.t < max(interval.until, interval.after + 1)
    inside = taken | begun
    for episode in series.episodes:
        rows = episode.first + np.flatnonzero(inside[episode.rows])
        if rows.size:
            yield episode, slice(max(int(rows[0]) - 1, episode.first), int(rows[-1]) + 1)
