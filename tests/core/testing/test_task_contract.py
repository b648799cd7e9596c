"""Each check of the tasks' contract fails on a toy that breaks what it is about."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from unittest import SkipTest

import numpy as np
import numpy.typing as npt
import pytest
from attrs import evolve, field, frozen
from gymnasium.spaces import Box
from tests.core.testing.batched_toy import BROKEN_BATCHES, ByRows, SeesItsNeighbour, batched_by

from stempilot.contract.backend import Backend
from stempilot.contract.goals import Centre, Product, Quantity
from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import (
    KnobNeed,
    KnobValue,
    Needs,
    Outcome,
    SetPoint,
    Snapshot,
    Transitions,
)
from stempilot.errors import FrameError
from stempilot.testing import TaskContract, ToyBackend, ToyCentring, run_contract
from stempilot.testing.checks import run_check
from stempilot.testing.toys import ToyMeasured, ToyState

Pixels = npt.NDArray[Any]


class TestToyCentring(TaskContract):
    """The toy keeps its contract, as pytest sees it."""

    def make(self) -> ToyCentring:
        return ToyCentring()

    def make_backend(self) -> Backend:
        return ToyBackend()


class TestDiscreteToyCentring(TestToyCentring):
    """So does its variant with a few moves to choose from."""

    def make(self) -> ToyCentring:
        return ToyCentring("discrete")


class Unbounded(ToyCentring):
    @property
    def needs(self) -> Needs:
        knob = KnobNeed(unit="m", size=2, largest_step=(math.inf, 0.0))
        return evolve(super().needs, knobs={BEAM_SHIFT: knob})


class Misspelt(ToyCentring):
    @property
    def needs(self) -> Needs:
        """The beam shift."""
        return evolve(super().needs, states={"beamBlanker": "open"})


class Undecided(ToyCentring):
    asked = 0

    @property
    def goal(self) -> Centre:
        self.asked += 1
        return evolve(super().goal, tolerance=0.1 + 0.01 * self.asked)


class RemembersFrames(ToyCentring):
    before = 0.0

    def measure(self, snapshot: Snapshot) -> ToyMeasured:
        measured = super().measure(snapshot)
        x, y = measured.offset or (0.0, 0.0)
        before, self.before = self.before, x
        return evolve(measured, offset=((x + before) / 2, y))


class RemembersRewards(ToyCentring):
    best = math.inf

    def reward(self, before: ToyState, action: Any, after: ToyState, outcome: Outcome) -> float:
        self.best = min(self.best, math.hypot(*after.offset))
        return self.best


class ChangesActions(ToyCentring):
    def targets(self, state: ToyState, action: Any, standing: Any) -> tuple[SetPoint, ...]:
        plan = super().targets(state, action, standing)
        action *= 0.5
        return plan


@frozen
class WithPixels(ToyMeasured):
    pixels: Pixels = field(kw_only=True, eq=False)


class MeasuresPixels(ToyCentring):
    def measure(self, snapshot: Snapshot) -> ToyMeasured:
        found = super().measure(snapshot)
        # A small view keeps the whole frame alive.
        view = snapshot.frames["toy_camera"].pixels[:4, :4]
        return WithPixels(offset=found.offset, shift_m=found.shift_m, pixels=view)


@frozen
class WithHistory(ToyState):
    history: tuple[float, ...] = field(kw_only=True, default=(0.0,) * 1000)


class KeepsHistory(ToyCentring):
    def initial(self, measured: ToyMeasured) -> ToyState:
        state = super().initial(measured)
        return WithHistory(offset=state.offset, lost=state.lost, steps=0, target_m=state.target_m)


class NarrowSpace(ToyCentring):
    @property
    def observation_space(self) -> Box:
        return Box(-0.1, 0.1, (2,), dtype=np.float32)


class ObservesDoubles(ToyCentring):
    def observe(self, state: ToyState) -> npt.NDArray[Any]:
        return np.array(state.offset)


class SharedObservation(ToyCentring):
    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[ToyState, npt.NDArray[Any]] = {}

    def observe(self, state: ToyState) -> npt.NDArray[Any]:
        return self._seen.setdefault(state, super().observe(state))


class RelativePlan(ToyCentring):
    def targets(self, state: ToyState, action: Any, standing: Any) -> tuple[SetPoint, ...]:
        return (SetPoint(BEAM_SHIFT, np.asarray(action, dtype=float) * 3.2e-7),)


class LargePlan(ToyCentring):
    def targets(self, state: ToyState, action: Any, standing: Any) -> tuple[SetPoint, ...]:
        return super().targets(state, 1.5 * np.asarray(action, dtype=float), standing)


class SaysBlocked(ToyCentring):
    def outcome(self, state: ToyState) -> Outcome:
        return Outcome.BLOCKED if state.lost else super().outcome(state)


class SeesNumbers(ToyCentring):
    def sees(self, measured: ToyMeasured, source: str) -> bool:
        return cast("bool", np.bool_(measured.offset is not None))


class EndlessReward(ToyCentring):
    def reward(self, before: ToyState, action: Any, after: ToyState, outcome: Outcome) -> float:
        return -math.inf if outcome is Outcome.FAILURE else 0.0


class NoPrice(ToyCentring):
    def reward(self, before: ToyState, action: Any, after: ToyState, outcome: Outcome) -> float:
        return math.nan if outcome is Outcome.BLOCKED else 0.0


class SummaryOfNan(ToyCentring):
    def summary(self, state: ToyState) -> dict[str, float]:
        return {"distance_px": math.nan if state.lost else 0.0}


class OwnScramble(ToyCentring):
    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        return super().scramble(home, np.random.default_rng())


class ScrambleAboutZero(ToyCentring):
    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        return super().scramble({BEAM_SHIFT: (0.0, 0.0)}, rng)


class GoalBeyond(ToyCentring):
    @property
    def goal(self) -> Centre:
        return evolve(super().goal, residual=(1, 2))


class OtherTolerance(ToyCentring):
    @property
    def goal(self) -> Centre:
        return evolve(super().goal, tolerance=0.01)


class UnknownQuantity(ToyCentring):
    quantities = (Quantity(name="colour"),)


class UnsureProduct(ToyCentring):
    def products(self, state: ToyState) -> Mapping[str, Product]:
        return {"offset": Product(value=state.offset[0], unit="1", uncertainty=-1.0)}


class LeapsItself(ToyCentring):
    """Moves twice its largest step by itself, once."""

    def own_moves(self, state: ToyState, standing: Any) -> tuple[SetPoint, ...] | None:
        if state.steps:
            return None
        return (SetPoint(BEAM_SHIFT, np.array(standing[BEAM_SHIFT]) + 6.4e-7),)

    def targets(self, state: ToyState, action: Any, standing: Any) -> tuple[SetPoint, ...]:
        if action is None:
            action = np.zeros(2)
        return super().targets(state, action, standing)

    def advance(self, state: ToyState, action: Any, measured: ToyMeasured) -> ToyState:
        return super().advance(state, np.zeros(2) if action is None else action, measured)


class NoGoal(ToyCentring):
    def marks(self, state: ToyState) -> dict[str, tuple[float, float]]:
        return {"found": (0.0, 0.0)}


class OverdoneOracle(ToyCentring):
    def oracle_action(self, state: ToyState, truth: Mapping[str, KnobValue]) -> Any:
        return 2 * super().oracle_action(state, truth)


class Movable(ToyCentring):
    """The dot on the ``toy_camera``, which moves in the same way wherever it is."""

    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        start = rng.uniform(-0.7, 0.7, batch.observations.shape).astype(np.float32)
        end = start + (batch.next_observations - batch.observations)
        away, left = np.linalg.norm(start, axis=1), np.linalg.norm(end, axis=1)
        can = ~batch.terminated & (away > 0.1) & (np.abs(end) < (1.0, 0.75)).all(axis=1)
        return self.where(can, batch, start, end, np.where(left <= 0.1, 10.0, away - left))

    def where(self, can: Any, batch: Transitions, start: Any, end: Any, reward: Any) -> Transitions:
        rows = can[:, np.newaxis]
        return evolve(
            batch,
            observations=np.where(rows, start, batch.observations),
            next_observations=np.where(rows, end, batch.next_observations),
            rewards=np.where(can, reward, batch.rewards),
            terminated=np.where(can, reward == 10.0, batch.terminated),
        )


class TestMovableToyCentring(TestToyCentring):
    """So does the one that declares a symmetry."""

    def make(self) -> ToyCentring:
        return Movable()


class MovesInPlace(Movable):
    def where(self, can: Any, batch: Transitions, start: Any, end: Any, reward: Any) -> Transitions:
        batch.observations[can] = start[can]
        return batch


class MovesByItself(Movable):
    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        return super().relabel(batch, np.random.default_rng())


class NeverMoves(Movable):
    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        return batch


class LeavesRowsOut(Movable):
    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        found = super().relabel(batch, rng)
        return evolve(found, rewards=found.rewards[1:])


class AddsARow(Movable):
    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        found = super().relabel(batch, rng)
        return found if len(found) else evolve(found, rewards=np.zeros(1))


class NarrowRewards(Movable):
    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        found = super().relabel(batch, rng)
        return evolve(found, rewards=found.rewards.astype(np.float32))


class TurnsActions(Movable):
    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        found = super().relabel(batch, rng)
        return evolve(found, actions=-found.actions)


class MovesOutside(Movable):
    def where(self, can: Any, batch: Transitions, start: Any, end: Any, reward: Any) -> Transitions:
        return super().where(can, batch, start, end + np.float32(2), reward)


class EndlessElsewhere(Movable):
    def where(self, can: Any, batch: Transitions, start: Any, end: Any, reward: Any) -> Transitions:
        return super().where(can, batch, start, end, reward + math.inf)


class BothEnds(Movable):
    def where(self, can: Any, batch: Transitions, start: Any, end: Any, reward: Any) -> Transitions:
        found = super().where(can, batch, start, end, reward)
        return evolve(found, truncated=found.terminated.copy())


class ForgetsEnds(Movable):
    def where(self, can: Any, batch: Transitions, start: Any, end: Any, reward: Any) -> Transitions:
        found = super().where(can, batch, start, end, reward)
        return evolve(found, terminated=found.terminated & can)


class StartsAtTheGoal(Movable):
    def where(self, can: Any, batch: Transitions, start: Any, end: Any, reward: Any) -> Transitions:
        return super().where(can, batch, np.float32(0.01) * start, end, reward)


class GoesOnAtTheGoal(Movable):
    def where(self, can: Any, batch: Transitions, start: Any, end: Any, reward: Any) -> Transitions:
        return super().where(can, batch, start, np.float32(0.01) * end, np.minimum(reward, 9.0))


class RaisesOnFailure(ToyCentring):
    def advance(self, state: ToyState, action: Any, measured: ToyMeasured) -> ToyState:
        if state.steps == 1:
            raise ZeroDivisionError("steps")
        return super().advance(state, action, measured)


class EpisodesDiffer(ToyCentring):
    played = 0

    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        return super().scramble(home, rng)

    def initial(self, measured: ToyMeasured) -> ToyState:
        EpisodesDiffer.played += 1
        return evolve(super().initial(measured), steps=EpisodesDiffer.played)


BROKEN: dict[str, Callable[[], ToyCentring]] = {
    "needs_can_be_understood": Unbounded,
    "names_are_shared_or_documented": Misspelt,
    "what_it_declares_never_changes": Undecided,
    "measuring_is_pure": RemembersFrames,
    "functions_are_pure": RemembersRewards,
    "measurements_hold_no_pixels": MeasuresPixels,
    "states_hold_no_pixels": KeepsHistory,
    "observations_are_inside_their_space": NarrowSpace,
    "observations_are_nobody_elses": SharedObservation,
    "targets_are_absolute_and_small": RelativePlan,
    "outcomes_are_verdicts": SaysBlocked,
    "questions_are_answered_by_bools": SeesNumbers,
    "rewards_are_finite": EndlessReward,
    "refused_plans_are_priced": NoPrice,
    "summaries_are_finite": SummaryOfNan,
    "scramble_comes_from_the_generator": OwnScramble,
    "scramble_is_around_home": ScrambleAboutZero,
    "goal_fits_the_observation": GoalBeyond,
    "goal_agrees_with_the_outcome": OtherTolerance,
    "quantities_are_in_the_summary": UnknownQuantity,
    "products_are_numbers_with_an_uncertainty": UnsureProduct,
    "its_own_moves_are_small_and_end": LeapsItself,
    "marks_are_points_of_the_frame": NoGoal,
    "oracle_acts_inside_the_action_space": OverdoneOracle,
    "symmetry_gives_possible_transitions": GoesOnAtTheGoal,
    "many_episodes_are_each_its_own": batched_by(SeesItsNeighbour),
    "episodes_run_in_the_framework": RaisesOnFailure,
    "episodes_repeat_with_their_seed": EpisodesDiffer,
}


ASYMMETRIC = [
    (MovesInPlace, "relabel() leaves its batch as it was"),
    (MovesByItself, "relabel() draws from the generator alone"),
    (NeverMoves, "relabel() draws from the generator; found: the same again"),
    (LeavesRowsOut, "rewards are"),
    (AddsARow, "no transitions give none"),
    (NarrowRewards, "float32"),
    (TurnsActions, "actions stay as they are"),
    (MovesOutside, "next_observations are in Box"),
    (EndlessElsewhere, "rewards are finite"),
    (BothEnds, "what is terminated is not truncated too"),
    (ForgetsEnds, "rows that are not moved are returned as they are"),
    (StartsAtTheGoal, "none begins within the tolerance"),
    (GoesOnAtTheGoal, "what comes within the tolerance is terminated"),
]


def suite_of(make_task: Callable[[], ToyCentring]) -> type[TaskContract]:
    class Suite(TaskContract):
        def make(self) -> ToyCentring:
            return make_task()

        def make_backend(self) -> Backend:
            return ToyBackend()

    return Suite


@pytest.mark.parametrize("name", TaskContract.checks())
def test_check_fails_on_a_task_that_breaks_it(name: str) -> None:
    result = run_check(suite_of(BROKEN[name.removeprefix("test_")]), name)
    assert not result.passed
    assert result.message.startswith("the contract says: ")
    assert not result.message.endswith("found: ")


@pytest.mark.parametrize(
    ("task", "check", "found"),
    [
        (LargePlan, "targets_are_absolute_and_small", "from the read-back"),
        (ChangesActions, "functions_are_pure", "targets() leaves its inputs as they were"),
        (ObservesDoubles, "observations_are_inside_their_space", "float64"),
        (Misspelt, "names_are_shared_or_documented", "is spelt 'beam_blanker' by everybody else"),
        *((task, "symmetry_gives_possible_transitions", found) for task, found in ASYMMETRIC),
    ],
)
def test_message_says_what_is_wrong(
    task: Callable[[], ToyCentring], check: str, found: str
) -> None:
    assert found in run_check(suite_of(task), f"test_{check}").message


@pytest.mark.parametrize(("kind", "found"), BROKEN_BATCHES)
def test_message_says_what_is_wrong_with_a_batch(kind: type[ByRows], found: str) -> None:
    result = run_check(suite_of(batched_by(kind)), "test_many_episodes_are_each_its_own")
    assert found in result.message


def test_a_batch_that_goes_by_rows_keeps_the_contract() -> None:
    result = run_check(suite_of(batched_by(ByRows)), "test_many_episodes_are_each_its_own")
    assert result.passed, result.message
    assert result.applies


def test_a_task_may_say_that_it_cannot_tell() -> None:
    class Torn(ToyCentring):
        def outcome(self, state: ToyState) -> Outcome:
            return Outcome.AMBIGUOUS if state.lost else super().outcome(state)

    assert run_check(suite_of(Torn), "test_outcomes_are_verdicts").passed


def test_undocumented_name_is_found() -> None:
    class Undocumented(ToyCentring):
        """Bring the dot to the centre."""

        @property
        def needs(self) -> Needs:
            """The beam shift."""
            return super().needs

    message = run_check(suite_of(Undocumented), "test_names_are_shared_or_documented").message
    assert "'toy_camera' is neither shared" in message


def test_optional_protocols_are_left_out_where_they_are_not_offered() -> None:
    class Plain(ToyCentring):
        marks = oracle_action = None  # type: ignore[assignment]

        @property
        def goal(self) -> Centre:
            return cast("Centre", None)

    results = run_contract(suite_of(Plain))
    assert all(result.passed for result in results)
    assert {result.check for result in results if not result.applies} == {
        "goal_fits_the_observation",
        "goal_agrees_with_the_outcome",
        "its_own_moves_are_small_and_end",
        "marks_are_points_of_the_frame",
        "oracle_acts_inside_the_action_space",
        "symmetry_gives_possible_transitions",
        "many_episodes_are_each_its_own",
    }


def test_recorded_snapshots_do_without_a_backend() -> None:
    class Recorded(TaskContract):
        def make(self) -> ToyCentring:
            return ToyCentring()

        def make_backend(self) -> Backend:
            raise SkipTest("recorded frames only")

        def snapshots(self, rng: np.random.Generator) -> Sequence[Snapshot]:
            return suite_of(ToyCentring)().snapshots(rng)

    results = run_contract(Recorded)
    assert all(result.passed for result in results)
    assert {result.check for result in results if not result.applies} == {
        "goal_agrees_with_the_outcome",
        "products_are_numbers_with_an_uncertainty",
        "its_own_moves_are_small_and_end",
        "oracle_acts_inside_the_action_space",
        "symmetry_gives_possible_transitions",
        "many_episodes_are_each_its_own",
        "episodes_run_in_the_framework",
        "episodes_repeat_with_their_seed",
    }


def test_task_that_can_measure_nothing_fails() -> None:
    class Blind(ToyCentring):
        def measure(self, snapshot: Snapshot) -> ToyMeasured:
            raise FrameError("too dark")

    message = run_check(suite_of(Blind), "test_rewards_are_finite").message
    assert "too dark" in message


def test_backend_that_does_not_fit_is_named() -> None:
    class Elsewhere(ToyCentring):
        @property
        def needs(self) -> Needs:
            return evolve(super().needs, sources=("flucam",))

    message = run_check(suite_of(Elsewhere), "test_rewards_are_finite").message
    assert "needs source flucam" in message
