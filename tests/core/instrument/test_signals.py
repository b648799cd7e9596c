"""Ctrl-C and SIGTERM are held back, asked for once, or raised; and handlers are given back."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest

from stempilot.instrument import signals
from stempilot.instrument.signals import (
    Terminated,
    interrupts_once,
    raise_held_back,
    signals_deferred,
    stop_requests,
)

hangs_up = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")


@pytest.fixture(autouse=True)
def handlers_are_given_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signals._SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in signals._SIGNALS} == before


def test_sigterm_raises_like_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, interrupts_once():
        signal.raise_signal(signal.SIGTERM)
    assert caught.type is Terminated


def test_blocks_may_end_in_any_order() -> None:
    before = signal.getsignal(signal.SIGTERM)
    first, second = interrupts_once(), interrupts_once()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)
    second.__exit__(None, None, None)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_on_the_way_from_the_first_ctrl_c_nothing_interrupts(second: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_once():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(second)
            done.append("put back")
    assert done == ["put back"]


def test_a_run_that_catches_the_first_ctrl_c_and_goes_on_meets_the_second() -> None:
    with pytest.raises(Terminated), interrupts_once():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        raise_held_back()
        pytest.fail("it was held back for good")


def test_a_run_that_went_on_is_interrupted_at_once_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with interrupts_once():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            raise_held_back()
        monkeypatch.setattr(signals, "HOLD_S", 0.0)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


def test_a_program_in_the_background_can_be_stopped_too() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_once():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@hangs_up
def test_a_terminal_that_closes_stops_a_run_cleanly() -> None:
    with stop_requests() as stop_asked:
        signal.raise_signal(signal.SIGHUP)
        assert stop_asked()
    done = []
    with pytest.raises(Terminated), interrupts_once(), signals_deferred():
        signal.raise_signal(signal.SIGHUP)
        done.append("put back")
    assert done == ["put back"]


@hangs_up
def test_a_program_that_is_to_outlive_its_terminal_does() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts_once(), stop_requests() as stop_asked, signals_deferred():
            signal.raise_signal(signal.SIGHUP)
        assert not stop_asked()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_is_held_back_outside() -> None:
    raise_held_back()
    with interrupts_once():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    with interrupts_once():
        raise_held_back()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_wait_until_the_block_is_done(number: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_once(), signals_deferred():
        signal.raise_signal(number)
        done.append("first")
        signal.raise_signal(number)
        done.append("second")
    assert done == ["first", "second"]


def test_without_a_signal_nothing_is_raised() -> None:
    with signals_deferred():
        pass


def test_an_error_inside_goes_before_the_signal() -> None:
    with pytest.raises(ValueError, match="mine"), signals_deferred():
        signal.raise_signal(signal.SIGINT)
        msg = "mine"
        raise ValueError(msg)


def test_blocks_that_defer_may_nest() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), signals_deferred():
        with signals_deferred():
            signal.raise_signal(signal.SIGINT)
        done.append("outer goes on")
    assert done == ["outer goes on"]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_raises(first: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), stop_requests() as stop_asked:
        assert not stop_asked()
        signal.raise_signal(first)
        assert stop_asked()
        signal.raise_signal(signal.SIGINT)


def test_a_stop_that_was_asked_for_stays_asked_for() -> None:
    with stop_requests() as stop_asked:
        signal.raise_signal(signal.SIGINT)
    assert stop_asked()


def test_in_other_threads_the_blocks_do_nothing() -> None:
    seen = []

    def work() -> None:
        with interrupts_once(), signals_deferred(), stop_requests() as stop_asked:
            seen.append(stop_asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


WARNINGS = [
    getattr(signal, name)
    for name in ("SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGQUIT")
    if hasattr(signal, name)
]


@pytest.mark.parametrize("number", WARNINGS)
def test_what_a_batch_system_warns_with_counts_as_sigterm(number: signal.Signals) -> None:
    done = []
    with pytest.raises(Terminated), interrupts_once():
        with stop_requests() as stop_asked:
            signal.raise_signal(number)
            assert stop_asked()
        with signals_deferred():
            signal.raise_signal(number)
            done.append("put back")
    assert done == ["put back"]
