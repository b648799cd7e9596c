"""The table of faults is complete and makes sense by itself."""

from typing import get_args

import pytest

from stempilot.faults.injection import FOR_GOOD, Effect
from stempilot.plugins import options as config
from stempilot.testing import FAULTS, Fault, fault


def test_names_are_unique_and_found() -> None:
    assert len({one.name for one in FAULTS}) == len(FAULTS)
    assert all(fault(one.name) is one for one in FAULTS)
    with pytest.raises(KeyError):
        fault("no such fault")


def test_each_effect_is_in_the_table() -> None:
    assert {one.effect for one in FAULTS} == set(get_args(Effect))


@pytest.mark.parametrize("one", FAULTS, ids=lambda one: one.name)
def test_each_says_what_happens_and_how_it_may_end(one: Fault) -> None:
    assert one.summary
    assert one.summary[0].islower()
    assert one.endings
    assert len(set(one.endings)) == len(one.endings)
    timed = one.effect in {"latency", "refuse", "restart", "competitor", "clock-jump"}
    assert bool(one.seconds) is timed


@pytest.mark.parametrize("one", FAULTS, ids=lambda one: one.name)
def test_each_is_plain_data(one: Fault) -> None:
    assert config.build(Fault, config.plain(one), section="fault") == one


@pytest.mark.parametrize("values", [{"after": -1}, {"times": -1}, {"at_s": -0.1}])
def test_what_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Fault(name="x", summary="", effect="latency", **values)


def test_for_good_is_no_number_of_times() -> None:
    assert FOR_GOOD == 0
