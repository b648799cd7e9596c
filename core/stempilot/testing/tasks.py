"""The contract of every task. Subclass `TaskContract`; say how yours is made and what it fits."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from stempilot.contract.backend import Backend
from stempilot.contract.goals import Centre, Quantity
from stempilot.contract.task import Batchable, Drawable, Reading, Symmetric, Task
from stempilot.contract.values import KnobValue, Outcome, SetPoint, Snapshot
from stempilot.errors import FrameError
from stempilot.testing.batches import Look, check_batch
from stempilot.testing.contract import Contract, does_not_apply, expect, is_tuple_of
from stempilot.testing.fingerprint import fingerprint
from stempilot.testing.needs import knob_problems, name_problems
from stempilot.testing.played import Played, play, play_oracle
from stempilot.testing.promises import check_centre, check_targets, expect_few, expect_number
from stempilot.testing.purity import calls_of, expect_pure
from stempilot.testing.snapshots import draw_snapshots
from stempilot.testing.symmetry import batch_of, check_symmetry

_ENDS = {Outcome.SUCCESS, Outcome.FAILURE, Outcome.AMBIGUOUS}
AnyTask = Task[Any, Any]
Transition = tuple[Any, Any, Any, Any]
"""State before, action, what was measured, state after."""


def some_actions(space: Space[Any], count: int = 8) -> list[Any]:
    """Return random actions and the extreme ones, without using up the space's own randomness."""
    drawn = deepcopy(space)
    drawn.seed(0)
    actions = [drawn.sample() for _ in range(count)]
    if isinstance(space, Box):
        actions += [space.low.copy(), space.high.copy()]
    if isinstance(space, Discrete):
        actions += [np.int64(space.start), np.int64(space.start + space.n - 1)]
    return actions


