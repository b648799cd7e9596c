"""Every fault of the table, in a run and in a training: it ends as the table says."""

from pathlib import Path

import pytest
from tests.sampling import sampled
from tests.wire.virtual import carried_out, check_ending, check_record, check_safety, job, themis

from stempilot.record.log import LOG
from stempilot.testing import FAULTS, Fault

KINDS = ("run", "train")
QUICK = {"reset-after-write", "restart", "error-on-frame", "short-frame", "dark-frame", "operator"}
UNNOTICED = {"latency", "competitor", "clock-jump"}
"""What a client need not tell from an instrument that takes its time."""


def marks(kind: str, one: Fault) -> list[pytest.MarkDecorator]:
    """Return what makes it slow, if anything."""
    return [] if kind == "run" and one.name in QUICK else [pytest.mark.slow]


MATRIX = [
    pytest.param(kind, one, id=f"{one.name}-{kind}", marks=marks(kind, one))
    for one in FAULTS
    for kind in KINDS
]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_fault_the_job_is_long_enough_for_all(kind: str, tmp_path: Path) -> None:
    with themis() as (emulator, url):
        ended = carried_out(job(kind, url, tmp_path))
        check_safety(emulator)
        check_record(ended, emulator)
    assert ended.how == "recovered", ended.error
    assert len(ended.events) > 6


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("kind", "one"), sampled(MATRIX, 5))
def test_each_fault_ends_as_the_table_says(kind: str, one: Fault, tmp_path: Path) -> None:
    with themis() as (emulator, url):
        emulator.inject(one)
        ended = carried_out(job(kind, url, tmp_path))
        check_ending(ended, emulator, one, kind)
        if ended.how == "recovered" and one.effect not in UNNOTICED:
            [log] = tmp_path.rglob(LOG)
            assert " stempilot" in log.read_text("utf-8"), "in silence"
        check_safety(emulator)
        check_record(ended, emulator)
