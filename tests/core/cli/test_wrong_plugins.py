"""Twelve wrong plug-ins: `check` catches each, says what to do, and how to check that alone."""

import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from gymnasium.spaces import Box
from tests.core.cli.conftest import Stempilot
from tests.core.conftest import Install
from tests.core.fakes import NoOptions, plugin, toy_registry

from stempilot.contract.agent import Policy
from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import Frame, KnobNeed, KnobValue, Needs, Outcome
from stempilot.plugins.registry import Registry, discover
from stempilot.testing import ToyBackend, ToyCentring, ToyLearner, ToyWalker, imports
from stempilot.testing.toys import ToyState

Use = Callable[[Registry], None]


class Impure(ToyCentring):
    """Counts its calls on ``toy_camera``."""

    calls = 0.0

    def reward(self, before: ToyState, action: Any, after: ToyState, outcome: Outcome) -> float:
        self.calls += 0.001
        return super().reward(before, action, after, outcome) - self.calls


class RewardOfNan(ToyCentring):
    """Divides by nothing on ``toy_camera``."""

    def reward(self, before: ToyState, action: Any, after: ToyState, outcome: Outcome) -> float:
        if outcome is Outcome.RUNNING:
            return math.nan
        return super().reward(before, action, after, outcome)


class WrongSpace(ToyCentring):
    """Has three numbers in its space, of ``toy_camera``."""

    @property
    def observation_space(self) -> Box:
        return Box(-1.25, 1.25, (3,), dtype=np.float32)


class OutOfBounds(ToyCentring):
    """Observes px instead of units of 32 px, on ``toy_camera``."""

    def observe(self, state: ToyState) -> Any:
        return super().observe(state) * np.float32(32)


class NoUnit(ToyCentring):
    """Forgot the unit of its knob on ``toy_camera``."""

    @property
    def needs(self) -> Needs:
        needs = super().needs
        step = needs.knobs[BEAM_SHIFT].largest_step
        return evolve(needs, knobs={BEAM_SHIFT: KnobNeed(unit="", size=2, largest_step=step)})


class RelativeWrite(ToyBackend):
    """Adds what it is told to where the knob stands."""

    def write(self, knob: str, value: KnobValue) -> None:
        super().write(knob, tuple(a + b for a, b in zip(self.read(knob), value, strict=True)))


class Creeps(ToyBackend):
    """Moves a little further each time the same value is written."""

    last: KnobValue = ()
    creep_m = 0.0

    def write(self, knob: str, value: KnobValue) -> None:
        super().write(knob, value)
        self.creep_m = self.creep_m + 1e-9 if value == self.last else 0.0
        self.last, self._shift = value, self._shift + self.creep_m


class StaleFrame(ToyBackend):
    """Delivers the frame that lay in the camera's buffer, and exposes the next one."""

    def reseed(self, *words: Any, **more: Any) -> None:
        super().reseed(*words, **more)
        self._buffer = None

    def acquire(self, source: str) -> Frame:
        fresh = super().acquire(source)
        held, self._buffer = getattr(self, "_buffer", None), fresh
        return evolve(held or super().acquire(source), taken_at_s=fresh.taken_at_s)


class WritesOnOpen(ToyBackend):
    """Sets the knob to zero when it is opened."""

    def open(self) -> None:
        super().open()
        self.write(BEAM_SHIFT, (0.0, 0.0))


class IgnoresSeed(ToyWalker):
    """Draws from NumPy's own generator."""

    def policy(self) -> Policy:
        brief = self._brief

        class Walk:
            def reset(self, instrument_id: str) -> None:
                return

            def act(self, observation: Any) -> Any:
                return np.random.uniform(-1, 1, brief.action_space.shape).astype("f4")  # noqa: NPY002

        return Walk()


class Pickles(ToyLearner):
    """Saves itself as a whole."""

    def save(self, folder: Path) -> None:
        (folder / "agent.json").write_bytes(pickle.dumps(vars(self)))

    def load(self, folder: Path) -> None:
        vars(self).update(pickle.loads((folder / "agent.json").read_bytes()))


def of_task(task: type[ToyCentring]) -> Callable[..., Any]:
    return lambda _: task()


