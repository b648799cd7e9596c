"""What all contract suites share, seen from pytest and without it."""

import subprocess
import sys
from typing import Any
from unittest import SkipTest

import pytest

from stempilot.testing import (
    AgentContract,
    BackendContract,
    Contract,
    ContractError,
    ReadOnlyBackendContract,
    TaskContract,
    ToyBackend,
    run_contract,
)
from stempilot.testing.contract import does_not_apply, expect, is_finite, is_tuple_of

SUITES: list[type[Any]] = [AgentContract, BackendContract, ReadOnlyBackendContract, TaskContract]


class Small(Contract):
    def test_first(self) -> None:
        expect(True, "it holds", None)

    def test_second(self) -> None:
        raise does_not_apply("not offered")

    def test_third(self) -> None:
        expect(len("a") > 2, "1 is above 2", 1)

    def test_fourth(self) -> None:
        """Say what goes wrong.

        At length.
        """
        raise LookupError("gone")


def test_results_say_what_was_found() -> None:
    first, second, third, fourth = run_contract(Small)
    assert (first.check, first.passed, first.message) == ("first", True, "")
    assert (second.passed, second.applies, second.message) == (True, False, "not offered")
    assert (third.passed, third.message) == (False, "the contract says: 1 is above 2; found: 1")
    start = "the contract says: Say what goes wrong; found: LookupError: gone (test_contract.py:"
    assert not fourth.passed
    assert fourth.message.startswith(start)


def test_expectation_that_fails_is_an_assertion_error() -> None:
    with pytest.raises(ContractError, match="the contract says: a; found: b"):
        expect(False, "a", "b")
    assert issubclass(ContractError, AssertionError)


def test_what_does_not_apply_is_skipped_by_any_framework() -> None:
    assert isinstance(does_not_apply("no"), SkipTest)


@pytest.mark.parametrize("suite", SUITES)
def test_suites_themselves_are_not_collected(suite: type[Contract]) -> None:
    assert suite.__test__ is False


def test_only_subclasses_named_test_are_collected() -> None:
    class TestMine(Contract):
        pass

    class Mine(Contract):
        pass

    class TestAbstract(Contract):
        __test__ = False

    assert (TestMine.__test__, Mine.__test__, TestAbstract.__test__) == (True, False, False)


def test_checks_of_base_classes_come_first_and_once() -> None:
    class Derived(Small):
        def test_second(self) -> None:
            """Apply after all."""

        def test_fifth(self) -> None:
            """Come last."""

    assert Derived.checks() == ("test_first", "test_second", "test_third", "test_fourth",
                                "test_fifth")  # fmt: skip
    assert run_contract(Derived)[1].applies


@pytest.mark.parametrize("suite", SUITES)
def test_every_check_has_a_sentence(suite: type[Contract]) -> None:
    for name in suite.checks():
        assert (getattr(suite, name).__doc__ or "").strip(), name


def test_suites_need_no_test_framework_and_work_without_assertions() -> None:
    script = (
        "import sys\n"
        "from stempilot.testing import BackendContract, ToyBackend, run_contract\n"
        "class Suite(BackendContract):\n"
        "    def make(self):\n"
        "        return Broken()\n"
        "class Broken(ToyBackend):\n"
        "    def identity(self):\n"
        "        return {}\n"
        "bad = [r.check for r in run_contract(Suite) if not r.passed]\n"
        "print(bad, sorted({'pytest', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-O", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == "['identity_is_text_and_stays'] []"


@pytest.mark.parametrize(
    ("value", "finite"),
    [(1, True), (0.5, True), (float("nan"), False), (float("inf"), False), (True, False),
     ("1", False), (None, False)],
)  # fmt: skip
def test_finite_numbers(value: object, finite: bool) -> None:
    assert is_finite(value) is finite


def test_tuples_of_a_kind() -> None:
    assert is_tuple_of((1.0, 2.0), float)
    assert is_tuple_of((), float)
    assert not is_tuple_of([1.0], float)
    assert not is_tuple_of((1.0, 2), float)


def test_toys_are_offered_from_one_door() -> None:
    import stempilot.testing

    for name in stempilot.testing.__all__:
        assert hasattr(stempilot.testing, name)
    assert ToyBackend().offers().simulated
