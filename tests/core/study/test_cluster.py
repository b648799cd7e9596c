"""Real clusters, with a stand-in for what carries out a cell."""

import contextlib
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from attrs import evolve
from tests.core.study import here

from stempilot.record.owner import HOLDER
from stempilot.runs.progress import Progress
from stempilot.study import cluster
from stempilot.study.cells import Ready
from stempilot.study.cluster import Where, carry_out, opened
from stempilot.study.file import Cell

pytestmark = pytest.mark.filterwarnings("default::ResourceWarning", "default::DeprecationWarning")
WHY = "loopback"


def cells(*seeds: int) -> list[Ready]:
    made = [
        Cell(task="t", backend="b", agent="a", seed=seed, minutes=0.05 if seed == 88 else 60)
        for seed in seeds
    ]
    return [
        Ready(number=number, swept={}, cell=cell, key=f"{number:016x}")
        for number, cell in enumerate(made, start=1)
    ]


@pytest.fixture(autouse=True)
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "run_cell", here.stub)


def carried_out(client: Any, folder: Path, *seeds: int) -> tuple[list[str], list[Progress]]:
    said: list[str] = []
    seen: list[Progress] = []
    carry_out(client, cells(*seeds), folder, on_progress=seen.append, say=said.append)
    # Whether there is a moment without any worker is a matter of luck.
    return [line for line in said if not line.startswith("waiting for workers")], seen


def finished(folder: Path) -> list[int]:
    return sorted(int(path.parent.name, 16) for path in folder.glob("cells/*/cell.json"))


def listening(process: psutil.Process) -> Iterator[str]:
    for one in (process, *process.children(recursive=True)):
        for connection in one.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.ip


