"""Draws an instrument from the options."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from attrs import fields_dict

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.matrix import Numbers
from stempilot_backends.column.parameters import DRAWN, PROBE, ROWS, SPECIMEN
from stempilot_backends.column.rows import ends
from stempilot_backends.column.specimen import is_bare
from stempilot_backends.simulator.options import COLUMN_OPTIONS, SimulatorConfig

DRAWS: Final = len(DRAWN)
"""Uniform numbers that one instrument takes."""


def draw_instrument(config: SimulatorConfig, rng: np.random.Generator) -> ColumnParameters:
    """Return one instrument; always takes the same number of draws from ``rng``.

    What a frame shows beside the disk, and the probe, come from children of ``rng``.
    """
    apart, probe = rng.spawn(2)
    common = {name: getattr(config, name) for name in COLUMN_OPTIONS if not ROWS[name].ranges}
    drawn = drawn_parameters(config, rng.random(DRAWS).tolist())
    return ColumnParameters(
        **common, **drawn, **_specimen(config, apart), **drawn_probe(config, probe)
    )


def _specimen(config: SimulatorConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Return what a frame shows beside the disk, by the column's parameter."""
    seed = int(rng.integers(2**63))
    drawn = _of(SPECIMEN, config, rng.random(len(SPECIMEN)).tolist())
    # In vacuum there is nothing to lie anywhere, and all instruments of a preset may be one.
    return drawn if is_bare(ColumnParameters(**drawn)) else {**drawn, "specimen_seed": seed}


def drawn_probe(
    config: SimulatorConfig, rng: np.random.Generator, count: int | None = None
) -> dict[str, Numbers]:
    """Return the probe of an instrument, or of so many, by the column's parameter."""
    shares = rng.random(len(PROBE) if count is None else (len(PROBE), count))
    return _of(PROBE, config, shares.tolist() if count is None else list(shares))


def _of(names: Sequence[str], config: SimulatorConfig, shares: Sequence[Numbers]) -> dict[str, Any]:
    """Return parameters that have numbers of their own, by name."""
    drawn: dict[str, Any] = {}
    for name, share in zip(names, shares, strict=True):
        value, of = getattr(config, name), fields_dict(ColumnParameters)[name].type
        if of is int:
            low, high = ends(value)
            drawn[name] = math.floor(low + (high + 1 - low) * share)
        else:
            drawn[name] = _drawn(value, share, logarithmic=ROWS[name].logarithmic)
    return drawn


def draw_starts(config: SimulatorConfig, rng: np.random.Generator, count: int) -> Numbers:
    """Return (3, count) of starts in m: the defocus and the astigmatism in x and y."""
    coins, far, large, turn = rng.random((4, count))
    defocus, size = (
        _drawn(span, share, logarithmic=False)
        for span, share in ((config.start_defocus_m, far), (config.start_astigmatism_m, large))
    )
    over = coins < {"under": 0.0, "either": 0.5, "over": 1.0}[config.start_side]
    turned = size * np.cos(2.0 * np.pi * turn), size * np.sin(2.0 * np.pi * turn)
    return np.stack([np.where(over, defocus, -defocus), *turned])


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
