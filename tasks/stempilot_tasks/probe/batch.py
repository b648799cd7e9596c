"""Correcting many instruments at once: the tasks' own functions, over arrays.

What is measured is without frames, by the error model of the instruments. The task's own second
look at a frame that told nothing is left out: there the agent's next action comes in its place.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stempilot import Centre, Task
from stempilot_tasks.probe.seeing import LOST, UNIT_M, exact_changes
from stempilot_tasks.probe.symmetry import Floats, rewards

Arrays = dict[str, npt.NDArray[Any]]
Measured = Mapping[str, npt.NDArray[Any]]
Bools = npt.NDArray[np.bool_]

MEASUREMENTS: Final = ("c1_m", "a1_m")
"""Defocus, (n,) and not negative, and astigmatism, (n, 2); NaN where frames do not tell."""


class CorrectingBatch:
    """`Stigmator` or `StigmateAndFocus` on n episodes at once.

    A state holds ``residual`` (n, entries), ``untold`` (n,) and ``distance`` (n,).

    Args:
        task: the task.
        offset_m: what is subtracted from the last entries of C1, A1x and A1y.
        sign: the sign of C1 and A1 as measured.
    """

    def __init__(self, task: Task[Any, Any], offset_m: tuple[float, ...], sign: float) -> None:
        goal = task.goal
        assert isinstance(goal, Centre)  # noqa: S101 - for the type checker
        self._goal = goal
        self._space: Any = task.observation_space
        self._knobs = task.needs.knobs
        self._offset_m, self._sign = offset_m, sign

    @property
    def measurements(self) -> tuple[str, ...]:
        """Defocus and astigmatism."""
        return MEASUREMENTS

    def initial(self, measured: Measured) -> Arrays:
        """Return the states at the start, beyond the edges where nothing is told."""
        count = len(measured["c1_m"])
        # Each entry's column lies together, for all that is done with it.
        far = np.tile(np.array(self._goal.edges[1], np.float32), (count, 1)).copy("F")
        return self._state({"residual": far, "untold": np.zeros(count, np.int64)}, measured)

    def _state(self, before: Arrays, measured: Measured) -> Arrays:
        told = ~np.isnan(measured["c1_m"])
        untold = np.where(told, 0, before["untold"] + 1)
        lost = untold >= LOST
        residual = np.empty_like(before["residual"])
        columns = (measured["c1_m"], *np.asarray(measured["a1_m"]).T)
        for entry, (column, offset) in enumerate(self._shown(columns)):
            away = (self._sign * column - offset) / UNIT_M
            within = np.minimum(np.maximum(away, self._space.low[entry]), self._space.high[entry])
            stays = np.where(lost, self._goal.edges[1][entry], before["residual"][:, entry])
            residual[:, entry] = np.where(told, within, stays)
        return {"residual": residual, "untold": untold, "distance": _length(residual)}

    def _shown(self, columns: Sequence[Floats]) -> list[tuple[Floats, float]]:
        return list(zip(columns[-len(self._offset_m) :], self._offset_m, strict=True))

    def is_start(self, state: Arrays) -> Bools:
        """Return which frames tell an error within the edges that is not corrected yet."""
        success, failure = self.outcome(state)
        return np.asarray((state["untold"] == 0) & ~success & ~failure)

    def targets(
        self, state: Arrays, actions: npt.NDArray[Any], standing: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return where the knobs stand plus the actions' shares of their largest steps."""
        del state
        shares, plans = np.asarray(actions, dtype=np.float64), {}
        for knob, need in self._knobs.items():
            plans[knob] = standing[knob] + shares[:, : need.size] * np.array(need.largest_step)
            shares = shares[:, need.size :]
        return plans

    def advance(self, state: Arrays, actions: npt.NDArray[Any], measured: Measured) -> Arrays:
        """Return the states after the actions were carried out and measured."""
        del actions
        return self._state(state, measured)

    def observe(self, state: Arrays) -> npt.NDArray[np.float32]:
        """Return the residuals."""
        return state["residual"].copy()

    def outcome(self, state: Arrays) -> tuple[Bools, Bools]:
        """Return which episodes succeed and which fail, (n,) each."""
        residual, told = state["residual"], state["untold"] == 0
        inside = told
        for entry, (lower, upper) in enumerate(zip(*self._goal.edges, strict=True)):
            inside = inside & (lower < residual[:, entry]) & (residual[:, entry] < upper)
        success = told & (state["distance"] <= self._goal.tolerance)
        return success, np.where(told, ~success & ~inside, state["untold"] >= LOST)

    def reward(
        self,
        before: Arrays,
        actions: npt.NDArray[Any],
        after: Arrays,
        *,
        success: Bools,
        failure: Bools,
    ) -> Floats:
        """Return the default rewards, (n,)."""
        del actions
        left = after["distance"]
        return rewards(self._goal, before["distance"], left, success=success, failure=failure)

    def oracle_actions(self, state: Arrays, truth: Mapping[str, Floats]) -> npt.NDArray[Any]:
        """Return the exact corrections, each component limited to a full action."""
        del state
        change = exact_changes(self._away_m(truth), truth, len(self._offset_m))
        steps = [step for need in self._knobs.values() for step in need.largest_step]
        return np.clip(change / steps, -1, 1).astype(np.float32)

    def true_errors(self, state: Arrays, truth: Mapping[str, Floats]) -> Arrays:
        """Return the lengths of the true errors: ``error_nm``."""
        del state
        return {"error_nm": _length(self._away_m(truth)) * 1e9}

    def _away_m(self, truth: Mapping[str, Floats]) -> Floats:
        true = np.concatenate([truth["defocus_m"], truth["astigmatism_m"]], axis=-1)
        return np.asarray(true[..., -len(self._offset_m) :] - self._offset_m)


def _length(residual: npt.NDArray[Any]) -> Floats:
    # A sum over a few columns is much faster than one along a short axis.
    squares = [residual[..., entry].astype(np.float64) ** 2 for entry in range(residual.shape[-1])]
    return np.asarray(np.sqrt(sum(squares)))
