"""Random faults, several at a time: however a job ends, it ends, and says truly how.

``STEMPILOT_SCHEDULES=1000`` plays so many instead of 50; the number of a schedule, in the name of
its test, is its seed.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from tests.sampling import sampled
from tests.wire.virtual import (
    BASELINE,
    DEADLINE_S,
    SHIFT,
    carried_out,
    check_record,
    check_safety,
    job,
    near,
    themis,
    untouched_since_turned,
)

from stempilot.testing import FAULTS, Fault

SCHEDULES = int(os.environ.get("STEMPILOT_SCHEDULES", "50"))
FIRST_FRAMES = 5
"""A frame that is dark from the start is the task's business; from the second on it is a fault."""


def drawn(rng: np.random.Generator) -> list[Fault]:
    """Return up to three faults of the table that strike at other times than there."""
    chosen = rng.choice(len(FAULTS), size=int(rng.integers(1, 4)), replace=False)
    return [_elsewhere(FAULTS[int(index)], rng) for index in chosen]


def _elsewhere(one: Fault, rng: np.random.Generator) -> Fault:
    first = FIRST_FRAMES if one.role in {"acquire", "any"} else 3
    times = one.times if one.times == 0 else int(rng.integers(1, 4))
    turn = tuple(float(item) for item in rng.uniform(-0.01, 0.01, 2))
    return evolve(one, after=first + int(rng.integers(0, 12)), times=times, turn=turn)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", sampled(range(SCHEDULES), 10))
def test_a_schedule_of_faults_ends_well(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    kind = ("run", "train")[int(rng.integers(2))]
    faults = drawn(rng)
    with themis() as (emulator, url):
        for one in faults:
            emulator.inject(one)
        ended = carried_out(job(kind, url, tmp_path))
        told = f"{kind} {[one.name for one in faults]} struck {emulator.struck()}: {ended.how}"
        assert ended.how != "misjudged", told
        assert ended.took_s < 3 * DEADLINE_S, told
        theirs = any(one.yields for one in faults) and untouched_since_turned(emulator)
        kept = kind == "run" and ended.how == "recovered"
        if ended.how != "not_restored" and not kept:
            assert near(emulator.position(SHIFT), BASELINE) or theirs, told
        if not emulator.struck():
            assert ended.how == "recovered", told
        check_safety(emulator)
        check_record(ended, emulator)
