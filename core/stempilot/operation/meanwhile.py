"""Work that a learner does while the instrument settles and exposes.

The instrument's calls stay on the thread that owns them and that Ctrl-C reaches; the learner's work
has a thread of its own, and is over before the timestep is handed on.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

_LOOK_S = 0.05
"""How long Ctrl-C may go unnoticed while waiting for the work; some systems need it."""


class Meanwhile:
    """One thread for work during a blocking call.

    Attributes:
        calls: how often the work was called.
        waited_s: how long the blocking calls had to wait for the work to be done.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.waited_s = 0.0
        self._pool: ThreadPoolExecutor | None = None
        self._work: Callable[[], object] = lambda: None
        self._times = 0

    def ask(self, work: Callable[[], object], times: int) -> None:
        """Let ``work`` be called ``times`` times during the next `running` block, in order."""
        self._work, self._times = work, times

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Do what was asked for beside the block; all of it is done when the block is left.

        A block that raises leaves as soon as the call of the work that is under way is over; the
        rest of the work is not done. What the work raises is raised when the block ends.
        """
        times, self._times = self._times, 0
        if times == 0:
            yield
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="stempilot-meanwhile")
        given_up = threading.Event()
        job = self._pool.submit(_repeat, self._work, times, given_up)
        try:
            yield
            since = time.monotonic()
            _result(job)
            self.waited_s += time.monotonic() - since
            self.calls += times
        except BaseException as error:
            given_up.set()
            wait([job])
            trouble = job.exception()
            if trouble is not None and trouble is not error:
                error.add_note(f"meanwhile, learning failed too: {trouble!r}")
            raise

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _result(job: Future[None]) -> None:
    while not wait([job], timeout=_LOOK_S).done:
        pass
    job.result()


def _repeat(work: Callable[[], object], times: int, given_up: threading.Event) -> None:
    for _ in range(times):
        if given_up.is_set():
            return
        work()
