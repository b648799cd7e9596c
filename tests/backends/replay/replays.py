"""Runs recorded on toys, to play back."""

from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve
from tests.core.fakes import Desk, ExactAgent, NoOptions, desk_plugin, plugin, toy_registry

from stempilot.contract.backend import Opening
from stempilot.instrument.envelope import open_envelope
from stempilot.plugins.registry import Registry, discover
from stempilot.record.record import FramePolicy
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, plan_run
from stempilot_backends.replay.backend import Replay
from stempilot_backends.replay.config import ReplayConfig
from stempilot_backends.replay.load import load_replay

EVERYTHING = FramePolicy(every=1)


class Hesitant(ExactAgent):
    """Goes half of the way at a time."""

    def policy(self) -> Any:
        inner = super().policy()

        class Halving:
            def reset(self, instrument_id: str) -> None:
                inner.reset(instrument_id)

            def act(self, observation: Any) -> Any:
                return np.float32(0.5) * inner.act(observation)

        return Halving()


def registry(desk: Desk | None = None) -> Registry:
    """Return a registry of the toys, the replay, and the recorded actions."""
    desk = desk or Desk()
    return toy_registry(
        desk_plugin(desk),
        ("agent", plugin("hesitant", NoOptions, lambda _, brief: Hesitant(brief))),
        ("backend", discover(only="").get("backend", "replay")),
        ("agent", discover(only="").get("agent", "recorded")),
    )


def record(folder: Path, *, episodes: int | None = 3, **what: Any) -> dict[str, Any]:
    """Run the toy task, keeping all frames."""
    options = {"agent": "hesitant", "backend": "desk", **what}
    limits = None
    if options["backend"] == "desk":
        limits = evolve(open_envelope("desk", Desk().offers()))
    extras = Extras(seed=3, out=folder, frames=EVERYTHING, envelope=limits)
    plan = plan_run(registry(), task="centring", episodes=episodes, extras=extras, **options)
    return execute(plan)


def again(run: Path, folder: Path, *, episodes: int | None = 3, **what: Any) -> dict[str, Any]:
    """Run a task on what was recorded."""
    settings = {"backend": {"run": str(run)}, **what.pop("settings", {})}
    options = {"agent": "hesitant", "backend": "replay", "settings": settings, **what}
    extras = Extras(seed=3, out=folder, frames=EVERYTHING)
    return execute(
        plan_run(registry(), task="centring", episodes=episodes, extras=extras, **options)
    )


def replay(run: Path) -> Replay:
    """Return a recorded run as an instrument; it is not open."""
    return load_replay(ReplayConfig(run=str(run)), Opening())


def frames(run: Path) -> dict[str, Any]:
    """Return all kept frames by file name."""
    return {path.name: np.load(path) for path in sorted((run / "frames").iterdir())}
