"""Carries out the cells of a study on Dask: here, on a scheduler that runs already, or by Slurm."""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from os.path import lexists
from pathlib import Path
from typing import Any

from attrs import frozen

from stempilot.errors import ConfigError, StempilotError
from stempilot.files import own_folder, recording, remove_folder, write_json
from stempilot.instrument.lock import is_held
from stempilot.instrument.signals import interrupts_once
from stempilot.plugins import options as config
from stempilot.record.owner import HOLDER, LOCK
from stempilot.runs.progress import OnProgress, Progress
from stempilot.study.cells import CELL, DONE, FAILED, LATE, STOP, STOPPED, Ready, run_cell
from stempilot.study.folder import place_of

HOST = "127.0.0.1"
_NEEDED = ("distributed", "dask_jobqueue", "pyarrow")
_POLL_S, _STOPPING_S, _TIMEOUT_S, _HANGING_S = 0.2, 15.0, 30.0, 60.0
_SPAWNED = "distributed.nanny.pre-spawn-environ"
_SETTINGS = {
    "distributed.scheduler.allowed-failures": 1,
    f"{_SPAWNED}.MALLOC_TRIM_THRESHOLD_": 2**30,
    f"{_SPAWNED}.MALLOC_MMAP_THRESHOLD_": 2**25,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
}
"""Of a cluster of our own. One worker may die of a cell before it is given up. Workers keep the
memory of a frame for the next one: Dask has them give it back each time, which takes half of their
time. They are not profiled, and watched as often as cells of minutes need."""


class ClusterError(StempilotError):
    """The cluster of a study cannot be reached, or is gone."""


