import numpy as np
import pytest
from hypothesis import given, strategies as st

from stempilot_tasks.bf_disk_centering.config import RewardKind
from stempilot_tasks.bf_disk_centering.reward import reward, verdict

KINDS: tuple[RewardKind, ...] = ("informative", "non-informative", "sparse")
lengths = st.floats(0, 200)


def running(kind: RewardKind, before: float, after: float) -> float:
    return float(reward(kind, before, after, success=False, failure=False, size=128))


@pytest.mark.parametrize(
    ("kind", "nearer", "equal", "farther"),
    [
        ("informative", 1 - 32 / 128, 1 - 64 / 128, -1 - 96 / 128),
        ("non-informative", 1, 1, -1),
        ("sparse", 0, 0, 0),
    ],
)
def test_stepwise_reward(kind: RewardKind, nearer: float, equal: float, farther: float) -> None:
    assert running(kind, 64, 32) == nearer
    assert running(kind, 64, 64) == equal
    assert running(kind, 64, 96) == farther


@pytest.mark.parametrize("kind", KINDS)
@given(before=lengths, after=lengths)
def test_terminal_rewards_replace_the_stepwise_one(
    kind: RewardKind, before: float, after: float
) -> None:
    assert reward(kind, before, after, success=True, failure=False, size=128) == 100
    assert reward(kind, before, after, success=False, failure=True, size=128) == -100


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_equals_the_loop_over_it(kind: RewardKind) -> None:
    rng = np.random.default_rng(2)
    before, after = rng.uniform(0, 128, (2, 5, 4))
    success = rng.random((5, 4)) < 0.3
    failure = ~success & (rng.random((5, 4)) < 0.3)
    batch = reward(kind, before, after, success=success, failure=failure, size=128)
    assert batch.shape == (5, 4)
    for i in np.ndindex(5, 4):
        one = reward(kind, before[i], after[i], success=success[i], failure=failure[i], size=128)
        assert batch[i] == one


def test_distance_equal_to_the_tolerance_is_centred() -> None:
    assert verdict(3.0, 3.0, lost=False) == (True, False)
    assert verdict(3.0 * (1 + 1e-12), 3.0, lost=False) == (True, False)
    assert verdict(3.000001, 3.0, lost=False) == (False, False)
    assert verdict(0.0, 0.0, lost=False) == (True, False)


def test_a_lost_disk_fails_wherever_it_was_last_seen() -> None:
    assert verdict(0.0, 3.0, lost=True) == (False, True)
    assert verdict(50.0, 3.0, lost=True, steps=1, step_limit=9) == (False, True)


def test_steps_run_out_unless_the_last_one_centres() -> None:
    assert verdict(50.0, 3.0, lost=False, steps=8, step_limit=9) == (False, False)
    assert verdict(50.0, 3.0, lost=False, steps=9, step_limit=9) == (False, True)
    assert verdict(1.0, 3.0, lost=False, steps=9, step_limit=9) == (True, False)
    assert verdict(50.0, 3.0, lost=False, steps=9999) == (False, False)


@pytest.mark.parametrize("step_limit", [None, 5])
def test_a_batch_of_verdicts_equals_the_loop_over_it(step_limit: int | None) -> None:
    rng = np.random.default_rng(3)
    length, lost = rng.uniform(0, 6, (6, 3)), rng.random((6, 3)) < 0.3
    steps = rng.integers(3, 8, (6, 3))
    success, failure = verdict(length, 3.0, lost, steps=steps, step_limit=step_limit)
    assert not np.logical_and(success, failure).any()
    for i in np.ndindex(6, 3):
        one = verdict(length[i], 3.0, lost[i], steps=steps[i], step_limit=step_limit)
        assert (np.asarray(success)[i], np.asarray(failure)[i]) == one
