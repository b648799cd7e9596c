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
        **common, **drawn, **_specimen(config, apart), **_of(PROBE, config, probe)
    )


def _specimen(config: SimulatorConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Return what a frame shows beside the disk, by the column's parameter."""
    seed = int(rng.integers(2**63))
    drawn = _of(SPECIMEN, config, rng)
    # In vacuum there is nothing to lie anywhere, and all instruments of a preset may be one.
    return drawn if is_bare(ColumnParameters(**drawn)) else {**drawn, "specimen_seed": seed}


def _of(names: Sequence[str], config: SimulatorConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Return parameters that have numbers of their own, by name."""
    drawn: dict[str, Any] = {}
    for name, share in zip(names, rng.random(len(names)).tolist(), strict=True):
        value, of = getattr(config, name), fields_dict(ColumnParameters)[name].type
        if of is int:
            low, high = ends(value)
            drawn[name] = math.floor(low + (high + 1 - low) * share)
        else:
            drawn[name] = _drawn(value, share, logarithmic=ROWS[name].logarithmic)
    return drawn


def draw_start(
    config: SimulatorConfig, rng: np.random.Generator
) -> tuple[float, tuple[float, float]]:
    """Return the defocus and the astigmatism (x, y) of a start, in m; always takes four draws."""
    shares = rng.random(4).tolist()
    (near, far), (small, large) = ends(config.start_defocus_m), ends(config.start_astigmatism_m)
    over = {"under": False, "over": True, "either": shares[0] < 0.5}[config.start_side]  # noqa: PLR2004 - a coin
    defocus, size = near + (far - near) * shares[1], small + (large - small) * shares[2]
    angle = 2.0 * math.pi * shares[3]
    turned = (size * math.cos(angle), size * math.sin(angle))
    return (defocus if over else -defocus), turned


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
