"""The response, lag and backlash that explain where a disk stood after some moves.

Given lag, backlash and how large the noise is, the model is linear, and the response follows from
it with its uncertainty. Lag, backlash and noise are not known: each combination of a grid counts as
much as it explains what was seen. So what cannot be told apart widens the uncertainty.
"""

from itertools import product
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

Floats = npt.NDArray[np.float64]

Numbers = tuple[float, ...]

_LAGS: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65)
_PLAYS: Final = (0.0, 0.01, 0.025, 0.05, 0.1)
"""Half-widths of the play, in full actions."""

_COARSE: Final[list[Numbers]] = [
    (lag, play, play) for lag in (0.0, 0.2, 0.4) for play in (0.0, 0.05)
]

_CLOSER: Final = (0.25, 0.12, 0.06, 0.03, 0.015)
"""So far around their means, over their largest values, lag and plays are tried again, in turn."""

_VALUES: Final = 5
"""So many of each."""

_DEVIATIONS: Final = 2.5
"""At least so many standard deviations around."""

_FINEST: Final = 0.002
"""Neither lag nor play is told more closely."""

_SHAKES_PX: Final = (0.05, 0.2, 0.5, 1.0, 1.7, 2.8, 4.0, 6.0)
"""RMS per axis from frame to frame."""

_ERRORS: Final = (0.001, 0.005, 0.01, 0.02, 0.035, 0.05, 0.07, 0.1, 0.14)
"""RMS error that a move leaves behind, over its larger component."""

_WALKS_PX: Final = (0.0, 1.0)
"""RMS per axis of what adds up from frame to frame."""

_NOISES: Final[list[Numbers]] = list(product(_SHAKES_PX, _ERRORS, _WALKS_PX))

_TINY: Final = 1e-4
"""Noise that explains no more than this is not tried again."""

_COVERS: Final = 1.5
"""By so much uncertainties are widened, so that three of them hold all four entries of the response
in at least 99 of 100 instruments: four numbers miss more often than one, noise whose size is told
by 15 moves misses farther than noise of a known size, and a grid of noises is coarse. Unwidened,
entries of random instruments miss by 1.15 standard deviations (RMS)."""

_FREE_PX: Final = 1e3
"""Standard deviation of the place of the first frame, before it is seen."""

_DRIFT_PX: Final = 2.0
"""The same of the steady drift per frame."""


@frozen(kw_only=True, eq=False)
class Fit:
    """What the frames tell.

    Attributes:
        response: (2, 2) px per full action, row by row x and y of the frame.
        covariance: (2, 2, 2), of the two entries of each row.
        lag: share of a move that is still to come in the next frame: mean and standard deviation.
        play: (2, 2) half-width of the play of each knob axis, in full actions: mean and standard
            deviation.
        noise_px: RMS from frame to frame.
    """

    response: Floats
    covariance: Floats
    lag: tuple[float, float]
    play: Floats
    noise_px: float


def fit(commands: Floats, places: Floats, *, gain: float, coarse: bool = False) -> Fit:
    """Return the response that explains where the disk stood.

    Args:
        commands: (n, 2) where the knob stood at each frame, in full actions.
        places: (n, 2) where the disk stood, in px.
        gain: largest response that is expected, in px per full action.
        coarse: try few lags and plays, which is enough to plan the next move by.
    """
    moved, seen = commands - commands[0], places - places[0]
    all_ways: list[Numbers] = list(product(_LAGS, _PLAYS, _PLAYS))
    ways = _COARSE if coarse else all_ways
    found, noises = _weighed(moved, seen, ways, _NOISES, gain)
    if coarse:
        return found
    for closer in _CLOSER:
        lags = _around(*found.lag, closer * _LAGS[-1])
        plays = [
            _around(mean, unsure, closer * _PLAYS[-1]) for mean, unsure in found.play.T.tolist()
        ]
        found, noises = _weighed(moved, seen, list(product(lags, *plays)), noises, gain)
    return found


def _around(mean: float, unsure: float, least: float) -> list[float]:
    """Return values from 0 on around a mean, as far as it is unsure, and at least so far."""
    reach = max(_DEVIATIONS * unsure, least)
    around: list[float] = np.linspace(max(mean - reach, 0.0), mean + reach, _VALUES).tolist()
    return around