def require_dask() -> None:
    """Check that the packages of studies are there.

    Raises:
        ConfigError: one is not; with how to install it.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        msg = f'studies need {", ".join(missing)}: pip install "stempilot[study]"'
        raise ConfigError(msg)


@frozen(kw_only=True)
class Where:
    """Where cells are carried out.

    Attributes:
        workers: processes here, or jobs of Slurm.
        scheduler: address of one that runs already; ``None`` for none.
        slurm: TOML file of what dask-jobqueue's ``SLURMCluster`` takes; ``None`` for no Slurm.
        insecure: why a cluster beyond this computer may go without encryption.
    """

    workers: int = 2
    scheduler: str | None = None
    slurm: Path | None = None
    insecure: str = ""

    def __attrs_post_init__(self) -> None:
        """Check that one place is meant, and that it is encrypted or may go without."""
        if self.scheduler is not None and self.slurm is not None:
            msg = "give --scheduler or --slurm, not both"
            raise ConfigError(msg)
        elsewhere = self.scheduler is not None or self.slurm is not None
        if elsewhere and not (self._is_encrypted() or self.insecure.strip()):
            msg = (
                "whoever reaches a Dask scheduler without TLS runs code in your name; give an "
                "address tls://... (in a file of --slurm: security = true), or say in a sentence "
                'why it may go without: --insecure "the network is closed"'
            )
            raise ConfigError(msg)

    def _is_encrypted(self) -> bool:
        if self.slurm is not None:
            return config.read_toml(self.slurm).get("security") is True
        return (self.scheduler or "").startswith("tls://")


@contextlib.contextmanager
def opened(where: Where) -> Iterator[Any]:
    """Yield a client of the cluster, and close what was started here.

    Raises:
        ClusterError: it cannot be reached or started.
    """
    import dask
    from distributed import Client

    with contextlib.ExitStack() as closing:
        # One that runs already keeps its own.
        closing.enter_context(dask.config.set(_SETTINGS))
        try:
            cluster = _cluster(where)
            if cluster is not where.scheduler:
                closing.callback(cluster.close)
            client = closing.enter_context(
                Client(cluster, set_as_default=False, timeout=_TIMEOUT_S)
            )
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            what = where.scheduler or where.slurm or "a cluster on this computer"
            msg = f"{what}: {type(error).__name__}: {error}; nothing was started"
            raise ClusterError(msg) from error
        yield client


def _cluster(where: Where) -> Any:
    if where.scheduler is not None:
        return where.scheduler
    if where.slurm is not None:
        from dask_jobqueue import SLURMCluster

        own = {"cores": 1, "processes": 1, "scheduler_options": {"dashboard_address": f"{HOST}:0"}}
        options = {**own, **config.read_toml(where.slurm)}
        if options["processes"] != 1:
            msg = f"{where.slurm}: a job has one worker, processes = 1; ask for more with --workers"
            raise ConfigError(msg)
        cluster = SLURMCluster(**options)
        # Jobs that end with their time are replaced for as long as the study lasts.
        cluster.adapt(minimum_jobs=where.workers, maximum_jobs=where.workers)
        return cluster
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=where.workers,
        threads_per_worker=1,
        processes=True,
        host=HOST,
        dashboard_address=f"{HOST}:0",
        worker_dashboard_address=f"{HOST}:0",
        memory_limit=0,
        silence_logs=logging.ERROR,
    )


def carry_out(
    client: Any,
    cells: Sequence[Ready],
    folder: Path,
    *,
    on_progress: OnProgress,
    say: Callable[[str], None],
) -> None:
    """Carry out cells, as many at a time as there are workers; report those that fail.

    Args:
        client: of the cluster.
        cells: those that are not finished.
        folder: that of the study, which all workers must reach by the same path.
        on_progress: told how many are over, and when all will be.
        say: told of each cell that fails.

    Raises:
        ClusterError: the scheduler is gone.
        KeyboardInterrupt: a stop was asked for; the cells that were running were stopped.
    """
    stop = folder / STOP
    remove_folder(stop)
    waiting, running = deque(cells), dict[Any, _Running]()
    began_s, failed = time.monotonic(), 0
    on_progress(_progress(0, len(cells), 0, 0.0))
    with interrupts_once():
        try:
            while waiting or running:
                workers = _workers(client, say)
                for _ in range(workers - len(running)):
                    if waiting:
                        _submit(client, waiting.popleft(), folder, running)
                time.sleep(_POLL_S)
                over = [
                    each for each in running if each.status != "pending" or running[each].is_late
                ]
                for future in over:
                    one = running.pop(future)
                    is_over = future.status != "pending"
                    result = _result(future) if is_over else _given_up(client, future, one)
                    if result is None:
                        waiting.append(one.cell)
                        continue
                    if result["status"] != DONE:
                        failed += 1
                        say(f"{one.cell.title} {result['status']}: {result['reason']}")
                        _note(place_of(folder, one.cell.key), result)
                    done = len(cells) - len(waiting) - len(running)
                    on_progress(_progress(done, len(cells), failed, time.monotonic() - began_s))
        finally:
            if running:
                _stop(stop, running)


@frozen
class _Running:
    """A cell that was sent, its folder, and when it was sent."""

    cell: Ready
    place: Path
    sent_s: float

    @property
    def is_late(self) -> bool:
        """Whether its worker should have given it up long ago, or none began with it."""
        limit_s = 60.0 * self.cell.cell.minutes + _HANGING_S
        if time.monotonic() - self.sent_s < limit_s:
            return False
        # It may have begun late, behind another, or again, after its worker died.
        age_s = self.age_s
        return age_s is None or age_s > limit_s

    @property
    def age_s(self) -> float | None:
        """How long ago a worker began with it; ``None`` where none did."""
        with contextlib.suppress(OSError):
            return time.time() - (self.place / HOLDER).stat().st_mtime
        return None


def _submit(client: Any, cell: Ready, folder: Path, running: dict[Any, _Running]) -> None:
    values, place = config.plain(cell.cell), place_of(folder.resolve(), cell.key)
    future = client.submit(run_cell, values, cell.key, str(place), pure=False)
    running[future] = _Running(cell, place, time.monotonic())


def _workers(client: Any, say: Callable[[str], None]) -> int:
    """Return how many cells may run at once, one a worker; wait for the first of them.

    A scheduler that is restarted is asked again for as long as a client waits for one.

    Raises:
        ClusterError: the scheduler is gone.
    """
    until_s, was_told = time.monotonic() + _TIMEOUT_S, False
    while True:
        try:
            if workers := len(client.nthreads()):
                return workers
        except (OSError, TimeoutError, RuntimeError) as error:
            if time.monotonic() < until_s:
                time.sleep(_POLL_S)
                continue
            msg = (
                f"the scheduler is gone: {type(error).__name__}: {error}; finished cells are kept, "
                "and the same command goes on with the others"
            )
            raise ClusterError(msg) from error
        if not was_told:
            was_told = True
            say("waiting for workers: none is there yet; Ctrl-C stops")
        time.sleep(_POLL_S)
        until_s = time.monotonic() + _TIMEOUT_S


def _given_up(client: Any, future: Any, one: _Running) -> dict[str, Any] | None:
    """End and start the worker of a cell that does not give it up, where a nanny can do so.

    ``None`` where no worker is at it, as far as can be told: it is sent again.
    """
    with contextlib.suppress(OSError, TimeoutError, RuntimeError, ValueError):
        busy = {where: list(keys) for where, keys in client.processing().items()}
        hanging = [where for where, keys in busy.items() if future.key in keys]
        # A worker that was killed left its note, and the cell may wait behind another since.
        future.cancel()
        alone = any(busy[where] == [future.key] for where in hanging)
        begun = alone or is_held(one.place / LOCK, one.place / HOLDER)
        if not (begun and hanging):
            return None
        client.restart_workers(hanging, timeout=_TIMEOUT_S, raise_for_error=False)
    reason = f"its worker hangs: it did not give up after {one.cell.cell.minutes:g} minutes"
    return {"status": LATE, "reason": reason}


def _note(place: Path, result: dict[str, Any]) -> None:
    """Keep why a cell is not done, where its worker could not."""
    if result["reason"] != STOPPED and not lexists(place / CELL):
        with contextlib.suppress(StempilotError):
            write_json(own_folder(own_folder(place.parent) / place.name) / CELL, result)


def _result(future: Any) -> dict[str, Any] | None:
    """Return what became of a cell; ``None`` where a scheduler that was restarted forgot it."""
    if future.status in {"cancelled", "lost"}:
        return None
    error = future.exception()
    if error is not None:
        because = f" ({error.__cause__})" if error.__cause__ else ""
        return {"status": FAILED, "reason": f"{type(error).__name__}: {error}{because}"}
    found: dict[str, Any] = future.result()
    return found


def _progress(done: int, total: int, failed: int, took_s: float) -> Progress:
    notes = [f"{failed} failed"] if failed else []
    if 0 < done < total:
        notes.append(f"about {took_s / done * (total - done) / 60:.0f} min left")
    return Progress(done=done, total=total, note=", ".join(notes))


def _stop(stop: Path, running: Iterable[Any]) -> None:
    """Ask the cells that run to stop, and wait a little for them to do so.

    Those that take longer are still asked afterwards, until the study goes on.
    """
    until_s = time.monotonic() + _STOPPING_S
    with recording():
        stop.touch()
    while any(one.status == "pending" for one in running):
        if time.monotonic() > until_s:
            return
        time.sleep(_POLL_S)
    stop.unlink(missing_ok=True)
