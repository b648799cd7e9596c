"""What a run shows of its progress."""

from collections import deque
from collections.abc import Callable

from attrs import frozen

from stempilot.contract.values import Outcome, Snapshot
from stempilot.operation.timestep import Timestep
from stempilot.record.figures import PAPER_WINDOW, Pace, Smoothed
from stempilot.record.recorder import RunRecorder


@frozen(kw_only=True)
class Progress:
    """How far a long job is.

    Attributes:
        done: timesteps or episodes done.
        total: how many there will be.
        reward: mean reward of the last episodes; ``None`` before the first has ended.
        success_rate: of the last episodes.
        note: what else is worth showing, for example ``evaluating``.
    """

    done: int
    total: int
    reward: float | None = None
    success_rate: float | None = None
    note: str = ""


OnProgress = Callable[[Progress], None]


class RecentEpisodes:
    """Recorder that passes everything on and keeps count of the last 25 episodes.

    Attributes:
        pace: how fast timesteps follow each other.
        above_zero: how many episodes in a row ended with a smoothed reward above zero, the paper's
            own measure of convergence.
    """

    def __init__(self, recorder: RunRecorder) -> None:
        self.pace = Pace()
        self.above_zero = 0
        self._recorder = recorder
        self._reward = 0.0
        self._smoothed = Smoothed()
        self._ended: deque[tuple[float, bool]] = deque(maxlen=PAPER_WINDOW)

    def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
        """Take one timestep; those of relearning in a run are recorded and not counted."""
        self._recorder.record(step, snapshot)
        if self._recorder.phase:
            self.pace.skip()
            return
        self.pace.tick(step.step)
        self._reward = step.reward if step.step <= 1 else self._reward + step.reward
        if step.ended and not step.budget_spent:
            self._ended.append((self._reward, step.outcome is Outcome.SUCCESS))
            self.above_zero = self.above_zero + 1 if self._smoothed(self._reward) > 0 else 0

    def progress(self, done: int, total: int, note: str = "") -> Progress:
        """Return where the job stands."""
        count = len(self._ended)
        return Progress(
            done=done,
            total=total,
            reward=sum(reward for reward, _ in self._ended) / count if count else None,
            success_rate=sum(success for _, success in self._ended) / count if count else None,
            note=note,
        )
