"""What a policy knows of an unseen instrument: recursive statistics of its own moves.

Lengths are half fields, vectors complex numbers x + iy, and a command of 1 is one that nominally
moves by a half field. The response is taken for nearly a rotation and a scale, mirrored or not:
a displacement is ``m1 x + m2 x*`` (first hand) or ``m1 x* + m2 x`` (second hand) with a small
``m2``. For each of a few lags and both hands the two numbers are a running ridge regression.
Nothing here decides anything.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from attrs import fields, frozen

from stempilot import Centre

Floats = npt.NDArray[np.floating[Any]]
Vectors = npt.NDArray[np.complexfloating[Any, Any]]
Flags = npt.NDArray[np.bool_]

LAGS: Floats = np.array([0.0, 0.2, 0.4], np.float32)
"""Shares of a move that may still be to come at the exposure after it; the hypotheses."""

_LARGEST_GAIN2 = 4.0
"""Variance of a component of ``m1`` before anything is known."""
_SKEW = 0.06
_KEPT = 0.95
"""Share of their weight that older moves keep with each further one."""
_READING = 0.2
"""Scatter of a displacement, per component, in tolerances."""
_ROUNDING2 = 1 / 6
"""Variance of the difference of two rounded numbers."""
_ACTION_NOISE = 0.05
_DOUBT = 0.05
"""Share of any prediction by which it may be wrong when hypotheses are compared."""
_SMALLEST_MISS, _LARGEST_MISS = 2.5, 20.0
"""From where a miss contradicts what is known, and what counts of a single one, in usual ones."""
_KNOWN, _WELL_KNOWN = 2.0, 8.0
"""How many moves have to be known before misses are usual, and before one can contradict."""
_PLAY = 1 / 6
"""Half width of the play that is followed, in tolerances."""


def squared(z: Vectors) -> Floats:
    """Return squared lengths."""
    return z.real**2 + z.imag**2


def complexes(pairs: npt.NDArray[Any]) -> Vectors:
    """Return (..., 2) as (...) complex numbers."""
    return np.asarray(pairs[..., 0] + 1j * pairs[..., 1], np.complex64)


@frozen(kw_only=True, eq=False)
class Field:
    """Where n episodes take place; each is (n,).

    Attributes:
        unit: a half field, in the observation's unit.
        lower: edges on the low side, x + iy.
        upper: edges on the high side.
        tolerance: largest length of a residual that counts as none.
        full: what a full action along one axis is nominally expected to move.
        reading2: variance expected of a component of a displacement without any move.
    """

    unit: Floats
    lower: Vectors
    upper: Vectors
    tolerance: Floats
    full: Floats
    reading2: Floats

    @classmethod
    def of(cls, goal: Centre, count: int = 1) -> Self:
        """Return the field of a task on two axes with finite edges and a nominal response."""
        lower, upper = np.array(goal.edges[0]), np.array(goal.edges[1])
        unit = float(np.mean(upper - lower)) / 2
        tolerance = goal.tolerance / unit
        reading2 = (_READING * tolerance) ** 2 + _ROUNDING2 * (goal.resolution / unit) ** 2

        def everywhere(value: Any, kind: type[Any] = np.float32) -> npt.NDArray[Any]:
            return np.full(count, value, kind)

        return cls(
            unit=everywhere(unit),
            lower=everywhere(complexes(lower / unit), np.complex64),
            upper=everywhere(complexes(upper / unit), np.complex64),
            tolerance=everywhere(tolerance),
            full=everywhere((goal.full_action or 0.0) / unit),
            reading2=everywhere(reading2),
        )

    @classmethod
    def joined(cls, parts: "list[Field]") -> Self:
        """Return the fields of several tasks, one after the other."""
        names = [each.name for each in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


@frozen(kw_only=True, eq=False)
class Response:
    """What the statistics say of the response, (n, lags, hands) unless said otherwise.

    Attributes:
        m1: the larger part.
        m2: the smaller part.
        gain2: (n,) squared gain by moves and displacements alone.
        variance1: (n, lags) variance of ``m1``, in multiples of a displacement's.
        variance: (n, lags) of both parts together.
    """

    m1: Vectors
    m2: Vectors
    gain2: Floats
    variance1: Floats
    variance: Floats


_EACH, _EACH_LAG = (), (len(LAGS),)
_STATISTICS: Mapping[str, tuple[tuple[int, ...], type[np.generic]]] = {
    "before": (_EACH, np.complex64),
    "last": (_EACH, np.complex64),
    "moved": (_EACH, np.complex64),
    "command": (_EACH, np.complex64),
    "settled": (_EACH_LAG, np.complex64),
    "play": (_EACH, np.complex64),
    "count": (_EACH, np.float32),
    "surprise": (_EACH, np.float32),
    "usual": (_EACH, np.float32),
    "contradiction": (_EACH, np.float32),
    "score": ((len(LAGS), 2), np.float32),
    "_acted": (_EACH, np.bool_),
    "_x": (_EACH_LAG, np.complex64),
    "_xx": (_EACH_LAG, np.float32),
    "_cc": (_EACH_LAG, np.complex64),
    "_cd": (_EACH_LAG, np.complex64),
    "_xd": (_EACH_LAG, np.complex64),
    "_moved2": (_EACH, np.float32),
    "_asked2": (_EACH, np.float32),
}
"""Everything that an episode leaves in a `Memory`: shape beside n, and kind."""

_OF_AN_EPISODE = (
    "before",
    "last",
    "moved",
    "command",
    "settled",
    "play",
    "surprise",
    "_acted",
    "_x",
)
"""What of it says nothing of the response."""


class Memory:
    """Statistics of n episodes side by side: `begin`, then `observe`, `act`, `observe`, ...

    Args:
        field: where the episodes take place.

    Attributes:
        field: the same.
        before: (n,) the last residual.
        last: (n,) the last action, in full actions.
        moved: (n,) the last displacement.
        command: (n,) the sum of all actions, in half fields.
        settled: (n, lags) what of it is carried out.
        play: (n,) where in its play each axis stands.
        count: (n,) how many moves are known, older ones for less.
        surprise: (n,) how little the best hypothesis foresaw of late.
        usual: (n,) how little the one foresees that is the likeliest, as a rule; like the next,
            it outlasts an episode.
        contradiction: (n,) how much less it foresaw of late, summed up (Page's CUSUM).
        score: (n, lags, hands) how well each hypothesis foresaw the moves.
        response: what is known of the response.
    """

    before: Vectors
    last: Vectors
    moved: Vectors
    command: Vectors
    settled: Vectors
    play: Vectors
    count: Floats
    surprise: Floats
    usual: Floats
    contradiction: Floats
    score: Floats
    response: Response
    _acted: Flags
    _x: Vectors
    _xx: Floats
    _cc: Vectors
    _cd: Vectors
    _xd: Vectors
    _moved2: Floats
    _asked2: Floats

    def __init__(self, field: Field) -> None:
        self.field = field
        for name, (shape, kind) in _STATISTICS.items():
            setattr(self, name, np.zeros((len(field.full), *shape), kind))
        self._solve()

    @property
    def play_width(self) -> Floats:
        """Half width of the play that `play` follows, (n,)."""
        return np.asarray(self.field.tolerance * _PLAY, np.float32)

    def begin(self, which: Flags) -> None:
        """Forget some episodes; the next residual is the first of another one."""
        self._forget(which, _STATISTICS)

    def begin_again(self, which: Flags) -> None:
        """Begin another episode on some instruments; what is known of their response stays."""
        self._forget(which, _OF_AN_EPISODE)

    def _forget(self, which: Flags, names: Iterable[str]) -> None:
        if which.any():
            for name in names:
                getattr(self, name)[which] = 0

    def act(self, action: Vectors) -> None:
        """Note the actions (n,), in full actions, that are carried out next."""
        move = action * self.field.full
        self.last = action
        self.command = self.command + move
        settled = self.settled + (1 - LAGS) * (self.command[:, None] - self.settled)
        self._x, self.settled = settled - self.settled, settled
        half, play = self.play_width, self.play + move
        x, y = np.clip(play.real, -half, half), np.clip(play.imag, -half, half)
        self.play = np.asarray(x + 1j * y, np.complex64)
        self._acted[:] = True

    def observe(self, residual: Vectors) -> None:
        """Note the residuals (n,), in half fields, at the start or after the actions."""
        live = self._acted
        moved = np.asarray(np.where(live, residual - self.before, 0), np.complex64)
        asked2 = squared(self.last) * self.field.full**2
        own = np.minimum(squared(moved) / np.maximum(asked2, 1e-12), _LARGEST_GAIN2 * 4)
        gain2 = np.where(self.count > 0, self.response.gain2, own)
        largest = np.maximum(np.abs(self.last.real), np.abs(self.last.imag)) * self.field.full
        variance = self.field.reading2 + gain2 * (_ACTION_NOISE * largest) ** 2
        self._compare(moved, variance, live)
        kept = np.where(live, np.float32(_KEPT), np.float32(1))
        weight = np.where(live, 1 / variance, np.float32(0))
        self._add(moved, weight[:, None], kept[:, None])
        self._moved2 = kept * self._moved2 + weight * squared(moved)
        self._asked2 = kept * self._asked2 + weight * asked2
        self.count = kept * self.count + live
        self.moved, self.before = moved, residual
        self._solve()

    def _add(self, moved: Vectors, weight: Floats, kept: Floats) -> None:
        """Add the last move to the sums of the regressions."""
        x, d = self._x, moved[:, None]
        weighted, mirrored = weight * x, weight * x.conj()
        self._xx = kept * self._xx + (mirrored * x).real
        self._cc = kept * self._cc + mirrored * x.conj()
        self._cd = kept * self._cd + mirrored * d
        self._xd = kept * self._xd + weighted * d

    def _compare(self, moved: Vectors, variance: Floats, live: Flags) -> None:
        """Add to the score of each hypothesis how well it foresaw the displacement."""
        known, x, mirrored = self.response, self._x, self._x.conj()
        foreseen = np.stack(
            [
                known.m1[..., 0] * x + known.m2[..., 0] * mirrored,
                known.m1[..., 1] * mirrored + known.m2[..., 1] * x,
            ],
            -1,
        )
        error2 = squared(moved[:, None, None] - foreseen)
        doubt = (squared(x) * known.variance)[..., None] + _DOUBT**2 * squared(foreseen)
        total = doubt + variance[:, None, None]
        missed = 0.5 * error2 / total
        density = -missed - np.log(total)
        density -= density.max((1, 2), keepdims=True)
        likeliest = self.score.reshape(len(live), -1).argmax(1)[:, None]
        score = _KEPT * self.score + np.maximum(density, -15)
        self.score = np.where(live[:, None, None], score, self.score)
        judged = live & (self.count > 0)
        odd = np.minimum(missed.min((1, 2)), 10)
        self.surprise = np.where(judged, 0.7 * self.surprise + 0.3 * odd, self.surprise)
        own = np.take_along_axis(missed.reshape(len(live), -1), likeliest, 1)[:, 0]
        self._contradict(np.minimum(own, 30), judged)

    def _contradict(self, missed: Floats, judged: Flags) -> None:
        """Note how little the likeliest hypothesis foresaw."""
        beyond = np.minimum(missed / (1 + self.usual), _LARGEST_MISS) - _SMALLEST_MISS
        summed = np.maximum(self.contradiction + beyond, 0)
        well_known = judged & (self.count > _WELL_KNOWN)
        self.contradiction = np.where(well_known, summed, self.contradiction)
        known = judged & (self.count > _KNOWN)
        self.usual = np.where(known, _KEPT * self.usual + (1 - _KEPT) * missed, self.usual)

    def _solve(self) -> None:
        """Solve the regressions, in which ``m2`` is expected to be small beside the gain."""
        seen = self._moved2 / np.maximum(self._asked2, 1e-12)
        known = np.minimum(seen, np.float32(_LARGEST_GAIN2))
        gain2 = np.where(self.count > 0, known, np.float32(_LARGEST_GAIN2))
        a1 = self._xx + 1 / (2 * _LARGEST_GAIN2)
        a2 = self._xx + 1 / np.maximum(_SKEW**2 * gain2, 1e-7)[:, None]
        cc, b1, b2 = self._cc, self._cd, self._xd
        inverse = 1 / np.maximum(a1 * a2 - squared(cc), 1e-6 * a1 * a2)
        m1 = [(a2 * b1 - cc * b2) * inverse, (a2 * b2 - cc.conj() * b1) * inverse]
        m2 = [(a1 * b2 - cc.conj() * b1) * inverse, (a1 * b1 - cc * b2) * inverse]
        self.response = Response(
            m1=np.stack(m1, -1),
            m2=np.stack(m2, -1),
            gain2=gain2,
            variance1=a2 * inverse,
            variance=(a1 + a2) * inverse,
        )