def _weighed(
    moved: Floats, seen: Floats, ways: list[Numbers], noises: list[Numbers], gain: float
) -> tuple[Fit, list[Numbers]]:
    """Return what all combinations of noise with a lag and two plays tell together.

    The second result is the noises that explain anything.

    Args:
        moved: (n, 2) where the knob stood, from its first place, in full actions.
        seen: (n, 2) where the disk stood, from its first place, in px.
        ways: lag and the two plays.
        noises: from frame to frame, of a move, and what adds up.
        gain: see `fit`.
    """
    rough = float(np.linalg.norm(seen)) / max(float(np.linalg.norm(moved)), 1e-12)
    spread = min(rough, gain)
    # Scaled so that each coefficient is expected to be of the order of 1.
    designs = np.stack([_design(moved, *way, gain=gain, spread=spread) for way in ways], axis=1)
    white = np.linalg.inv(np.linalg.cholesky(_covariances(moved, noises, spread)))
    columns = np.moveaxis(np.tensordot(white, designs, axes=1), 1, -2)
    seen_white = white @ seen
    normal = columns.swapaxes(-1, -2) @ columns + np.eye(designs.shape[-1])
    left = np.linalg.inv(normal)
    right = columns.swapaxes(-1, -2) @ seen_white[:, None]
    solved = left @ right
    square = np.sum(seen_white**2, axis=(-1, -2))[:, None] - np.sum(right * solved, axis=(-1, -2))
    volume = 2 * np.log(np.diagonal(white, axis1=-2, axis2=-1)).sum(axis=-1)[:, None]
    explains = volume - np.linalg.slogdet(normal)[1] - 0.5 * square
    weights = np.exp(explains - explains.max())
    weights /= weights.sum()
    by_noise = weights.sum(axis=1)
    told = Fit(
        **_mixed(weights, gain * solved[..., 1:3, :], gain**2 * left[..., 1:3, 1:3]),
        **_ways_of(weights.sum(axis=0), np.array(ways)),
        noise_px=float(by_noise @ np.array(noises)[:, 0]),
    )
    return told, [noise for noise, weight in zip(noises, by_noise, strict=True) if weight > _TINY]


def _mixed(weights: Floats, means: Floats, covariances: Floats) -> dict[str, Any]:
    """Return response and covariance of all (h, d) combinations together."""
    response = np.einsum("hd,hdij->ji", weights, means)
    away = np.sqrt(weights)[..., None, None] * (means.swapaxes(-1, -2) - response)
    covariance = np.einsum("hd,hdjm->jm", weights, covariances)
    covariance = covariance + np.einsum("hdij,hdim->ijm", away, away)
    return {"response": response, "covariance": _COVERS**2 * covariance}


def _ways_of(weights: Floats, ways: Floats) -> dict[str, Any]:
    """Return lag and play of all (d,) combinations together."""
    middle = weights @ ways
    unsure = np.hypot(np.sqrt(weights @ (ways - middle) ** 2), _FINEST)
    return {
        "lag": (float(middle[0]), float(unsure[0])),
        "play": np.stack([middle[1:], unsure[1:]]),
    }


def _covariances(moved: Floats, noises: list[Numbers], spread: float) -> Floats:
    """Return (h, n, n) covariances of the places of the frames, one for each kind of noise."""
    count = len(moved)
    steps = np.abs(np.diff(moved, axis=0, prepend=moved[:1])).max(axis=1)
    errors, walks = (np.minimum.outer(t, t) for t in (np.cumsum(steps**2), np.arange(count) * 1.0))
    return np.stack(
        [
            shake**2 * np.eye(count) + (error * spread) ** 2 * errors + walk**2 * walks
            for shake, error, walk in noises
        ]
    )


def _design(
    moved: Floats, lag: float, play_x: float, play_y: float, *, gain: float, spread: float
) -> Floats:
    """Return (n, 5): what place, two knob axes, drift, and play before the first move add."""
    half = np.array([play_x, play_y])
    rows, at, settled = np.zeros((len(moved), 5)), np.zeros(2), np.zeros(2)
    for number, command in enumerate(moved):
        at = np.clip(at, command - half, command + half)
        settled = at + lag * (settled - at)
        rows[number, 1:3] = gain * settled
    rows[:, 0] = _FREE_PX
    rows[:, 3] = _DRIFT_PX * np.arange(len(moved))
    rows[0, 4] = spread * np.hypot(play_x, play_y) / np.sqrt(3)
    return rows
