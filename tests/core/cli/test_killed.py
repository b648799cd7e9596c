"""Ctrl-C, twice too, SIGTERM, SIGKILL, a second run: the instrument ends where it began."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import field, frozen
from tests.core.cli.surviving import PACKAGE, STANDING, WRITES, Options, Surviving
from tests.core.fakes import install, plugin, toy_registry
from tests.sampling import sampled

from stempilot.instrument.audit import AUDIT, read_audit
from stempilot.instrument.envelope_file import write_envelope
from stempilot.runs.restore import restore

ROOT = Path(__file__).parents[3]
MAIN = "from stempilot.cli import main; main()"
HOME = [3e-7, -2e-7]
TASK = ("toy-centring", "--agent", "toy-learner", "--backend", "surviving", "--json")
GO = ("--envelope", "envelope.toml", "--yes", "--out", "out")
RUN = ("run", *TASK, *GO, "--set", "run.max_timesteps=100000")
TRAIN = ("train", *TASK, *GO, "--steps", "100000")
EVALUATE = ("run", *TASK, *GO, "--episodes", "100")
DEADLINE_S = 40.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@frozen
class Lab:
    """A folder with an instrument in it, and processes that drive it."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(factory=list)

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def ended(self, *words: str) -> tuple[int, str]:
        return finish(self.start(*words))

    def standing(self) -> Any:
        return json.loads((self.folder / STANDING).read_text())

    def writes(self) -> list[float]:
        path = self.folder / WRITES
        return [float(line) for line in path.read_text().split()] if path.exists() else []

    def audit(self) -> list[dict[str, Any]]:
        return list(read_audit(self.folder / "out"))

    def wait(self, process: subprocess.Popen[str], what: Callable[[], Any]) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not what():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.002)

    def until_moving(self, process: subprocess.Popen[str], writes: int = 2) -> None:
        self.wait(process, lambda: len(self.writes()) >= writes)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code and all that was said."""
    out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, out + err


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    site, folder = tmp_path / "site", tmp_path / "lab"
    site.mkdir()
    folder.mkdir()
    install(site, "surviving", PACKAGE)
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    made = Lab(folder, {**os.environ, "PYTHONPATH": path, "STEMPILOT_PLUGINS": "surviving"})
    write_envelope(folder / "envelope.toml", "surviving", Surviving(Options()).offers())
    (folder / STANDING).write_text(json.dumps(HOME))
    yield made
    for process in made.started:
        process.kill()
        process.communicate()


def killed_somewhere(lab: Lab, after_s: float) -> None:
    process = lab.start(*RUN)
    lab.until_moving(process)
    time.sleep(after_s)
    process.kill()
    finish(process)


def restored(lab: Lab) -> None:
    code, said = lab.ended("restore", "out", "--json")
    assert code == 0, said
    assert lab.standing() == pytest.approx(HOME, abs=1e-12)
    assert json.loads((lab.folder / "out" / "record.json").read_text())["status"] == "restored"


# --- SIGKILL -------------------------------------------------------------------------------------


def test_after_a_kill_restore_brings_the_knob_back(lab: Lab) -> None:
    killed_somewhere(lab, 0.1)
    before = lab.audit()
    assert before[-1]["sent"] == pytest.approx(lab.standing(), abs=1e-12) or (
        "duration_s" not in before[-1]
    ), "the last write is on disk, whether or not its end is"
    restored(lab)
    after = lab.audit()[len(before) :]
    assert {write["origin"] for write in after} <= {"restore"}
    assert all(write["read_back"] == write["sent"] for write in after)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("moments_tried", sampled([12, 50], 2))
def test_after_a_kill_at_any_moment_restore_brings_the_knob_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, moments_tried: int
) -> None:
    monkeypatch.chdir(lab.folder)
    backend = plugin("surviving", Options, lambda options, _: Surviving(options))
    registry = toy_registry(("backend", backend))
    seed = secrets.randbits(32)
    moments = np.random.default_rng(seed)
    for number in range(moments_tried):
        lab.folder.joinpath(WRITES).unlink(missing_ok=True)
        after_s = moments.uniform(0.0, 0.15)
        killed_somewhere(lab, after_s)
        told = f"moment {number} of seed {seed}: killed {after_s:.4f} s on at {lab.standing()}"
        restore(registry, Path("out"))
        assert lab.standing() == pytest.approx(HOME, abs=1e-12), told
        lab.folder.joinpath("out").rename(lab.folder / f"out-{number}")


def test_a_kill_while_restoring_can_be_restored(lab: Lab) -> None:
    killed_somewhere(lab, 0.1)
    # Far away, so that the way home takes many steps.
    (lab.folder / STANDING).write_text(json.dumps([3.9e-6, -3.9e-6]))
    count = len(lab.writes())
    process = lab.start("restore", "out")
    lab.until_moving(process, count + 2)
    process.kill()
    finish(process)
    restored(lab)


@pytest.mark.slow
def test_restore_says_loudly_what_it_cannot_do(lab: Lab) -> None:
    killed_somewhere(lab, 0.1)
    (lab.folder / "down").touch()
    (lab.folder / STANDING).write_text(json.dumps([1e-6, 0.0]))
    started_s = time.monotonic()
    code, said = lab.ended("restore", "out")
    assert code == 5
    assert "THE INSTRUMENT WAS NOT PUT BACK, go and look at it" in said
    assert "trying again, 5 of 5" in said
    assert time.monotonic() - started_s < DEADLINE_S
    (lab.folder / "down").unlink()
    restored(lab)


def test_restore_waits_for_a_server_that_comes_back(lab: Lab) -> None:
    killed_somewhere(lab, 0.1)
    (lab.folder / STANDING).write_text(json.dumps([1e-6, 0.0]))
    (lab.folder / "down").touch()
    process = lab.start("restore", "out", "--json")
    assert process.stderr is not None
    assert "trying again, 1 of 5" in process.stderr.readline()
    (lab.folder / "down").unlink()
    code, said = finish(process)
    assert code == 0, said
    assert lab.standing() == pytest.approx(HOME, abs=1e-12)


# --- Ctrl-C and SIGTERM --------------------------------------------------------------------------

FRAME_S, WRITE_S = 0.3, 0.05
SLOW = ("--set", f"backend.frame_s={FRAME_S}", "--set", f"backend.write_s={WRITE_S}")
SLACK_S = 1.0
"""What a busy machine may add."""


@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        (RUN, signal.SIGINT, 130),
        (RUN, signal.SIGTERM, 130),
        (RUN, getattr(signal, "SIGHUP", signal.SIGTERM), 130),
        (TRAIN, signal.SIGINT, 0),
        (TRAIN, signal.SIGTERM, 0),
        (EVALUATE, signal.SIGINT, 0),
    ],
)
def test_from_ctrl_c_to_the_last_write_it_takes_a_frame_and_a_call(
    lab: Lab, words: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    process = lab.start(*words, *SLOW)
    lab.until_moving(process)
    time.sleep(0.1)
    process.send_signal(number)
    sent_s = time.time()
    found, said = finish(process)
    assert found == code, said
    assert lab.standing() == pytest.approx(HOME, abs=1e-12)
    ways_back = sum(write["origin"] == "restore" for write in lab.audit())
    assert ways_back >= 1
    assert lab.writes()[-1] - sent_s <= FRAME_S + WRITE_S * (1 + ways_back) + SLACK_S


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("pause_s", [0.0, 0.02])
def test_a_second_ctrl_c_at_once_changes_nothing(
    lab: Lab, second: signal.Signals, pause_s: float
) -> None:
    process = lab.start(*RUN, *SLOW)
    lab.until_moving(process)
    process.send_signal(signal.SIGINT)
    time.sleep(pause_s)
    process.send_signal(second)
    code, said = finish(process)
    assert code == 130, said
    assert lab.standing() == pytest.approx(HOME, abs=1e-12)


def test_a_second_ctrl_c_while_putting_back_waits(lab: Lab) -> None:
    process = lab.start(*RUN, "--set", "backend.write_s=0.3")
    lab.until_moving(process)
    process.send_signal(signal.SIGINT)
    lab.wait(process, lambda: '"restore"' in (lab.folder / "out" / AUDIT).read_text())
    for _ in range(3):
        process.send_signal(signal.SIGINT)
    code, said = finish(process)
    assert code == 130, said
    assert "interrupted; the instrument was put back" in said
    assert lab.standing() == pytest.approx(HOME, abs=1e-12)
    assert lab.audit()[-1]["read_back"] == pytest.approx(HOME, abs=1e-12)


# --- one run at a time ---------------------------------------------------------------------------


@pytest.mark.slow
def test_while_a_run_drives_the_instrument_no_other_does(lab: Lab) -> None:
    process = lab.start(*RUN)
    lab.until_moving(process)
    other = [word.replace("out", "other") if word == "out" else word for word in RUN]
    for words in (other, ["restore", "out"]):
        code, said = lab.ended(*words)
        assert code == 4
        assert f"surviving one is in use by process {process.pid} on " in said
        assert f"run directory {lab.folder / 'out'}" in said
    assert process.poll() is None, "the first goes on undisturbed"
    code, said = lab.ended("restore", "out", "--dry-run", "--json")
    assert code == 0, "who only reads needs no lock"
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    assert lab.standing() == pytest.approx(HOME, abs=1e-12)
