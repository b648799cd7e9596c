"""What a policy's network is told: the statistics of `universal_memory` as numbers of order one.

The square of the field has eight symmetries; numbers of the field are turned so that the nearest
edge comes first and lies on the positive side.
"""

from collections.abc import Callable

import numpy as np

from stempilot_agents.universal.hedge import hedged
from stempilot_agents.universal.memory import Floats, Memory, Vectors
from stempilot_agents.universal.mirror import Hands, hands_of

SIZE = 52
"""How many numbers there are."""

HEDGED = (49, 50)
"""Which of them are the move that serves both hands best, x and y."""

WANTED = ((24, 25), (36, 37), (47, 48), HEDGED)
"""Which of them are moves that are asked for, x and y: by the likelier hand, by the less likely
one, by the likelier one if there is no lag, and by both."""

DOUBT = 51
"""Which of them says how little is known, from `_SURE` to 1; the network's own move is so large."""

_SURE = 0.2
_SPREAD = 22
"""Which of them is the share of the likelier hand's response that is not known."""

_PUBLISHED_FULL = 0.0816
"""A full action of the published set-up, in half fields."""

Turned = Callable[[Vectors], tuple[Floats, Floats]]


def features(memory: Memory) -> tuple[Floats, Floats]:
    """Return what the network is told and what its answer is measured in.

    Returns:
        (n, `SIZE`) numbers, and (n,) the command, in half fields, that an answer of 1 means.
    """
    hands = hands_of(memory)
    gain = np.sqrt((hands.odds * (hands.power + hands.variance)).sum(1)) + np.float32(1e-6)
    far = np.maximum(np.abs(memory.before), np.float32(1e-6))
    unit = np.minimum(far / gain, memory.field.full)
    turned, rooms = _facing(memory)
    columns = [*_about_place(memory, turned, rooms, gain, unit)]
    first = hands.odds[:, 0] >= hands.odds[:, 1]
    for likelier in (True, False):
        columns += _about_hand(hands, np.where(first == likelier, 0, 1), turned, gain, unit)
    columns += [_pick(hands.within[:, lag], np.where(first, 0, 1)) for lag in (1, 2)]
    unlagged = _pick(hands.unlagged, np.where(first, 0, 1)) / unit
    both = hedged(memory, hands) * (memory.field.full / unit)
    for wanted in (unlagged, both):
        columns += [np.clip(wanted.real, -2, 2), np.clip(wanted.imag, -2, 2)]
    unknown = 2 * np.sqrt(hands.odds[:, 0] * hands.odds[:, 1]) + columns[_SPREAD]
    columns.append(_SURE + (1 - _SURE) * np.minimum(unknown, 1))
    told = np.empty((len(far), len(columns)), np.float32)
    for number, column in enumerate(columns):
        told[:, number] = column
    return told, unit


def _facing(memory: Memory) -> tuple[Turned, tuple[Floats, Floats]]:
    """Return what turns vectors towards the nearest edge, and how far the two edges are."""
    residual, lower, upper = memory.before, memory.field.lower, memory.field.upper
    rooms, signs = [], []
    for low, at, high in (
        (lower.real, residual.real, upper.real),
        (lower.imag, residual.imag, upper.imag),
    ):
        rooms.append(np.maximum(np.minimum(at - low, high - at), np.float32(0.005)))
        signs.append(np.where(at - low < high - at, np.float32(-1), np.float32(1)))
    swap = rooms[1] < rooms[0]

    def turned(z: Vectors) -> tuple[Floats, Floats]:
        x, y = z.real * signs[0], z.imag * signs[1]
        return np.where(swap, y, x), np.where(swap, x, y)

    nearest, other = np.where(swap, rooms[1], rooms[0]), np.where(swap, rooms[0], rooms[1])
    return turned, (nearest, other)


def _about_place(
    memory: Memory, turned: Turned, rooms: tuple[Floats, Floats], gain: Floats, unit: Floats
) -> list[Floats]:
    field, far = memory.field, np.maximum(np.abs(memory.before), np.float32(1e-6))
    last = memory.last * field.full / unit
    play = memory.play / memory.play_width
    return [
        np.log(far / field.tolerance) / 2,
        np.log(field.full * gain / far) / 4,
        np.log(gain),
        np.log(field.full / _PUBLISHED_FULL) / 4,
        np.minimum(memory.count, 4) / 4,
        np.asarray(memory.count == 0, np.float32),
        np.minimum(memory.count, 1.96),
        memory.surprise / 2,
        *turned(memory.before),
        np.log(rooms[0]) / 3,
        np.log(rooms[1]) / 3,
        np.log(rooms[0] / (gain * field.full)) / 4,
        memory.last.real,
        memory.last.imag,
        np.tanh(last.real),
        np.tanh(last.imag),
        play.real,
        play.imag,
        *(np.tanh(part) for part in turned(memory.moved / far)),
    ]


def _about_hand(
    hands: Hands, which: np.ndarray, turned: Turned, gain: Floats, unit: Floats
) -> list[Floats]:
    m1, m2 = _pick(hands.m1, which), _pick(hands.m2, which)
    wanted = _pick(hands.wanted, which) / unit
    power, variance = _pick(hands.power, which), _pick(hands.variance, which)
    # Where the command's second axis leads is a quarter turn from the first, by the hand.
    quarter = np.where(which == 0, 1j, -1j).astype(np.complex64)
    return [
        _pick(hands.odds, which),
        np.sqrt(variance / (power + variance + np.float32(1e-9))),
        _pick(hands.lag, which) * 2.5,
        np.clip(wanted.real, -2, 2),
        np.clip(wanted.imag, -2, 2),
        np.tanh(wanted.real / 4),
        np.tanh(wanted.imag / 4),
        *turned((m1 + m2) / gain),
        *turned(quarter * (m1 - m2) / gain),
        np.log(power + np.float32(1e-4)) - 2 * np.log(gain),
    ]


def _pick(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return one of the hands of (n, hands)."""
    picked: np.ndarray = np.where(which == 0, values[:, 0], values[:, 1])
    return picked
