"""Ctrl-C and SIGTERM are held back, asked for once, or raised; and handlers are given back."""

import signal
import threading
from collections.abc import Iterator

import pytest

from stempilot.signals import Terminated, signals_deferred, sigterm_interrupts, stop_requests


@pytest.fixture(autouse=True)
def handlers_are_given_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    yield
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_sigterm_raises_like_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert caught.type is Terminated


def test_blocks_may_end_in_any_order() -> None:
    before = signal.getsignal(signal.SIGTERM)
    first, second = sigterm_interrupts(), sigterm_interrupts()
    first.__enter__()
    second.__enter__()
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_wait_until_the_block_is_done(number: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), sigterm_interrupts(), signals_deferred():
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
        with sigterm_interrupts(), signals_deferred(), stop_requests() as stop_asked:
            seen.append(stop_asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
