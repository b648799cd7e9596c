"""The move that serves either mirror best while it is not known; at first a probe.

What either hand asks for, what they agree on and a coarse grid are weighed: the steps that each
hand would still need after them, what it costs to lose the feature, and what they tell of the hand.
"""

import numpy as np
import numpy.typing as npt

from stempilot_agents.universal.memory import Floats, Memory, Vectors, squared
from stempilot_agents.universal.mirror import Hands

_GRID = np.array(
    [complex(x, y) for x in np.linspace(-1, 1, 5) for y in np.linspace(-1, 1, 5)], np.complex64
)
"""Further moves that are weighed, in what the hands ask for at most."""
_PROBE = np.complex64(np.exp(1j * np.deg2rad(57.0)))
"""Direction of a first probe. The next move does for both hands what they agree on, which is most
along a diagonal; this one is so far from it that the two hands can be told apart after that."""
_REACH, _LEAST, _MOST = 0.2, 0.17, 1.15
"""How long it is: in distances from the nearest edge; at least, in tolerances; at most, in full
actions."""
_LOST = 60.0
"""What losing the feature costs, in steps."""
_UNTOLD = 0.5
"""What it costs to know no more of the hand than before, in steps."""
_ARRIVED = 0.7
"""Share of the tolerance that the count of steps aims at."""
_LAST = 0.3
"""What an expected end costs, in steps: it may not come."""
_LEFT = 0.05
"""What is left costs so much more for each full action, so that neither axis is forgotten."""
_TIE = 0.0002
"""What each candidate costs more than the one before, in steps."""
_SCATTER = 0.07
"""Share of a displacement by which it may differ from what is expected."""


def hedged(memory: Memory, hands: Hands) -> Vectors:
    """Return the moves (n,), in full actions; a probe where nothing is known yet."""
    full = memory.field.full
    wanted = hands.wanted / full[:, None]
    moves = _candidates(wanted)
    displacements = _displacements(hands, moves * full[:, None])
    cost = np.zeros(moves.shape, np.float32)
    for hand, displacement in enumerate(displacements):
        steps = _steps(wanted[:, hand, None] - moves, hands.power[:, hand], memory)
        lost = _lost(memory, displacement, hands.variance[:, hand], moves)
        cost += hands.odds[:, hand, None] * (steps + _LOST * lost)
    cost += _untold(memory, hands, moves, displacements)
    # Rounding must not choose between the two hands before anything told them apart.
    cost += _TIE * np.arange(moves.shape[1], dtype=np.float32)
    best = np.take_along_axis(moves, cost.argmin(1)[:, None], 1)[:, 0]
    return np.where(memory.count > 0, best, _probe(memory))


def _probe(memory: Memory) -> Vectors:
    """Return first moves (n,), in full actions."""
    field = memory.field
    near = _room(memory.before, field.lower, field.upper)
    length = np.maximum(_REACH * near, _LEAST * field.tolerance) / field.full
    probe: Vectors = _PROBE * np.minimum(length, np.float32(_MOST))
    return probe


def _candidates(wanted: Vectors) -> Vectors:
    """Return moves to choose from, (n, m)."""
    limited = np.clip(wanted.real, -1, 1) + 1j * np.clip(wanted.imag, -1, 1)
    largest = np.minimum(np.abs(wanted).max(1, keepdims=True), 1)
    moves = [limited.mean(1, keepdims=True), limited, largest * _GRID]
    return np.concatenate(moves, 1).astype(np.complex64)


def _displacements(hands: Hands, moves: Vectors) -> tuple[Vectors, Vectors]:
    """Return what either hand expects of moves (n, m), in half fields, as displacements."""
    m1, m2, mirrored = hands.m1[..., None], hands.m2[..., None], moves.conj()
    return (
        m1[:, 0] * moves + m2[:, 0] * mirrored,
        m1[:, 1] * mirrored + m2[:, 1] * moves,
    )


def _steps(left: Vectors, power: Floats, memory: Memory) -> Floats:
    """Return how many steps are left, (n, m), where so much is left to be asked for."""
    field = memory.field
    most = np.maximum(np.abs(left.real), np.abs(left.imag))
    far = np.abs(left) * (field.full * np.sqrt(power))[:, None]
    aim = _ARRIVED * field.tolerance[:, None]
    share = np.maximum(far - aim, 0) / np.maximum(far, np.float32(1e-6))
    steps = np.where(far < aim, np.float32(_LAST), np.maximum(most * share + 0.5, 1))
    return np.asarray(steps + np.float32(_LEFT) * np.abs(left), np.float32)


def _lost(memory: Memory, moved: Vectors, variance: Floats, moves: Vectors) -> Floats:
    """Return how probably the feature is lost by moves, (n, m)."""
    field = memory.field
    room = _room(memory.before[:, None] + moved, field.lower[:, None], field.upper[:, None])
    doubt = field.reading2[:, None] + _SCATTER**2 * squared(moved)
    doubt += (variance * field.full**2)[:, None] * squared(moves)
    # A logistic function is near enough to the normal distribution.
    rooms = np.clip(1.7 * room / np.sqrt(doubt), -30, 30)
    return np.asarray(1 / (1 + np.exp(rooms)), np.float32)


def _room(there: Vectors, lower: Vectors, upper: Vectors) -> Floats:
    """Return how far places are from the nearest edge; negative beyond it."""
    x = np.minimum(upper.real - there.real, there.real - lower.real)
    y = np.minimum(upper.imag - there.imag, there.imag - lower.imag)
    return np.asarray(np.minimum(x, y), np.float32)


def _untold(
    memory: Memory, hands: Hands, moves: Vectors, displacements: tuple[Vectors, Vectors]
) -> npt.NDArray[np.floating]:
    """Return the cost of what moves (n, m) leave unknown of the hand."""
    one, two = displacements
    field = memory.field
    doubt = 2 * field.reading2[:, None] + 1.5 * _SCATTER**2 * squared(one)
    doubt += (hands.variance[:, 0] * field.full**2)[:, None] * squared(moves)
    even = 4 * hands.odds[:, 0] * hands.odds[:, 1]
    told = np.exp(-squared(one - two) / (8 * doubt))
    cost: npt.NDArray[np.floating] = _UNTOLD * even[:, None] * told
    return cost