@pytest.mark.slow
def test_a_cluster_here_is_on_loopback_and_outlives_its_workers(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    with opened(Where(workers=2)) as client:
        ours = psutil.Process()
        assert set(listening(ours)) == {"127.0.0.1"}
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        kept = client.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_")
        assert set(kept.values()) == {str(2**30)}
        profiled = client.run(dask.config.get, "distributed.worker.profile.enabled")
        assert set(profiled.values()) == {False}
        # 66 kills its worker once, 666 always, 13 fails.
        said, seen = carried_out(client, tmp_path, 1, 66, 666, 13, 2)
        assert finished(tmp_path) == [1, 2, 3, 4, 5]
        # Of the third one the study says why, as its worker could not.
        assert "KilledWorker" in (tmp_path / "cells" / f"{3:016x}" / "cell.json").read_text()
        assert sorted(line.partition(":")[0] for line in said) == [
            "cell 3 (seed 666) failed",
            "cell 4 (seed 13) failed",
        ]
        assert "KilledWorker: " in " ".join(said)
        assert [(now.done, now.total) for now in seen] == [(n, 5) for n in range(6)]
        threads = {
            path.read_text().split('"threads": ')[1][:3]
            for path in tmp_path.rglob("*.json")
            if "threads" in path.read_text()
        }
        assert threads == {'"1"'}
    left = set(psutil.Process().children(recursive=True)) - before
    assert [
        one for one in left if "multiprocessing.resource_tracker" not in one.cmdline()[-1]
    ] == []


def test_a_cell_is_late_by_when_it_began(tmp_path: Path) -> None:
    (cell,) = (evolve(one, cell=evolve(one.cell, minutes=1)) for one in cells(1))
    sent_s = time.monotonic() - 130
    assert not cluster._Running(cell, tmp_path, time.monotonic()).is_late
    sent = cluster._Running(cell, tmp_path, sent_s)
    assert sent.is_late
    assert sent.age_s is None
    (tmp_path / HOLDER).touch()
    assert not sent.is_late
    os.utime(tmp_path / HOLDER, (time.time() - 125,) * 2)
    assert sent.is_late


def test_a_cell_that_looks_seldom_is_still_asked_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_STOPPING_S", 0.1)
    cluster._stop(tmp_path / "stop", [here.Answer({}, status="pending")])
    assert (tmp_path / "stop").exists()
    cluster._stop(tmp_path / "stop", [here.Answer({})])
    assert not (tmp_path / "stop").exists()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(os.name == "nt", reason="no process is halted so on Windows")
def test_a_worker_that_hangs_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_HANGING_S", 1.0)
    with opened(Where(workers=1)) as client:
        said, _ = carried_out(client, tmp_path, 88, 1, 2)
    (line,) = said
    assert line.startswith("cell 1 (seed 88) out of time: its worker hangs")
    assert finished(tmp_path) == [1, 2, 3]
    # Dask may have sent the cell to the worker that came after; then it is done after all.
    kept = (tmp_path / "cells" / f"{1:016x}" / "cell.json").read_text()
    assert "its worker hangs" in kept or '"status": "done"' in kept


@contextlib.contextmanager
def started(*words: str, where: Path, ready: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a process that prints that it is ready, and the line in which it does."""
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])}
    command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
    with subprocess.Popen(
        command, cwd=where, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if re.search(ready, line))
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield process, line
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def scheduler(port: int, where: Path) -> Any:
    words = ("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    return started(*words, where=where, ready="Scheduler at:")


def worker(address: str, where: Path) -> Any:
    words = ("worker", address, "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")
    return started(*words, "--no-nanny", where=where, ready="Registered to:")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_scheduler_with_two_workers_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_TIMEOUT_S", 4.0)
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    with contextlib.ExitStack() as processes:
        served, _ = processes.enter_context(scheduler(port, tmp_path))
        one, two = (processes.enter_context(worker(address, tmp_path))[0] for _ in range(2))
        with opened(Where(scheduler=address, insecure=WHY)) as client:
            assert carried_out(client, tmp_path, 1, 2, 3, 4)[0] == []
            assert finished(tmp_path) == [1, 2, 3, 4]
            pids = {path.read_text() for path in tmp_path.glob("cells/*/try-0")}
            assert pids == {str(one.pid), str(two.pid)}
            # A worker dies of a cell; the other one goes on. Then the scheduler goes.
            said, _ = carried_out(client, tmp_path / "b", 1, 66, 2, 3)
            assert said == []
            assert finished(tmp_path / "b") == [1, 2, 3, 4]
            served.kill()
            with pytest.raises(cluster.ClusterError, match="the scheduler is gone"):
                carried_out(client, tmp_path / "c", 1)


@pytest.mark.slow
def test_ctrl_c_stops_what_runs_elsewhere(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    with contextlib.ExitStack() as processes:
        processes.enter_context(scheduler(port, tmp_path))
        processes.enter_context(worker(address, tmp_path))
        with opened(Where(scheduler=address, insecure=WHY)) as client:

            def interrupt() -> None:
                while not list(tmp_path.glob("cells/*/try-0")):
                    time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGINT)

            threading.Thread(target=interrupt, daemon=True).start()
            with pytest.raises(KeyboardInterrupt):
                carried_out(client, tmp_path, 77, 1)
        assert (tmp_path / "cells" / f"{1:016x}" / "stopped").exists()
        assert not (tmp_path / "stop").exists()
        assert finished(tmp_path) in ([1], [])


SBATCH = """#!/bin/sh
# Starts the command of a job at once, on this computer, as Slurm would elsewhere.
cat "$1" > "$0.job"
setsid sh "$0.job" > "$0.log" 2>&1 &
printf %s "$!" > "$0.pid"
echo "Submitted batch job $!"
"""


def put_commands(folder: Path, commands: Sequence[tuple[str, str]]) -> None:
    for name, text in commands:
        path = folder / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the options of a Slurm that starts its jobs here."""
    scancel = '#!/bin/sh\nkill -- "-$1"\n'
    put_commands(tmp_path, [("sbatch", SBATCH), ("scancel", scancel)])
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    options = tmp_path / "slurm.toml"
    options.write_text('queue = "short"\nmemory = "1GB"\nwalltime = "00:10:00"\ninterface = "lo"\n')
    return options


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(os.name == "nt", reason="Slurm's commands are those of a Unix system")
def test_slurm_runs_the_cells(tmp_path: Path, slurm: Path) -> None:
    with opened(Where(workers=1, slurm=slurm, insecure=WHY)) as client:
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        said, _ = carried_out(client, tmp_path, 1, 2)
    assert said == []
    assert finished(tmp_path) == [1, 2]
    job = (tmp_path / "sbatch.job").read_text()
    assert "#SBATCH -p short" in job
    assert "--nthreads 1" in job


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(os.name == "nt", reason="Slurm's commands are those of a Unix system")
def test_a_job_whose_time_is_over_is_replaced(tmp_path: Path, slurm: Path) -> None:
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}),
        opened(Where(workers=1, slurm=slurm, insecure=WHY)) as client,
    ):
        assert carried_out(client, tmp_path, 1)[0] == []
        os.killpg(int((tmp_path / "sbatch.pid").read_text()), signal.SIGKILL)
        assert carried_out(client, tmp_path, 1, 2)[0] == []
    assert finished(tmp_path) == [1, 2]
