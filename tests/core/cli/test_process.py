"""The program as a process: what it imports, how it is stopped, and a disk that is full."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import Desk, install

from stempilot.instrument.envelope_file import write_envelope

ROOT = Path(__file__).parents[3]
MAIN = "from stempilot.cli import main; main()"
HEAVY = {
    *("torch", "numba", "matplotlib", "gymnasium", "stable_baselines3", "scipy"),
    *("dask", "distributed", "pyarrow"),
}

PACKAGE = """
import json, os, time
from pathlib import Path
from stempilot import Plugin

def slow_desk(config, opening):
    from tests.core.fakes import Desk
    from stempilot.contract.names import BEAM_SHIFT

    class Slow(Desk):
        def acquire(self, source):
            time.sleep(0.02)
            return super().acquire(source)

        def write(self, knob, value):
            super().write(knob, value)
            Path("moved").touch()

        def close(self):
            Path("ended.json").write_text(json.dumps(self.toy.read(BEAM_SHIFT)))
            super().close()

    return Slow()

def task(config):
    from stempilot.testing.toys import ToyCentring
    return ToyCentring(tolerance=1e-6)

def learner(config, brief):
    from stempilot.testing.toys import ToyLearner
    return ToyLearner(brief)

backends = [
    Plugin("slow-desk", "", config="tests.core.fakes:NoOptions", load=f"{__name__}:slow_desk")
]
tasks = [
    Plugin("toy-centring", "", config="tests.core.fakes:NoOptions", load=f"{__name__}:task")
]
agents = [
    Plugin("toy-learner", "", config="tests.core.fakes:NoOptions", load=f"{__name__}:learner")
]
"""
ON_DESK = ("--backend", "slow-desk", "--envelope", "envelope.toml", "--yes", "--json")
RUN = ("run", "toy-centring", "--agent", "toy-learner", *ON_DESK, "--out", "out")
TRAIN = ("train", "toy-centring", "--agent", "toy-learner", *ON_DESK, "--out", "out")


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """Return an environment in which a package with a slow instrument is installed."""
    site = tmp_path / "site"
    site.mkdir()
    install(site, "slow-instrument", PACKAGE)
    write_envelope(tmp_path / "envelope.toml", "slow-desk", Desk().offers())
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "STEMPILOT_PLUGINS": "slow-instrument"}


def start(folder: Path, environment: Mapping[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 40
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended_at(folder: Path) -> Any:
    return json.loads((folder / "ended.json").read_text())


def record(folder: Path) -> Any:
    return json.loads((folder / "out" / "record.json").read_text())


# --- imports -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("--help",), ("plugins",), ("plugins", "--json"), ("train", "--help"), ("--version",)]
)
def test_what_is_only_shown_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom stempilot.cli import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert found.stdout
    assert HEAVY & set(found.stderr.split()) == set()


# --- signals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_puts_the_instrument_back(
    tmp_path: Path, environment: Mapping[str, str], number: signal.Signals
) -> None:
    process = start(tmp_path, environment, *RUN, "--set", "run.max_timesteps=100000")
    wait_for(tmp_path / "moved", process)
    process.send_signal(number)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 130, err
    assert out == ""
    assert "interrupted; the instrument was put back" in err
    assert ended_at(tmp_path) == [0.0, 0.0]
    assert (record(tmp_path)["status"], record(tmp_path)["reason"]) == ("interrupted", None)


def test_a_training_that_is_stopped_ends_cleanly_and_reports(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    process = start(tmp_path, environment, *TRAIN, "--steps", "100000")
    wait_for(tmp_path / "moved", process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["interrupted"] is True
    assert Path(tmp_path, result["report"]).exists()
    assert "go on with: stempilot train --resume out" in err
    assert ended_at(tmp_path) == [0.0, 0.0]
    assert record(tmp_path)["status"] == "interrupted"


# --- nobody listens ------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_a_run_goes_on_where_nobody_reads_its_progress(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    with start(tmp_path, environment, *TRAIN, "--steps", "60") as process:
        assert process.stderr is not None
        assert process.stdout is not None
        process.stderr.close()
        out = process.stdout.read()
        assert process.wait(timeout=40) == 0
    assert json.loads(out)["timesteps"] == 60
    assert record(tmp_path)["status"] == "done"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device")
def test_a_result_that_cannot_be_written_is_an_error(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-c", MAIN, "plugins"],
            cwd=tmp_path,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=50,
        )
    assert found.returncode == 1
    assert found.stderr.splitlines() == [
        "error: cannot write to the standard output: No space left on device"
    ]


# --- a full disk ---------------------------------------------------------------------------------

FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, resource.RLIM_INFINITY))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_ends_with_1_and_the_instrument_is_put_back(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    found = subprocess.run(
        [sys.executable, "-c", FULL + MAIN, *TRAIN, "--steps", "500"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert found.returncode == 1, found.stderr
    assert found.stdout == ""
    assert "File too large; free some space or choose another --out" in found.stderr
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr
    assert (tmp_path / "moved").exists()
    assert ended_at(tmp_path) == [0.0, 0.0]
    assert record(tmp_path)["status"] == "failed"
    assert record(tmp_path)["reason"].startswith("RecordError: ")


def test_the_package_itself_is_the_command_line() -> None:
    words = (sys.executable, "-m", "stempilot", "--version")
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    assert not done.stderr


# --- any machine ---------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such shell")
def test_a_file_never_takes_the_place_of_a_stream_that_is_closed(tmp_path: Path) -> None:
    code = (
        "from stempilot.cli.render import ready_streams; ready_streams()\n"
        "with open('file', 'w') as file: file.write(str(file.fileno()))"
    )
    words = ["sh", "-c", f'"{sys.executable}" -c "$0" <&- >&- 2>&-', code]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert int((tmp_path / "file").read_text()) > 2
