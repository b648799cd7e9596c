"""Simulated instruments that are drawn at random, with fewer pixels or with their truth kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen

from stempilot import Episode, Frame, KnobValue, Opening, Task, open_session
from stempilot.plugins.options import build
from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.frame.camera import ELEMENTARY_CHARGE_C
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.drawing import draw_instrument
from stempilot_backends.simulator.options import SimulatorConfig

STARTS = 20
"""Instruments that each task meets; one failure is forgiven."""

BLOCK = 4
"""The usual frame has so many times more pixels a side than a small one, of 260."""


def small_frames(monkeypatch: pytest.MonkeyPatch) -> list[ColumnParameters]:
    """Let simulators draw frames as of a binned camera; return what instruments they draw."""
    drawn: list[ColumnParameters] = []

    def small(config: SimulatorConfig, rng: np.random.Generator) -> ColumnParameters:
        one = draw_instrument(config, rng)
        drawn.append(
            evolve(
                one,
                frame_side_px=one.frame_side_px // BLOCK,
                pixel_rad=one.pixel_rad * BLOCK,
                read_noise_e=one.read_noise_e * BLOCK,
                background_e_per_px=one.background_e_per_px * BLOCK**2,
            )
        )
        return drawn[-1]

    monkeypatch.setattr("stempilot_backends.simulator.backend.draw_instrument", small)
    return drawn


class _Watched(Simulator):
    """Keeps the truth of each frame."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.truths: list[dict[str, KnobValue]] = []

    def acquire(self, source: str) -> Frame:
        frame = super().acquire(source)
        self.truths.append(self.truth())
        return frame


@frozen(kw_only=True)
class Told:
    """What a reading told of one instrument.

    Attributes:
        episode: how it ended.
        truths: what was true at each frame.
        electrons: that fell on the camera during an exposure.
        home: whether all knobs stand where they stood before.
        writes: how often one was written.
    """

    episode: Episode
    truths: list[dict[str, KnobValue]]
    electrons: float
    home: bool
    writes: int

    def misses(self, true: Mapping[str, float]) -> dict[str, float]:
        """Return how far products lie from the truth, in their standard uncertainties."""
        found = self.episode.products
        return {
            name: abs(found[name].value - value) / found[name].uncertainty
            for name, value in true.items()
        }


def read_one(task: Task[Any, Any], preset: str, number: int) -> Told:
    """Read a random instrument, where it stands."""
    seed = int(np.random.SeedSequence((22, number)).generate_state(1)[0])
    config = build(SimulatorConfig, {"preset": preset}, section="backend")
    backend = _Watched(config, Opening(seed=seed, instrument_seed=seed))
    with open_session(backend, [task], name="simulator") as session:
        knobs = backend.offers().knobs
        before = {knob: backend.read(knob) for knob in knobs}
        episode = session.play(task)
        return Told(
            episode=episode,
            truths=backend.truths,
            electrons=backend.number("screen_current") * config.exposure_s / ELEMENTARY_CHARGE_C,
            home=before == {knob: backend.read(knob) for knob in knobs},
            writes=len(session.guard.writes),
        )
