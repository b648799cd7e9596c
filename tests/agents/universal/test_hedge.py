"""The move that serves both hands: where they agree, where they do not, and by an edge."""

from typing import Any

import numpy as np
import pytest
from tests.agents.centring_plant import goal

from stempilot_agents.universal import hedge as universal_hedge
from stempilot_agents.universal.hedge import hedged
from stempilot_agents.universal.memory import Field, Memory
from stempilot_agents.universal.mirror import Hands, hands_of

FULL = float(Field.of(goal()).full[0])
GAIN = 1.1


def after(moves: Any, start: Any, response: Any, *, mirrored: Any = False) -> Memory:
    """Return the memory of moves (k, n) of lagless instruments without any noise."""
    response, start = np.atleast_1d(response), np.atleast_1d(start).astype(complex)
    memory = Memory(Field.of(goal(), len(start)))
    memory.observe(start.astype(np.complex64))
    for move in np.asarray(moves).reshape(-1, 1) * np.ones(len(start)):
        memory.act(move.astype(np.complex64))
        start = start + response * np.where(mirrored, move.conj(), move) * FULL
        memory.observe(start.astype(np.complex64))
    return memory


def needed(memory: Memory, hands: Hands) -> Any:
    return hands.wanted / memory.field.full[:, None]


def steps(left: Any) -> Any:
    return np.maximum(np.abs(left.real), np.abs(left.imag))


@pytest.mark.parametrize(
    ("place", "length"),
    [(0.1 - 0.05j, 1.15 * FULL), (0.7 - 0.2j, 0.06), (0.1 - 0.9j, 0.02), (0.99, 0.00416)],
)
def test_first_there_is_a_probe_which_is_shorter_by_an_edge(place: complex, length: float) -> None:
    memory = Memory(Field.of(goal()))
    memory.observe(np.array([place], np.complex64))
    probe = hedged(memory, hands_of(memory))[0]
    assert abs(probe) * FULL == pytest.approx(length, rel=0.02)
    # Neither along an axis nor along a diagonal, where the hands look alike after the next move.
    assert np.angle(probe, deg=True) == pytest.approx(57)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_known_hand_gets_what_it_asks_for(mirrored: bool) -> None:
    moves = [0.7, -0.6j, 0.5 + 0.5j, -0.3]
    memory = after(moves, 0.5 - 0.3j, GAIN * np.exp(0.4j), mirrored=mirrored)
    hands = hands_of(memory)
    assert hands.odds[0, int(mirrored)] > 0.99
    wanted = needed(memory, hands)[0, int(mirrored)]
    limited = np.clip(wanted.real, -1, 1) + 1j * np.clip(wanted.imag, -1, 1)
    assert hedged(memory, hands)[0] == pytest.approx(limited, abs=0.02)


def test_both_hands_come_nearer_where_they_agree() -> None:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    memory = after(
        [0.6 * np.exp(1j * np.pi / 3)], np.full(64, 0.6 + 0j), GAIN * np.exp(1j * angles)
    )
    hands = hands_of(memory)
    np.testing.assert_allclose(hands.odds, 0.5, atol=0.01)
    before = needed(memory, hands)
    won = steps(before) - steps(before - hedged(memory, hands)[:, None])
    assert (won > 0.9).all(1).mean() > 0.5
    # Between two hands one can be taken for the other: two steps are then the most it may cost.
    assert won.min() > -1.01
    assert won.mean() > 0.65


@pytest.mark.parametrize(("cost", "telling"), [(0.3, False), (2.0, True)])
def test_not_knowing_the_hand_has_its_price(
    cost: float, telling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After a move along the diagonal the same again serves both hands and tells nothing.
    monkeypatch.setattr(universal_hedge, "_UNTOLD", cost)
    memory = after([0.6 + 0.6j], 0.6 + 0.6j, -GAIN * np.exp(0.2j))
    hands = hands_of(memory)
    move = hedged(memory, hands)[0]
    apart = abs(hands.m1[0, 0] * move - hands.m1[0, 1] * np.conj(move))
    assert (apart > 0.2 * abs(hands.m1[0, 0] * move)) == telling


def test_neither_hand_is_led_over_an_edge() -> None:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    start = np.full(64, Field.of(goal()).upper[0].real - 0.06)
    memory = after([0.05], start, 2.0 * np.exp(1j * angles))
    hands = hands_of(memory)
    move = hedged(memory, hands) * FULL
    for there in (
        memory.before + hands.m1[:, 0] * move + hands.m2[:, 0] * move.conj(),
        memory.before + hands.m1[:, 1] * move.conj() + hands.m2[:, 1] * move,
    ):
        assert (np.abs(there.real) < memory.field.upper.real).all()


def test_hands_that_are_even_are_not_chosen_by_rounding() -> None:
    start, response = np.full(5, 0.5 + 0.1j), np.full(5, GAIN * np.exp(1.9j))
    together = after([0.5 + 0.2j], start, response)
    alone = after([0.5 + 0.2j], start[:1], response[:1])
    moves = hedged(together, hands_of(together))
    np.testing.assert_allclose(moves, hedged(alone, hands_of(alone))[0], atol=1e-5)
