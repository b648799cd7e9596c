"""What Windows lacks is missed by nothing: as far as that can be tried elsewhere."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stempilot
import stempilot_agents
import stempilot_backends
import stempilot_tasks

ROOTS = [
    Path(str(package.__file__)).parent
    for package in (stempilot, stempilot_agents, stempilot_backends, stempilot_tasks)
]
POSIX_MODULES = {
    "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty",
}  # fmt: skip
POSIX_NAMES = {
    "os": """O_NOFOLLOW O_NONBLOCK O_DIRECTORY O_CLOEXEC fork forkpty getuid geteuid getgid getegid
        getpgid killpg setsid mkfifo mknod chown lchown fchmod fchown chroot statvfs fstatvfs
        sysconf confstr getloadavg nice sched_getaffinity pread pwrite posix_fallocate fdatasync
        sync wait3 wait4 WNOHANG""",
    "signal": """SIGHUP SIGQUIT SIGKILL SIGUSR1 SIGUSR2 SIGXCPU SIGALRM SIGSTOP SIGCONT SIGPIPE
        SIGCHLD alarm setitimer pause pthread_kill pthread_sigmask sigwait""",
    "time": "CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_REALTIME clock_gettime tzset",
    "socket": "AF_UNIX SO_REUSEPORT",
}

HIDING = f"""
import sys
# What is not ours may use what it finds.
import filelock, gymnasium, lazy_loader, matplotlib.pyplot, numba, pluggy, rich.progress, torch
import stable_baselines3, cattrs, typer, PIL.Image, xmlrpc.client, xmlrpc.server, http.server
import tempfile, subprocess, logging, multiprocessing, uuid, platform
platform.platform()
import os, signal, time, socket
hidden = {{}}
for module, names in {POSIX_NAMES!r}.items():
    for name in names.split():
        if hasattr(sys.modules[module], name):
            hidden[name] = getattr(sys.modules[module], name)
            delattr(sys.modules[module], name)
"""
IMPORTING = """
import importlib, pkgutil
import stempilot, stempilot_agents, stempilot_backends, stempilot_tasks
count = 0
for package in (stempilot, stempilot_agents, stempilot_backends, stempilot_tasks):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "__main__" not in found.name and "tensorboard" not in found.name:
            importlib.import_module(found.name)
            count += 1
assert count > 150, count
"""
RUNNING = """
# Of what the run uses, filelock, subprocess and shutil ask the system as they find it here.
for name in "O_NONBLOCK O_NOFOLLOW O_CLOEXEC WNOHANG fchmod getuid geteuid statvfs".split():
    setattr(os, name, hidden[name])
signal.SIGKILL = hidden["SIGKILL"]
from stempilot.cli import main
def command(*words, code=0):
    sys.argv = ["stempilot", *words]
    try:
        main()
    except SystemExit as ended:
        assert (ended.code or 0) == code, (words, ended.code)
command("run", "bf-disk-centering", "--agent", "adaptive", "--backend", "simulator", "--out", "a")
command("restore", "a")
command("report", "a")
command("doctor")
"""


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for root in ROOTS:
        for path in root.rglob("*.py"):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_no_module_of_posix_alone_is_imported() -> None:
    found = set()
    for path, tree in trees():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {f"{path.name}: {name}" for name in names if name in POSIX_MODULES}
    assert found == set()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_run_misses_nothing_that_windows_lacks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HIDING + IMPORTING + RUNNING],
        cwd=tmp_path,
        env={**os.environ, "STEMPILOT_LOCK_DIR": str(tmp_path / "locks")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "a" / "report.html").exists()