class TaskContract(Contract, ABC):
    """All that a task must do, on snapshots of a backend that it fits.

    Attributes:
        snapshot_count: how many snapshots are looked at in each check.
    """

    snapshot_count = 12

    @abstractmethod
    def make(self) -> AnyTask:
        """Return the task to check."""

    @abstractmethod
    def make_backend(self) -> Backend:
        """Return a backend that the task fits, not opened; it is moved.

        Without one, raise `unittest.SkipTest` here and override `snapshots`.
        """

    def snapshots(self, rng: np.random.Generator) -> Sequence[Snapshot]:
        """Return snapshots of different moments, by default drawn from `make_backend`."""
        return draw_snapshots(self.make(), self.make_backend(), rng, self.snapshot_count)

    def _transitions(self, task: AnyTask) -> list[Transition]:
        measured = self._measured(task)
        found: list[Transition] = []
        actions = [None] if isinstance(task, Reading) else some_actions(task.action_space)
        state = task.initial(measured[0])
        for later in measured[1:]:
            found += [
                (state, action, later, task.advance(state, action, later)) for action in actions
            ]
            last = found[-1][-1]
            state = last if task.outcome(last) is Outcome.RUNNING else task.initial(later)
        return found

    def _standing(self) -> Mapping[str, KnobValue]:
        return self.snapshots(np.random.default_rng(0))[0].knobs

    def _measured(self, task: AnyTask) -> list[Any]:
        return [measured for _, measured in self._looks(task)]

    def _looks(self, task: AnyTask) -> list[Look]:
        looks = []
        for snapshot in self.snapshots(np.random.default_rng(0)):
            try:
                looks.append((snapshot, task.measure(snapshot)))
            except FrameError as error:
                reason = error
        sentence = "most frames of a fitting backend can be measured"
        expect(len(looks) >= 2, sentence, "" if len(looks) >= 2 else repr(reason))
        return looks

    def _states(self, task: AnyTask) -> list[Any]:
        starts = [task.initial(measured) for measured in self._measured(task)]
        return starts + [after for _, _, _, after in self._transitions(task)]

    def test_needs_can_be_understood(self) -> None:
        """Units are shared, sizes agree, largest steps are finite and above 0."""
        problems = list(knob_problems(self.make().needs))
        expect(not problems, "needs use shared units and finite steps", "; ".join(problems))

    def test_names_are_shared_or_documented(self) -> None:
        """Knobs, sources and states have names from the vocabulary, or the docstring names them."""
        task = self.make()
        problems = list(name_problems(task.needs, type(task)))
        expect(not problems, "names are shared or documented", "; ".join(problems))

    def test_what_it_declares_never_changes(self) -> None:
        """Needs, spaces and the goal are the same whenever they are asked for."""
        task = self.make()
        for name in ("needs", "observation_space", "action_space", "goal"):
            first = getattr(task, name)
            self._transitions(task)
            later = getattr(task, name)
            expect(first == later, f"{name} is always the same", f"{first}, later {later}")

    def test_measuring_is_pure(self) -> None:
        """The same snapshot gives the same measurement, in whatever order, and stays as it was."""
        task = self.make()
        snapshots = self.snapshots(np.random.default_rng(0))
        expect_pure(("measure", task.measure, (snapshot,)) for snapshot in snapshots)

    def test_functions_are_pure(self) -> None:
        """The same inputs give the same outputs, to the last bit, and stay as they were."""
        task, standing = self.make(), self._standing()
        expect_pure(
            call
            for moment in self._transitions(task)[::3]
            for call in calls_of(task, *moment, standing)
        )

    def test_measurements_hold_no_pixels(self) -> None:
        """A measurement is a few numbers and keeps no frame alive."""
        for measured in self._measured(self.make()):
            expect_few("a measurement", measured)

    def test_states_hold_no_pixels(self) -> None:
        """A state is a few numbers and keeps no frame alive."""
        for state in self._states(self.make()):
            expect_few("a state", state)

    def test_observations_are_inside_their_space(self) -> None:
        """Every observation has the space's shape and pixel type and lies within its bounds."""
        task = self.make()
        space = task.observation_space
        for state in self._states(task):
            observation = task.observe(state)
            found = (getattr(observation, "shape", None), getattr(observation, "dtype", None))
            promised = (space.shape, space.dtype)
            expect(found == promised, f"observations have shape and type {promised}", found)
            expect(space.contains(observation), f"observations are in {space}", observation)

    def test_observations_are_nobody_elses(self) -> None:
        """Changing an observation changes neither the state nor the next observation."""
        task = self.make()
        for state in self._states(task)[:3]:
            first = task.observe(state)
            if first.flags.writeable:
                kept = first.copy()
                first[...] = 0
                second = task.observe(state)
                same = fingerprint(second) == fingerprint(kept)
                expect(same, "an observation is a new array", f"{second} after changing {kept}")

    def test_targets_are_absolute_and_small(self) -> None:
        """An action's set points lie within one largest step of where the knobs stand."""
        task = self.make()
        if isinstance(task, Reading):
            raise does_not_apply("it only measures")
        for snapshot in self.snapshots(np.random.default_rng(0)):
            state = task.initial(task.measure(snapshot))
            for action in some_actions(task.action_space):
                targets = task.targets(state, action, snapshot.knobs)
                check_targets(task, targets, snapshot.knobs, "targets()")

    def test_outcomes_are_verdicts(self) -> None:
        """An outcome is RUNNING, SUCCESS, FAILURE or AMBIGUOUS; BLOCKED is the framework's word."""
        task = self.make()
        verdicts = {Outcome.RUNNING, *_ENDS}
        for state in self._states(task):
            outcome = task.outcome(state)
            said = "outcome() is RUNNING, SUCCESS, FAILURE or AMBIGUOUS"
            expect(outcome in verdicts, said, outcome)

    def test_questions_are_answered_by_bools(self) -> None:
        """Whether something is seen and whether an episode may start here are bools."""
        task = self.make()
        for measured in self._measured(task):
            start = task.is_start(task.initial(measured))
            for source in task.needs.sources:
                seen = task.sees(measured, source)
                expect(isinstance(seen, bool), "sees() is a bool", repr(seen))
            expect(isinstance(start, bool), "is_start() is a bool", repr(start))

    def test_rewards_are_finite(self) -> None:
        """Every reward is a finite float."""
        task = self.make()
        for before, action, _, after in self._transitions(task):
            expect_number("a reward", task.reward(before, action, after, task.outcome(after)))

    def test_refused_plans_are_priced(self) -> None:
        """A plan that the envelope refuses has a finite reward too."""
        task = self.make()
        for before, action, _, _ in self._transitions(task):
            price = task.reward(before, action, before, Outcome.BLOCKED)
            expect_number("the reward of a refused plan", price)

    def test_summaries_are_finite(self) -> None:
        """A summary is a dictionary of finite floats by name."""
        task = self.make()
        for state in self._states(task):
            summary = task.summary(state)
            expect(isinstance(summary, dict), "summary() is a dict", type(summary))
            for name, value in summary.items():
                expect(isinstance(name, str), "summaries are named by text", repr(name))
                expect_number(f"{name} in the summary", value)

    def test_scramble_comes_from_the_generator(self) -> None:
        """The same generator gives the same start, another one another; home stays as it was."""
        task = self.make()
        home = {knob: (0.0,) * need.size for knob, need in task.needs.knobs.items()}
        if not home:
            raise does_not_apply("it moves no knob")
        points = [task.scramble(home, np.random.default_rng(seed)) for seed in (1, 1, 2)]
        if not any(points):
            raise does_not_apply("it starts where the instrument stands")
        first, again, other = (fingerprint(tuple(point)) for point in points)
        expect(first == again, "scramble() draws from the generator alone", points[:2])
        expect(first != other, "scramble() draws from the generator", points[0])
        for point in points[0]:
            expect(isinstance(point, SetPoint), "scramble() returns SetPoints", repr(point))
            expect(point.knob in home, "scramble() moves the knobs that it needs", point.knob)
            expect(all(map(math.isfinite, point.value)), "set points are finite", point)
        untouched = all(value == (0.0,) * len(value) for value in home.values())
        expect(untouched, "scramble() does not change home", home)

    def test_scramble_is_around_home(self) -> None:
        """Starts are drawn around home, wherever that is."""
        task = self.make()
        for knob, need in task.needs.knobs.items():
            homes = [(0.0,) * need.size, tuple(100 * step for step in need.largest_step)]
            plans = []
            for home in homes:
                standing = {k: (0.0,) * n.size for k, n in task.needs.knobs.items()} | {knob: home}
                plan = task.scramble(standing, np.random.default_rng(1))
                plans.append([point.value for point in plan if point.knob == knob])
            found = f"{knob} at {plans[0]} for both"
            expect(not plans[0] or plans[0] != plans[1], "scramble() starts from home", found)

    def test_goal_fits_the_observation(self) -> None:
        """The entries that the goal names exist, and its numbers make sense."""
        task = self.make()
        goal, shape = task.goal, task.observation_space.shape
        if goal is None:
            raise does_not_apply("it has no goal")
        expect(shape is not None and len(shape) == 1, "a goal is for vectors", shape)
        named = goal.residual if isinstance(goal, Centre) else (goal.entry,)
        inside = all(0 <= entry < shape[0] for entry in named) if shape else False
        expect(len(named) > 0 and inside, f"the goal names entries of {shape}", named)
        full = goal.full_action
        expect(full is None or 0 < full < math.inf, "full_action is above 0", full)
        if isinstance(goal, Centre):
            check_centre(goal)
        else:
            expect(math.isfinite(goal.noise), "the noise is finite", goal.noise)

    def test_goal_agrees_with_the_outcome(self) -> None:
        """An episode succeeds when, and only when, the residual is within the tolerance.

        A state from which the task first moves itself, to know better, may go on.
        """
        task = self.make()
        goal = task.goal
        if not isinstance(goal, Centre):
            raise does_not_apply("it centres nothing")
        states = self._states(task) + [step.state for step in self._played(task, oracle=True)]
        standing = self._standing()
        for state in states:
            residual = task.observe(state)[list(goal.residual)].astype(float)
            length, outcome = float(np.linalg.norm(residual)), task.outcome(state)
            found = f"{outcome} at a residual of {length:g} with a tolerance of {goal.tolerance:g}"
            # Observations may be rounded to float32.
            within = length <= goal.tolerance * (1 + 1e-5)
            outside = length > goal.tolerance * (1 - 1e-5)
            outside |= task.own_moves(state, standing) is not None
            expect(within or outcome is not Outcome.SUCCESS, "no success beyond tolerance", found)
            expect(outside or outcome is not Outcome.RUNNING, "success within tolerance", found)

    def test_quantities_are_in_the_summary(self) -> None:
        """Each quantity stands in the summary of some state, unless only the truth has it."""
        task = self.make()
        names = {name for state in self._states(task) for name in task.summary(state)}
        for quantity in task.quantities:
            expect(isinstance(quantity, Quantity), "quantities are Quantity", repr(quantity))
            known = quantity.name in names or quantity.name == quantity.error
            expect(known, "quantities stand in the summary, or in the truth", quantity.name)

    def test_products_are_numbers_with_an_uncertainty(self) -> None:
        """What an episode hands on are finite numbers with a unit and a standard uncertainty."""
        task = self.make()
        states = self._states(task) + [step.state for step in self._played(task)]
        for state in states:
            for name, product in task.products(state).items():
                expect_number(f"{name} of the products", product.value)
                expect_number(f"the uncertainty of {name}", product.uncertainty)
                expect(product.uncertainty >= 0, f"the uncertainty of {name} is not negative", name)

    def test_its_own_moves_are_small_and_end(self) -> None:
        """What the task moves itself stays within its largest steps and comes to an end."""
        task = self.make()
        moves = []
        for snapshot, measured in self._looks(task):
            points = task.own_moves(task.initial(measured), snapshot.knobs)
            if points is not None:
                moves.append(points)
                check_targets(task, points, snapshot.knobs, "own_moves()")
        if isinstance(task, Reading):
            found = task.outcome(self._played(task)[-1].state)
            expect(found in _ENDS, "a reading comes to an end", found)
        elif not moves:
            raise does_not_apply("it moves nothing itself")

    def test_marks_are_points_of_the_frame(self) -> None:
        """Marks are (x, y) by name; unless the task only measures, the goal is one of them."""
        task = self.make()
        only_measures = isinstance(task, Reading)
        if not isinstance(task, Drawable):
            raise does_not_apply("it draws no marks")
        for state in self._states(task):
            marks = task.marks(state)
            goal = only_measures or "goal" in marks
            expect(goal, "the goal is marked", sorted(marks))
            for name, point in marks.items():
                pair = is_tuple_of(point, float) and len(point) == 2
                expect(pair, "a mark is (x, y) in pixels", f"{name} = {point!r}")

    def test_oracle_acts_inside_the_action_space(self) -> None:
        """Where the truth is known, the best action is one that an agent could have chosen."""
        task = self.make()
        steps = self._played(task, oracle=True)
        if not steps:
            raise does_not_apply("it knows no best action, or the backend no truth")
        for step in steps:
            found = step.action
            # The task's own moves have no action.
            inside = found is None or task.action_space.contains(found)
            expect(inside, f"actions are in {task.action_space}", found)
            for name, value in step.true_error.items():
                expect_number(f"{name} of the true error", value)

    def test_symmetry_gives_possible_transitions(self) -> None:
        """Relabelled transitions are as many, and such that the task could have given them."""
        task = self.make()
        if not isinstance(task, Symmetric):
            raise does_not_apply("it declares no symmetry")
        lived = [(before, action, after) for before, action, _, after in self._transitions(task)]
        check_symmetry(task, task, batch_of(task, lived))

    def test_many_episodes_are_each_its_own(self) -> None:
        """Functions over many episodes give what the task's own give row by row."""
        task = self.make()
        if not isinstance(task, Batchable):
            raise does_not_apply("it does not take many episodes at once")
        check_batch(task, task.batched(), self._looks(task))

    def test_episodes_run_in_the_framework(self) -> None:
        """Episodes on a fitting backend begin, go on and end without an error."""
        steps = self._played(self.make())
        expect(bool(steps), "episodes have timesteps", "none")

    def test_episodes_repeat_with_their_seed(self) -> None:
        """On a simulator, the same seed and the same actions give the same episode again."""
        first, second = self._played(self.make()), self._played(self.make())
        if not all(step.repeatable for step in first):
            raise does_not_apply("the backend cannot be reseeded")
        differing = [
            number
            for number, (one, other) in enumerate(zip(first, second, strict=False))
            if one.digest != other.digest
        ]
        same = len(first) == len(second) and not differing
        expect(
            same,
            "episodes depend on their seed alone",
            f"{len(differing)} of {len(first)} timesteps differ",
        )

    def _played(self, task: AnyTask, *, oracle: bool = False) -> list[Played]:
        return (play_oracle if oracle else play)(task, self.make_backend())
