"""Many simulated instruments at once, measured without frames."""

import copy
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from attrs import frozen
from numpy.random import SeedSequence

from stempilot import DIFFRACTION_SHIFT, BackendError, KnobValue
from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.columns import ColumnBatch
from stempilot_backends.column.parameters import DRAWN
from stempilot_backends.simulator.drawing import DRAWS, drawn_parameters
from stempilot_backends.simulator.options import SimulatorConfig

Rows = npt.NDArray[np.intp]

MEASUREMENTS = frozenset({"position_px", "radius_px", "visible", "cut", "saturated", "pixel_rad"})
"""What is measured; see `stempilot_backends.column.columns.ColumnBatch.expose`."""


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
        """Return `DRAWN` of so many instruments."""
        drawn = {name: getattr(self.present, name) for name in DRAWN}
        if self.redraws:
            drawn |= drawn_parameters(self.config, list(rng.random((DRAWS, count))))
            drawn |= {name: value for name, value in self.changed.items() if name in DRAWN}
        return drawn


class SimulatorBatch:
    """Instruments of one simulator; all but what `draw` draws they have in common.

    Args:
        model: which instruments.
        count: how many.
        home_rad: where the diffraction shift of fresh ones stands.
    """

    def __init__(self, model: Model, count: int, home_rad: KnobValue) -> None:
        self.count = count
        self._model = model
        self._home_rad = np.array(home_rad)[:, np.newaxis]
        self._reach_px = model.config.start_range * model.present.frame_side_px / 2
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
        self._columns = self._made(self.count, noise)

    def fresh(self, count: int) -> Self:
        """Draw instruments and how they stand; see `InstrumentBatch.fresh`."""
        rng, reach_px = self._starts, self._reach_px
        columns = self._made(count, rng)
        columns.reset(
            self._model.draw(count, rng),
            command_rad=np.broadcast_to(self._home_rad, (2, count)),
            start_px=rng.uniform(-reach_px, reach_px, (2, count)),
            drift_angle_rad=rng.uniform(0.0, 2.0 * np.pi, count),
        )
        drawn: Self = copy.copy(self)
        drawn.count, drawn._columns = count, columns
        return drawn

    def put(self, rows: Rows, fresh: Self, which: Rows) -> None:
        """Replace some instruments; see `InstrumentBatch.put`."""
        self._columns.put(rows, fresh._columns, which)

    def _made(self, count: int, noise: np.random.Generator) -> ColumnBatch:
        model = self._model
        return ColumnBatch(
            model.present, count, noise, hidden=self._hidden, exposure_s=model.config.exposure_s
        )

    def read(self, knob: str) -> npt.NDArray[np.float64]:
        """Return the commanded diffraction shifts, (n, 2) in rad."""
        _check(knob)
        return self._columns.command().T.copy(order="K")

    def write(self, knob: str, values: npt.NDArray[np.float64]) -> None:
        """Command the diffraction shifts, (n, 2) in rad."""
        _check(knob)
        self._columns.move(values.T)

    def measure(self) -> dict[str, npt.NDArray[Any]]:
        """Let a cycle pass and measure; see `InstrumentBatch.measure`."""
        return self._columns.expose() | {DIFFRACTION_SHIFT: self.read(DIFFRACTION_SHIFT)}

    def truth(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the truth of the last exposures; see `Column.truth`."""
        return self._columns.truth()


def _check(knob: str) -> None:
    if knob != DIFFRACTION_SHIFT:
        msg = f"instruments without frames have no knob {knob!r}; they have {DIFFRACTION_SHIFT}"
        raise BackendError(msg)
