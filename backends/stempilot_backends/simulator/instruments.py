"""Many simulated instruments at once, measured without frames."""

import copy
from collections.abc import Collection, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from attrs import frozen
from numpy.random import SeedSequence

from stempilot import DIFFRACTION_SHIFT, BackendError, KnobValue
from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.columns import ColumnBatch
from stempilot_backends.column.parameters import DRAWN, PROBE
from stempilot_backends.column.probes import KNOBS, ProbeBatch
from stempilot_backends.simulator.drawing import (
    DRAWS,
    draw_starts,
    drawn_parameters,
    drawn_probe,
)
from stempilot_backends.simulator.options import SimulatorConfig

Rows = npt.NDArray[np.intp]

MEASUREMENTS = frozenset({"position_px", "radius_px", "visible", "cut", "saturated", "pixel_rad"})
"""What is measured; see `stempilot_backends.column.columns.ColumnBatch.expose`."""

SHADOWS = frozenset({"c1_m", "a1_m", "uncertainty_m", "lit", "pixel_rad"})
"""What is measured of Ronchigrams; see `stempilot_backends.column.probes.ProbeBatch.expose`."""


@frozen(kw_only=True)
class Model:
    """Which instruments a batch is made of.

    Attributes:
        config: the simulator's options.
        present: the instrument as it is now.
        redraws: draw another one at each reset, instead.
        changed: what has changed in the run, by the column's parameter.
    """

    config: SimulatorConfig
    present: ColumnParameters
    redraws: bool
    changed: Mapping[str, Any]

    def draw(self, count: int, rng: np.random.Generator) -> dict[str, Any]:
        """Return `DRAWN` of so many instruments; with a film, of the probe too."""
        shown = self.present.shows_ronchigram
        names = (*DRAWN, *(PROBE if shown else ()))
        drawn = {name: getattr(self.present, name) for name in names}
        if self.redraws:
            drawn |= drawn_parameters(self.config, list(rng.random((DRAWS, count))))
            drawn |= drawn_probe(self.config, rng, count) if shown else {}
            drawn |= {name: value for name, value in self.changed.items() if name in DRAWN}
        return drawn


class SimulatorBatch:
    """Instruments of one simulator; all but what `draw` draws they have in common.

    Args:
        model: which instruments.
        count: how many.
        home: where the knobs of fresh ones stand.
    """

    def __init__(self, model: Model, count: int, home: Mapping[str, KnobValue]) -> None:
        self.count = count
        self._model = model
        self._home = {knob: np.array(value)[:, np.newaxis] for knob, value in home.items()}
        self.reseed(SeedSequence(0))

    def reseed(self, seed: SeedSequence) -> None:
        """Draw all that comes from ``seed``; see `InstrumentBatch.reseed`."""
        # Apart, so that neither drawing instruments nor asking for the truth changes what others
        # will draw. A large part of a timestep is noise, which SFC64 draws fastest.
        noise, self._starts, self._hidden = (
            np.random.Generator(
                np.random.SFC64(SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, part)))
            )
            for part in range(3)
        )
        self._columns: Any = self._made(self.count, noise)

    def fresh(self, count: int) -> Self:
        """Draw instruments and how they stand; see `InstrumentBatch.fresh`."""
        rng = self._starts
        columns = self._made(count, rng)
        self._place(columns, self._model.draw(count, rng), rng)
        drawn: Self = copy.copy(self)
        drawn.count, drawn._columns = count, columns
        return drawn

    def put(self, rows: Rows, fresh: Self, which: Rows) -> None:
        """Replace some instruments; see `InstrumentBatch.put`."""
        self._columns.put(rows, fresh._columns, which)

    def _made(self, count: int, noise: np.random.Generator) -> Any:
        model = self._model
        return ColumnBatch(
            model.present, count, noise, hidden=self._hidden, exposure_s=model.config.exposure_s
        )

    def _place(self, columns: Any, drawn: Mapping[str, Any], rng: np.random.Generator) -> None:
        """Let columns be instruments that were drawn, at a start."""
        reach_px = self._model.config.start_range * self._model.present.frame_side_px / 2
        count = columns.count
        columns.reset(
            drawn,
            command_rad=np.broadcast_to(self._home[DIFFRACTION_SHIFT], (2, count)),
            start_px=rng.uniform(-reach_px, reach_px, (2, count)),
            drift_angle_rad=rng.uniform(0.0, 2.0 * np.pi, count),
        )

    def read(self, knob: str) -> npt.NDArray[np.float64]:
        """Return the commanded diffraction shifts, (n, 2) in rad."""
        _check(knob, (DIFFRACTION_SHIFT,))
        command: npt.NDArray[np.float64] = self._columns.command().T.copy(order="K")
        return command

    def write(self, knob: str, values: npt.NDArray[np.float64]) -> None:
        """Command the diffraction shifts, (n, 2) in rad."""
        _check(knob, (DIFFRACTION_SHIFT,))
        self._columns.move(values.T)

    def measure(self) -> dict[str, npt.NDArray[Any]]:
        """Let a cycle pass and measure; see `InstrumentBatch.measure`."""
        return {**self._columns.expose(), DIFFRACTION_SHIFT: self.read(DIFFRACTION_SHIFT)}

    def truth(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the truth of the last exposures; see `Column.truth`."""
        told: dict[str, npt.NDArray[np.float64]] = self._columns.truth()
        return told


class FilmBatch(SimulatorBatch):
    """The same with a film in: instruments of which Ronchigrams are measured."""

    def _made(self, count: int, noise: np.random.Generator) -> ProbeBatch:
        model = self._model
        return ProbeBatch(model.present, count, noise, exposure_s=model.config.exposure_s)

    def _place(self, columns: Any, drawn: Mapping[str, Any], rng: np.random.Generator) -> None:
        columns.reset(drawn, self._home, draw_starts(self._model.config, rng, columns.count))

    def read(self, knob: str) -> npt.NDArray[np.float64]:
        """Return what is commanded: the focus, (n, 1) in m, or the stigmator, (n, 2)."""
        _check(knob, KNOBS)
        command: npt.NDArray[np.float64] = self._columns.command(knob).T.copy(order="K")
        return command

    def write(self, knob: str, values: npt.NDArray[np.float64]) -> None:
        """Command the focus, (n, 1) in m, or the stigmator, (n, 2)."""
        _check(knob, KNOBS)
        self._columns.move(knob, values.T)

    def measure(self) -> dict[str, npt.NDArray[Any]]:
        """Let a cycle pass and measure; see `InstrumentBatch.measure`."""
        return {**self._columns.expose(), **{knob: self.read(knob) for knob in KNOBS}}


def _check(knob: str, known: Collection[str]) -> None:
    if knob not in known:
        listing = " and ".join(known)
        msg = f"instruments without frames have no knob {knob!r}; they have {listing}"
        raise BackendError(msg)
