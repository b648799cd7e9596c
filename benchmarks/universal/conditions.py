"""Which instruments are practised on: the published conditions, and others drawn around them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.universal.instruments import Group

Settings = Mapping[str, Any]
MARGINS_PX = (16.0, 16.0, 32.0, 32.0)
"""Few starts in the full field are so near to an edge, and nearly all that are lost are."""
FULL_RAD = 23.04e-3
PUBLISHED_STEP = 100.0


_FIXED: Sequence[tuple[str, int, Settings, Settings]] = (
    ("random", 5, {}, {}),
    ("random", 3, {"start_range": 1.0}, {}),
    ("random", 1, {}, {"preset": "paper"}),
    ("lagged", 2, {}, {}),
    ("backlash", 1, {}, {}),
    ("distorted", 2, {}, {}),
    ("drifting", 1, {}, {}),
    ("everything", 2, {}, {}),
)
"""Preset, shares, and what else the simulator and the task are set to."""


def groups(count: int, seed: int) -> list[Group]:
    """Return the groups of a training.

    Args:
        count: instruments of one share; there are 29 shares.
        seed: where the drawn conditions come from.
    """
    rng = np.random.default_rng([seed, 1])
    chosen = [
        Group(name=name, count=share * count, backend={"preset": name, **backend}, task=task)
        for name, share, backend, task in _FIXED
    ]
    full_field = {"preset": "random", "start_range": 1.0}
    chosen += [
        Group(name="edge", count=count, backend=full_field, task={}, margin_px=margin_px)
        for margin_px in MARGINS_PX
    ]
    half = count // 2
    chosen += [Group(name="drawn", count=half, backend=_drawn(rng), task={}) for _ in range(4)]
    for least, backend in _WIDE:
        step = PUBLISHED_STEP * 2.0 ** float(rng.uniform(least, 7))
        instrument = {**backend(rng), "preset": "random"}
        chosen.append(Group(name="wide", count=half, backend=instrument, task={"step_size": step}))
    return chosen


def _drawn(rng: np.random.Generator) -> dict[str, Any]:
    """Return a condition around those that are known."""
    settings: dict[str, Any] = {"preset": "random"}
    on = rng.random(4) < 0.5
    if on[0]:
        settings["lag"] = float(rng.uniform(0, 0.5))
    if on[1]:
        settings["backlash_rad"] = float(rng.uniform(0, 0.065)) * FULL_RAD
    if on[2]:
        settings["distortion_gain"] = float(rng.uniform(0, 0.25))
        settings["distortion_swirl_rad"] = float(rng.uniform(0, 0.25))
    if on[3]:
        settings["drift_px_per_cycle"] = float(rng.uniform(0, 0.6))
        settings["drift_walk_px"] = float(rng.uniform(0, 1.2))
    return settings


def _quiet(rng: np.random.Generator) -> dict[str, Any]:
    """Return instruments without much noise, like the published one."""
    del rng
    return {"action_noise": 0.001, "vibration_px": 0.0, "axis_ratio": 1.0, "shear_deg": 0.0}


def _any(rng: np.random.Generator) -> dict[str, Any]:
    """Return instruments as they come."""
    del rng
    return {}


_WIDE: Sequence[tuple[float, Callable[[np.random.Generator], dict[str, Any]]]] = (
    (0.5, _any),
    (0.5, _drawn),
    (4.5, _any),
    (4.5, _any),
    (4.5, _any),
    (4.5, _any),
    (4.5, _drawn),
    (4.5, _quiet),
    (4.5, _quiet),
    (4.5, _quiet),
    (4.5, _quiet),
    (4.5, _quiet),
)
"""Least power of two by which a full action is larger than the published one, and instruments."""
