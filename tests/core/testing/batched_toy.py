"""A toy task that takes many episodes at once, one after the other, and its broken brothers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.task import Arrays
from stempilot.contract.values import Outcome
from stempilot.testing.toys import ToyCentring, ToyMeasured, ToyState

Measured = Mapping[str, npt.NDArray[Any]]
FIELDS = ("offset", "lost", "steps", "target_m")


def rows_of(measured: Measured) -> list[ToyMeasured]:
    pairs = zip(measured["offset"], measured[BEAM_SHIFT], strict=True)
    return [
        ToyMeasured(
            offset=None if np.isnan(offset[0]) else tuple(offset.tolist()),
            shift_m=tuple(shift.tolist()),
        )
        for offset, shift in pairs
    ]


def joined(states: list[ToyState]) -> Arrays:
    return {name: np.array([getattr(state, name) for state in states]) for name in FIELDS}


def parted(state: Arrays) -> list[ToyState]:
    rows = zip(*(state[name].tolist() for name in FIELDS), strict=True)
    return [
        ToyState(offset=tuple(offset), lost=lost, steps=steps, target_m=tuple(target))
        for offset, lost, steps, target in rows
    ]


class ByRows:
    """The toy task's own functions, called for each row."""

    measurements: tuple[str, ...] = ("offset",)

    def __init__(self, task: ToyCentring) -> None:
        self.task = task

    def initial(self, measured: Measured) -> Arrays:
        return joined([self.task.initial(one) for one in rows_of(measured)])

    def is_start(self, state: Arrays) -> npt.NDArray[np.bool_]:
        return np.array([self.task.is_start(one) for one in parted(state)])

    def targets(
        self, state: Arrays, actions: npt.NDArray[Any], standing: Any
    ) -> dict[str, npt.NDArray[np.float64]]:
        pairs = zip(parted(state), actions, strict=True)
        return {BEAM_SHIFT: np.array([self.task.targets(*pair, {})[0].value for pair in pairs])}

    def advance(self, state: Arrays, actions: npt.NDArray[Any], measured: Measured) -> Arrays:
        rows = zip(parted(state), actions, rows_of(measured), strict=True)
        return joined([self.task.advance(*row) for row in rows])

    def observe(self, state: Arrays) -> npt.NDArray[Any]:
        return np.array([self.task.observe(one) for one in parted(state)])

    def outcome(self, state: Arrays) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        outcomes = [self.task.outcome(one) for one in parted(state)]
        return (
            np.array([one is Outcome.SUCCESS for one in outcomes]),
            np.array([one is Outcome.FAILURE for one in outcomes]),
        )

    def reward(
        self, before: Arrays, actions: Any, after: Arrays, *, success: Any, failure: Any
    ) -> npt.NDArray[np.float64]:
        verdicts = np.where(success, 0, np.where(failure, 1, 2)).tolist()
        outcomes = [(Outcome.SUCCESS, Outcome.FAILURE, Outcome.RUNNING)[one] for one in verdicts]
        rows = zip(parted(before), actions, parted(after), outcomes, strict=True)
        return np.array([self.task.reward(*row) for row in rows])


class OtherNames(ByRows):
    measurements = ("offset", "colour")


class LosesARow(ByRows):
    def initial(self, measured: Measured) -> Arrays:
        state = super().initial(measured)
        return state | {"lost": state["lost"][1:]}


class SeesItsNeighbour(ByRows):
    def observe(self, state: Arrays) -> npt.NDArray[Any]:
        return np.roll(super().observe(state), 1, axis=0)


class SeesDoubles(ByRows):
    def observe(self, state: Arrays) -> npt.NDArray[Any]:
        return super().observe(state).astype(float)


class NeverFails(ByRows):
    def outcome(self, state: Arrays) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        success, failure = super().outcome(state)
        return success ^ True, failure


class StartsAnywhere(ByRows):
    def is_start(self, state: Arrays) -> npt.NDArray[np.bool_]:
        return super().is_start(state) ^ True


class MovesFarther(ByRows):
    def targets(
        self, state: Arrays, actions: npt.NDArray[Any], standing: Any
    ) -> dict[str, npt.NDArray[np.float64]]:
        return {BEAM_SHIFT: super().targets(state, actions, standing)[BEAM_SHIFT] + 1e-8}


class MovesNothing(ByRows):
    def targets(
        self, state: Arrays, actions: npt.NDArray[Any], standing: Any
    ) -> dict[str, npt.NDArray[np.float64]]:
        return {}


class PlansInPlace(ByRows):
    def targets(
        self, state: Arrays, actions: npt.NDArray[Any], standing: Any
    ) -> dict[str, npt.NDArray[np.float64]]:
        found = super().targets(state, actions, standing)
        state["target_m"][:] = found[BEAM_SHIFT]
        return found


class AdvancesInPlace(ByRows):
    def advance(self, state: Arrays, actions: npt.NDArray[Any], measured: Measured) -> Arrays:
        found = super().advance(state, actions, measured)
        state["steps"] += 1
        return found


class PaysDouble(ByRows):
    def reward(self, *args: Any, **verdicts: Any) -> npt.NDArray[np.float64]:
        return 2.0 * super().reward(*args, **verdicts)


class RefusesForFree(ByRows):
    def reward(
        self, before: Arrays, actions: Any, after: Arrays, *, success: Any, failure: Any
    ) -> npt.NDArray[np.float64]:
        found = super().reward(before, actions, after, success=success, failure=failure)
        return 0.0 * found if before is after else found


BROKEN_BATCHES: list[tuple[type[ByRows], str]] = [
    (OtherNames, "no colour"),
    (LosesARow, "rows"),
    (SeesItsNeighbour, "observe() is"),
    (SeesDoubles, "observations are float32"),
    (NeverFails, "outcome() says who succeeds"),
    (StartsAnywhere, "is_start() is"),
    (MovesFarther, "targets() moves beam_shift to"),
    (MovesNothing, "targets() moves beam_shift"),
    (PlansInPlace, "targets() leaves its inputs as they were"),
    (AdvancesInPlace, "advance() leaves its inputs as they were"),
    (PaysDouble, "reward() is"),
    (RefusesForFree, "reward() of a refused plan is"),
]


def batched_by(kind: type[ByRows]) -> Callable[[], ToyCentring]:
    """Return what makes toy tasks whose batches are of that kind."""

    class Many(ToyCentring):
        def batched(self) -> ByRows:
            return kind(self)

    return Many
