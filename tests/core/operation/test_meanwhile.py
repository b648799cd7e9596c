"""Work beside the instrument: on which thread, how often, and what happens when a side fails."""

import signal
import threading
import time
from typing import Any

import pytest
from tests.core.envs import FULL, REST, Kept, on_desk
from tests.core.fakes import Desk

from stempilot.contract.agent import HasMeanwhile
from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import BackendError
from stempilot.operation.meanwhile import Meanwhile

DEADLINE_S = 20


class Work:
    """Counts its calls and notes their threads."""

    def __init__(self, then: Any = lambda _: None) -> None:
        self.threads: list[int] = []
        self._then = then

    def __call__(self) -> None:
        self.threads.append(threading.get_ident())
        self._then(len(self.threads))


def test_work_is_done_the_asked_number_of_times_when_the_block_ends() -> None:
    beside, work = Meanwhile(), Work(lambda _: time.sleep(0.001))
    beside.ask(work, 7)
    with beside.running():
        pass
    assert (len(work.threads), beside.calls) == (7, 7)
    assert beside.waited_s > 0
    with beside.running():
        pass
    assert len(work.threads) == 7, "asked for once, done once"
    beside.close()


def test_work_runs_while_the_block_waits() -> None:
    beside, done = Meanwhile(), threading.Event()
    beside.ask(done.set, 1)
    with beside.running():
        assert done.wait(DEADLINE_S), "nothing ran beside the block"
    beside.close()


def test_all_work_has_the_same_other_thread() -> None:
    beside, work = Meanwhile(), Work()
    for _ in range(3):
        beside.ask(work, 2)
        with beside.running():
            pass
    assert len(work.threads) == 6
    assert set(work.threads) != {threading.get_ident()}
    assert len(set(work.threads)) == 1
    beside.close()


def test_what_the_work_raises_is_raised() -> None:
    def fail(call: int) -> None:
        if call == 2:
            msg = "diverged"
            raise ArithmeticError(msg)

    beside, work = Meanwhile(), Work(fail)
    beside.ask(work, 5)
    with pytest.raises(ArithmeticError, match="diverged"), beside.running():
        pass
    assert len(work.threads) == 2
    assert beside.calls == 0
    beside.close()


@pytest.mark.parametrize("error", [BackendError("timed out"), KeyboardInterrupt()])
def test_a_block_that_fails_waits_for_one_call_only(error: BaseException) -> None:
    begun = threading.Event()

    def slow(_: int) -> None:
        begun.set()
        time.sleep(0.02)

    beside, work = Meanwhile(), Work(slow)
    beside.ask(work, 10_000)
    started = time.monotonic()
    with pytest.raises(type(error)), beside.running():
        assert begun.wait(DEADLINE_S)
        raise error
    calls = len(work.threads)
    time.sleep(0.05)
    assert len(work.threads) == calls, "it went on afterwards"
    assert time.monotonic() - started < DEADLINE_S
    assert calls < 10_000
    beside.close()


def test_both_sides_failing_names_both() -> None:
    failed = threading.Event()

    def fail(_: int) -> None:
        failed.set()
        msg = "diverged"
        raise ArithmeticError(msg)

    beside = Meanwhile()
    beside.ask(Work(fail), 1)
    with pytest.raises(BackendError, match="timed out") as caught, beside.running():
        assert failed.wait(DEADLINE_S)
        msg = "timed out"
        raise BackendError(msg)
    assert "diverged" in caught.value.__notes__[0]
    beside.close()


def test_interrupt_while_waiting_for_the_work_is_prompt() -> None:
    beside = Meanwhile()
    work = Work(lambda _: time.sleep(0.01))
    beside.ask(work, 100_000)
    alarm = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    alarm.start()
    with pytest.raises(KeyboardInterrupt), beside.running():
        pass
    alarm.join()
    assert len(work.threads) < 100_000
    beside.close()


def test_the_instrument_keeps_its_thread() -> None:
    desk, work, seen = Desk(), Work(), set()
    with on_desk(desk, seed=3) as env:
        desk.before = lambda what, _: seen.add((what, threading.get_ident()))
        env.reset()
        for action in (FULL, REST, FULL):
            env.meanwhile(work, 3)
            env.step(action)
    assert len(work.threads) == 9
    assert {what for what, _ in seen} >= {"read", "write", "acquire"}
    assert {thread for _, thread in seen} == {threading.get_ident()}
    assert threading.get_ident() not in work.threads


def test_work_begins_before_the_instrument_is_done() -> None:
    desk, begun = Desk(), threading.Event()
    waited = []
    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.before = lambda what, _: waited.append(begun.wait(DEADLINE_S))
        env.meanwhile(begun.set, 1)
        env.step(FULL)
    assert all(waited)
    assert waited


def test_a_failing_instrument_with_work_beside_is_put_back() -> None:
    desk, kept, work = Desk(), Kept(), Work(lambda _: time.sleep(0.001))

    def fail(what: str, _: str) -> None:
        if what == "acquire":
            msg = "camera timed out"
            raise BackendError(msg)

    with pytest.raises(BackendError, match="camera timed out"):
        with on_desk(desk, recorder=kept, seed=3) as env:
            env.reset()
            desk.before = fail
            env.meanwhile(work, 100_000)
            env.step(FULL)
    assert [step.step for step in kept.steps] == [0]
    assert len(work.threads) < 100_000
    desk.toy.open()
    assert desk.toy.read(BEAM_SHIFT) == pytest.approx((0, 0), abs=1e-12)


def test_failing_work_puts_the_instrument_back() -> None:
    desk = Desk()

    def fail(_: int) -> None:
        msg = "diverged"
        raise ArithmeticError(msg)

    with pytest.raises(ArithmeticError, match="diverged"):
        with on_desk(desk, seed=3) as env:
            env.reset()
            env.meanwhile(Work(fail), 1)
            env.step(FULL)
    desk.toy.open()
    assert desk.toy.read(BEAM_SHIFT) == pytest.approx((0, 0), abs=1e-12)


@pytest.mark.parametrize("simulated", [True, False])
def test_environments_tell_whether_they_keep_one_waiting(simulated: bool) -> None:
    with on_desk(Desk(simulated=simulated), seed=3) as env:
        assert isinstance(env, HasMeanwhile)
        assert env.waits is not simulated
