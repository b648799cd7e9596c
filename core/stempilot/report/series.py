"""The events of a run as arrays."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot.contract.goals import Quantity
from stempilot.contract.values import Outcome
from stempilot.report.shown import Shown

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_NOWHERE = (math.nan, math.nan)


@frozen(kw_only=True)
class Track:
    """The rows of one episode in a `Series`; the first row is its reset.

    Attributes:
        first: its first row.
        stop: one after its last row.
        outcome: of its last row.
        truncated: the budget of timesteps ended it.
    """

    first: int
    stop: int
    outcome: str
    truncated: bool

    @property
    def complete(self) -> bool:
        """Whether it came to an end; the last one of an interrupted run often did not."""
        return self.outcome != Outcome.RUNNING.value or self.truncated

    @property
    def success(self) -> bool:
        """Whether the task succeeded."""
        return self.outcome == Outcome.SUCCESS.value

    @property
    def last(self) -> int:
        """Its last row."""
        return self.stop - 1

    @property
    def rows(self) -> slice:
        """All its rows."""
        return slice(self.first, self.stop)


@frozen(kw_only=True, eq=False)
class Series:
    """Everything that happened, one row per reset and timestep.

    What a task does not summarise, or a backend does not tell, is NaN. Where a summary has
    ``d<name>``, that is how far the quantity of this name is from where it should be.

    Attributes:
        shown: which quantities the pictures show.
        number: (n,) number of the episode.
        k: (n,) timestep within the episode, 0 at resets.
        t: (n,) timestep of the run.
        reward: (n,) NaN at resets.
        value: (n,) the main quantity.
        position: (n, 2) the quantities of the plane.
        goal: (n, 2) where they should be.
        true: (n, 2) where they truly are, on a camera.
        pixel_rad: (n,) true angle of a pixel of it.
        actions: n actions as plain JSON values, ``None`` at resets.
        episodes: the rows of each episode.
    """

    shown: Shown
    number: IntArray
    k: IntArray
    t: IntArray
    reward: FloatArray
    value: FloatArray
    position: FloatArray
    goal: FloatArray
    true: FloatArray
    pixel_rad: FloatArray
    actions: tuple[Any, ...]
    episodes: tuple[Track, ...]

    @property
    def complete(self) -> tuple[Track, ...]:
        """The episodes that came to an end."""
        return tuple(episode for episode in self.episodes if episode.complete)

    @property
    def timesteps(self) -> int:
        """The last timestep of the run; 0 without any."""
        return int(self.t.max(initial=0))

    @property
    def has_positions(self) -> bool:
        """Whether the task tells where in its plane it is."""
        return bool(np.isfinite(self.position).all(axis=1).any())

    @property
    def as_in_paper(self) -> bool:
        """Whether the task centres something on a camera, as the paper does."""
        return self.shown.on_camera and self.has_positions

    def ends(self) -> list[int]:
        """Return the timestep of the run at which each complete episode ended."""
        return [int(self.t[episode.last]) for episode in self.complete]

    def steps(self) -> list[int]:
        """Return the number of timesteps of each complete episode."""
        return [int(self.k[episode.last]) for episode in self.complete]

    def rewards(self) -> list[float]:
        """Return the sum of rewards of each complete episode."""
        return [float(np.nansum(self.reward[episode.rows])) for episode in self.complete]


def series(events: Iterable[Mapping[str, Any]], quantities: Sequence[Quantity]) -> Series:
    """Return the events of a run as arrays.

    Args:
        events: what `stempilot.record.recorder.read_events` yields.
        quantities: those of the task.
    """
    shown = Shown.of(quantities)
    rows = [_row(event, shown) for event in events]
    columns = np.array([row.numbers for row in rows], dtype=np.float64).reshape(len(rows), 12)
    return Series(
        shown=shown,
        number=columns[:, 0].astype(np.int64),
        k=columns[:, 1].astype(np.int64),
        t=columns[:, 2].astype(np.int64),
        reward=columns[:, 3],
        value=columns[:, 4],
        position=columns[:, 5:7],
        goal=columns[:, 7:9],
        true=columns[:, 9:11],
        pixel_rad=columns[:, 11],
        actions=tuple(row.action for row in rows),
        episodes=_episodes(rows),
    )


@frozen
class _Row:
    starts: bool
    outcome: str
    truncated: bool
    action: Any
    numbers: tuple[float, ...]


def _row(event: Mapping[str, Any], shown: Shown) -> _Row:
    starts = event["k"] == 0
    summary, truth = event["summary"], event.get("truth")
    truth = truth if isinstance(truth, dict) and shown.on_camera else {}
    places = [quantity.name for quantity in shown.plane or ()]
    position = [as_number(summary.get(name)) for name in places] or _NOWHERE
    offset = [as_number(summary.get(f"d{name}")) for name in places] or _NOWHERE
    numbers = (
        *(float(event[name]) for name in ("e", "k", "t")),
        math.nan if starts else as_number(event["reward"]),
        math.nan if shown.main is None else as_number(summary.get(shown.main.name)),
        *position,
        *(at - away for at, away in zip(position, offset, strict=True)),
        *_components(truth.get("position_px"), 2),
        *_components(truth.get("pixel_rad"), 1),
    )
    action = None if starts else event.get("action")
    return _Row(starts, event["outcome"], event["truncated"], action, numbers)


def _episodes(rows: Sequence[_Row]) -> tuple[Track, ...]:
    starts = [index for index, row in enumerate(rows) if row.starts or index == 0]
    return tuple(
        Track(
            first=first,
            stop=stop,
            outcome=rows[stop - 1].outcome,
            truncated=rows[stop - 1].truncated,
        )
        for first, stop in zip(starts, [*starts[1:], len(rows)], strict=False)
    )


def as_number(value: object) -> float:
    """Return a finite number as it is, and NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    # Beyond this neither an integer nor a plot's axis can be trusted to stay finite.
    return float(value) if abs(value) < 1e30 else math.nan  # noqa: PLR2004


def _components(value: object, size: int) -> tuple[float, ...]:
    if isinstance(value, list) and len(value) == size:
        return tuple(map(as_number, value))
    return (math.nan,) * size
