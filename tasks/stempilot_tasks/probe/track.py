"""Where the defocus is, by frames that do not tell its sign and moves that are not quite exact.

Each guess is a defocus and a scale of the focus knob with their covariance (a Kalman filter); a
frame that tells ``|C1|`` splits each in two, over focus and under it. Nothing but plain numbers.
"""

import math
from typing import Final

from attrs import frozen

_SCALE_DOUBT, _SCATTER = 0.06, 0.03
"""Standard deviations of the knob's scale about 1, and of a move as a share of it."""

_UNTOLD_M, _FADES_M = 5e-8, 1e-8
"""Closer to focus than this most frames do not tell the defocus, and how sharply that sets in."""

_MISSED: Final = 0.02
"""Probability that a frame tells nothing although the defocus is large enough."""

_WILD: Final = 1e-12
"""Likelihood, per nm, of a frame that none of the guesses explains."""

_MOST, _LEAST = 4, 1e-9
"""Guesses that are kept, and the smallest weight of one."""


@frozen
class Guess:
    """One guess; in m.

    Attributes:
        weight: its probability.
        c1: defocus.
        scale: change of the defocus over that of the knob.
        vc: variance of the defocus.
        vs: variance of the scale.
        vcs: their covariance.
    """

    weight: float
    c1: float
    scale: float
    vc: float
    vs: float
    vcs: float

    @property
    def deviation(self) -> float:
        """Standard deviation of the defocus."""
        return math.sqrt(self.vc)

    def moved(self, change_m: float) -> "Guess":
        """Return the guess after a move of the knob."""
        noise = (_SCATTER * change_m) ** 2
        return Guess(
            self.weight,
            self.c1 + self.scale * change_m,
            self.scale,
            self.vc + 2 * change_m * self.vcs + change_m**2 * self.vs + noise,
            self.vs,
            self.vcs + change_m * self.vs,
        )

    def told(self, c1_m: float, deviation_m: float) -> "Guess":
        """Return the guess after a frame that tells a signed defocus."""
        variance = self.vc + deviation_m**2
        off = c1_m - self.c1
        likelihood = math.exp(-0.5 * off * off / variance) / math.sqrt(variance)
        gain_c, gain_s = self.vc / variance, self.vcs / variance
        return Guess(
            self.weight * (likelihood * 1e-9 + _WILD),
            self.c1 + gain_c * off,
            self.scale + gain_s * off,
            self.vc * (1 - gain_c),
            self.vs - gain_s * self.vcs,
            self.vcs * (1 - gain_c),
        )

    def untold(self) -> "Guess":
        """Return the guess after a frame that tells nothing: it may be near focus."""
        near = _normal((_UNTOLD_M - self.c1) / math.hypot(self.deviation, _FADES_M)) - _normal(
            (-_UNTOLD_M - self.c1) / math.hypot(self.deviation, _FADES_M)
        )
        pulled = self if self.deviation < _UNTOLD_M / 2 else self.told(0.0, _UNTOLD_M)
        weight = self.weight * (near + _MISSED * (1 - near))
        return Guess(weight, pulled.c1, pulled.scale, pulled.vc, pulled.vs, pulled.vcs)


Track = tuple[Guess, ...]


def begin(c1_m: float | None, deviation_m: float) -> Track:
    """Return the guesses after a first frame."""
    doubt = _SCALE_DOUBT**2
    if c1_m is None:
        return (Guess(1.0, 0.0, 1.0, (0.7 * _UNTOLD_M) ** 2, doubt, 0.0),)
    variance = deviation_m**2
    return tuple(Guess(0.5, sign * c1_m, 1.0, variance, doubt, 0.0) for sign in (-1.0, 1.0))


def follow(track: Track, change_m: float, c1_m: float | None, deviation_m: float) -> Track:
    """Return the guesses after a move of the knob and a frame, the most probable one first."""
    moved = [guess.moved(change_m) for guess in track]
    if c1_m is None:
        seen = [guess.untold() for guess in moved]
    else:
        seen = [guess.told(sign * c1_m, deviation_m) for guess in moved for sign in (-1.0, 1.0)]
    seen.sort(key=lambda guess: -guess.weight)
    total = sum(guess.weight for guess in seen)
    kept = [guess for guess in seen[:_MOST] if guess.weight > _LEAST * total]
    total = sum(guess.weight for guess in kept)
    return tuple(
        Guess(guess.weight / total, guess.c1, guess.scale, guess.vc, guess.vs, guess.vcs)
        for guess in kept
    )


def doubt(track: Track) -> float:
    """Return the probability that the best guess has the wrong sign, or is wrong altogether."""
    best = track[0]
    alike = sum(
        guess.weight for guess in track if abs(guess.c1 - best.c1) < 2 * best.deviation + 1e-9
    )
    return max(1.0 - alike, 0.0)


def _normal(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))
