"""Draws an instrument from the options."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from attrs import fields_dict

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.matrix import Numbers
from stempilot_backends.column.parameters import DRAWN, ROWS, SPECIMEN, ends
from stempilot_backends.column.specimen import is_bare
from stempilot_backends.simulator.options import COLUMN_OPTIONS, SimulatorConfig

DRAWS: Final = len(DRAWN)
"""Uniform numbers that one instrument takes."""


def draw_instrument(config: SimulatorConfig, rng: np.random.Generator) -> ColumnParameters:
    """Return one instrument; always takes the same number of draws from ``rng``.

    What a frame shows beside the disk comes from a child of ``rng``.
    """
    (apart,) = rng.spawn(1)
    common = {name: getattr(config, name) for name in COLUMN_OPTIONS if not ROWS[name].ranges}
    drawn = drawn_parameters(config, rng.random(DRAWS).tolist())
    return ColumnParameters(**common, **drawn, **_specimen(config, apart))


def _specimen(config: SimulatorConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Return what a frame shows beside the disk, by the column's parameter."""
    seed = int(rng.integers(2**63))
    drawn: dict[str, Any] = {}
    for name, share in zip(SPECIMEN, rng.random(len(SPECIMEN)).tolist(), strict=True):
        value, of = getattr(config, name), fields_dict(ColumnParameters)[name].type
        if of is int:
            low, high = ends(value)
            drawn[name] = math.floor(low + (high + 1 - low) * share)
        else:
            drawn[name] = _drawn(value, share, logarithmic=ROWS[name].logarithmic)
    # In vacuum there is nothing to lie anywhere, and all instruments of a preset may be one.
    return drawn if is_bare(ColumnParameters(**drawn)) else {**drawn, "specimen_seed": seed}


def drawn_parameters(config: SimulatorConfig, shares: Sequence[Numbers]) -> dict[str, Numbers]:
    """Return what differs from instrument to instrument, by the column's parameter.

    Args:
        config: the options.
        shares: `DRAWS` uniform numbers from 0 to 1, or as many arrays of them, one number per
            instrument.
    """
    return {
        name: _drawn(getattr(config, name), shares[row.share], logarithmic=row.logarithmic)
        for name, row in ROWS.items()
        if row.share is not None
    }


def _drawn(value: Any, share: Numbers, *, logarithmic: bool) -> Numbers:
    if isinstance(value, bool | str):
        tails = share < 0.5  # noqa: PLR2004 - a coin
        return tails if value == "either" else value | (tails & False)
    low, high = ends(value)
    if not logarithmic:
        return low + (high - low) * share
    if low == high:
        return low + 0.0 * share
    exponential = np.exp if isinstance(share, np.ndarray) else math.exp
    return exponential((1 - share) * math.log(low) + share * math.log(high))