def of_backend(backend: type[ToyBackend]) -> Callable[..., Any]:
    return lambda _, opening: backend(opening.instrument_seed)


def of_agent(agent: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, brief: agent(brief)


WRONG: Mapping[str, tuple[str, Callable[..., Any], str, str]] = {
    "impure task": ("task", of_task(Impure), "functions_are_pure", "nothing in self after"),
    "NaN reward": ("task", of_task(RewardOfNan), "rewards_are_finite", "finite Python float"),
    "wrong space": (
        "task",
        of_task(WrongSpace),
        "observations_are_inside_their_space",
        "the shape and dtype of observation_space",
    ),
    "observation out of bounds": (
        "task",
        of_task(OutOfBounds),
        "observations_are_inside_their_space",
        "clip to its bounds, or widen these",
    ),
    "missing unit": ("task", of_task(NoUnit), "needs_can_be_understood", "KNOB_UNITS"),
    "relative write": (
        "backend",
        of_backend(RelativeWrite),
        "repeated_writes_are_harmless",
        "not a change from where the knob stands",
    ),
    "non-idempotent write": (
        "backend",
        of_backend(Creeps),
        "repeated_writes_are_harmless",
        "nothing that adds up when it is sent again",
    ),
    "stale frame": (
        "backend",
        of_backend(StaleFrame),
        "frames_follow_the_last_write",
        "empty the camera's buffer first",
    ),
    "write on open": (
        "backend",
        of_backend(WritesOnOpen),
        "opening_does_not_write",
        "Move the line that writes out of open()",
    ),
    "agent that ignores its seed": (
        "agent",
        of_agent(IgnoresSeed),
        "same_seed_gives_same_actions",
        "np.random.default_rng(brief.seed)",
    ),
    "agent that pickles": (
        "agent",
        of_agent(Pickles),
        "saved_files_hold_no_pickle",
        "JSON, CSV, NPY or NPZ",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_check_catches_it_with_the_remedy(name: str, stempilot: Stempilot, use: Use) -> None:
    kind, load, check, remedy = WRONG[name]
    use(toy_registry((kind, plugin("wrong", NoOptions, load))))
    expect_caught(stempilot, check, remedy)


def test_check_catches_an_import_of_3_s(
    stempilot: Stempilot, use: Use, site: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "import time\nfrom stempilot import Plugin\ntime.sleep(3)\n"
        "tasks = [Plugin('wrong', '', config='tests.core.fakes:NoOptions',"
        " load='stempilot.testing:ToyCentring')]\n"
    )
    point = site("slow-one", source)
    use(discover([point]))
    monkeypatch.setattr(imports, "_TRIES", 1)
    words = ("check", "wrong", "--only", "imports_are_quick", "--json")
    (row,) = stempilot(*words).json["results"]
    assert row["passed"] is False
    assert "installed_slow_one and tests.core.fakes are imported within 2 s" in row["message"]
    assert "Import slow libraries inside the function that needs them" in row["remedy"]


def expect_caught(stempilot: Stempilot, check: str, remedy: str) -> None:
    ended = stempilot("check", "wrong")
    assert ended.code == 1
    (advice,) = [line for line in ended.out.splitlines() if line.startswith(f"{check}: ")]
    assert remedy in advice
    command = f"stempilot check wrong --only {check}"
    assert f"  again: {command}" in ended.out.splitlines()
    again = stempilot(*command.split()[1:], "--json")
    assert again.code == 1
    assert [(row["check"], row["passed"]) for row in again.json["results"]] == [(check, False)]
    assert remedy in again.json["results"][0]["remedy"]


def test_a_check_that_there_is_not_gets_the_nearest_names(stempilot: Stempilot) -> None:
    ended = stempilot("check", "centring", "--only", "reward_is_finite")
    assert ended.code == 2
    assert "no check of centring is called 'reward_is_finite'" in ended.err
    assert "did you mean rewards_are_finite" in ended.err


def test_the_command_repeats_the_options(stempilot: Stempilot, use: Use) -> None:
    use(toy_registry(("task", plugin("wrong", NoOptions, of_task(NoUnit)))))
    Path("a file.toml").write_text("")
    ended = stempilot("check", "wrong", "--config", "a file.toml")
    assert '  again: stempilot check wrong --config "a file.toml" --only needs' in ended.out
