"""The places that an environment remembers: what starts are drawn around, and the best one."""

from collections.abc import Iterator, Mapping

from attrs import evolve, frozen

from stempilot.contract.values import KnobValue
from stempilot.errors import StartError

MAX_STARTS = 100
"""How often a start that the task refuses is drawn again before giving up on a place."""

Place = Mapping[str, KnobValue]


class Starts:
    """Home, and on an instrument that drifts the place of a later success.

    Starts are drawn around one place until all of them there are refused, then around that of the
    last success.

    Args:
        home: where the knobs stood when the environment was made.
        moves: whether another place than home may be taken. It may not where each episode has an
            instrument of its own, which has not drifted.

    Attributes:
        home: where the knobs stood when the environment was made.
        around: the place that the last start was drawn around.
        found: the place of the last success.
    """

    def __init__(self, home: Place, *, moves: bool) -> None:
        self.home = self.around = self.found = dict(home)
        self._moves = moves

    def succeeded(self, place: Place) -> None:
        """Remember where the task has succeeded."""
        if self._moves:
            self.found = dict(place)

    def attempts(self) -> Iterator[tuple[int, Place]]:
        """Yield a number and the place to draw around, `MAX_STARTS` times for each place."""
        places = [self.around] if self.found == self.around else [self.around, self.found]
        for turn, place in enumerate(places):
            self.around = dict(place)
            for attempt in range(MAX_STARTS):
                yield turn * MAX_STARTS + attempt, self.around


@frozen(kw_only=True)
class Best:
    """The best place that an episode visited, and what its start had."""

    first: float
    value: float
    place: Place


def better(best: Best | None, value: float, place: Place) -> Best:
    """Return the better one of the best place so far and another."""
    if best is None:
        return Best(first=value, value=value, place=place)
    return evolve(best, value=value, place=place) if value > best.value else best


def no_start(last: str | None, attempts: int) -> StartError:
    """Return the error for a task that refuses every start, with what it says of the last one."""
    return StartError(
        f"no state to start from in {attempts} attempts: the task sees nothing in the frames, its "
        "starting range is too narrow or already at the goal, or the instrument has drifted; then "
        "bring it near the goal by hand" + (f"; at last: {last}" if last else "")
    )
