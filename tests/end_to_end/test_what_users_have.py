"""Files of revision 67ab909 are read, restored, resumed, reported and replayed as before.

The fixtures were made by that revision:

    stempilot envelope init --backend usetem-themis --out envelope.toml   (then calibrated)
    stempilot train bf-disk-centering --agent sac-rapid --steps 60 --seed 5 --out finished
    stempilot run bf-disk-centering --agent adaptive --frames all --seed 3 --out recorded
    stempilot train ... --backend usetem-themis --out killed   (SIGKILL while displaced)
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stempilot import discover, read_envelope
from stempilot.plugins.parts import part
from stempilot.record.run_dir import RunDir

FIXTURES = Path(__file__).parents[1] / "fixtures" / "from-67ab909"
SHIFT = "diffraction_shift"


def unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name


def stempilot(*words: str, code: int = 0, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "stempilot", *words, "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == code, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_an_envelope_file_says_what_it_said() -> None:
    envelope = read_envelope(FIXTURES / "envelope.toml")
    assert (envelope.backend, envelope.max_writes, envelope.may_park) == (
        "usetem-themis",
        20000,
        False,
    )
    limits = envelope.knobs[SHIFT]
    assert limits.spec.upper == (0.5, 0.5)
    assert limits.reach == (0.415, 0.415)
    assert envelope.pixel_mrad == {"flucam": {12: 0.565}}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_finished_run_is_reported_and_its_policy_acts(tmp_path: Path) -> None:
    run = unpacked("finished", tmp_path)
    shutil.rmtree(run / "plots")
    stempilot("report", str(run))
    assert (run / "plots" / "learning.png").exists()
    task = ["bf-disk-centering", "--policy", str(run), "--episodes", "10", "--seed", "6"]
    assert stempilot("run", *task, "--out", str(tmp_path / "out"))["success_rate"] == 1.0
    again = stempilot("relearn", str(run), "--steps", "10", "--out", str(tmp_path / "again"))
    assert again["timesteps"] == 10


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_recorded_run_is_played_back(tmp_path: Path) -> None:
    run = unpacked("recorded", tmp_path)
    again = stempilot(
        *("run", "bf-disk-centering", "--backend", "replay", "--set", f"backend.run={run}"),
        *("--agent", "recorded", "--set", f"agent.run={run}", "--out", str(tmp_path / "out")),
    )
    assert again["success"] is True
    assert again["steps_mean"] == json.loads((run / "result.json").read_text())["steps_mean"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_killed_while_displaced_is_restored_and_resumed(tmp_path: Path) -> None:
    run = unpacked("killed", tmp_path)
    last = json.loads((run / "audit.jsonl").read_text().splitlines()[-1])["read_back"]
    assert np.abs(last).max() > 0.05
    registry = discover(only="")
    with part(registry, "emulator", "usetem-themis", {}).load(9) as emulator:
        settings = {"url": emulator.start("127.0.0.1", 0)}
        record = RunDir.open(run).record()
        backend = record.settings["backend"] | settings
        RunDir.open(run).update_record(
            settings=record.settings | {"backend": backend},
            identity=record.identity | {"instrument": settings["url"]},
        )
        displace(registry, backend, last)
        put_back = stempilot("restore", str(run))["knobs"][SHIFT]
        assert put_back["before"] == pytest.approx(last)
        assert put_back["now"] == pytest.approx(put_back["baseline"], abs=1e-5)
        resumed = stempilot("train", "--resume", str(run), "--steps", "25", "--yes")
    assert resumed["timesteps"] == 25


def displace(registry: Any, settings: dict[str, Any], value: list[float]) -> None:
    """Move the emulator's knob to where the killed run left it."""
    from stempilot.contract.backend import Opening

    backend = part(registry, "backend", "usetem-themis", settings).load(
        Opening(purpose="run", seed=0)
    )
    with backend:
        backend.write(SHIFT, tuple(value))


@pytest.mark.slow
def test_a_package_for_contract_1_is_refused_by_name_with_what_to_change(tmp_path: Path) -> None:
    source = unpacked("package", tmp_path) / "src"
    (source / "old-1.0.dist-info").mkdir()
    (source / "old-1.0.dist-info" / "METADATA").write_text("Name: old\nVersion: 1.0\n")
    (source / "old-1.0.dist-info" / "entry_points.txt").write_text(
        "[stempilot]\nold = stempilot_example.hooks\n"
    )
    path = os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])
    found = stempilot("plugins", PYTHONPATH=path)["plugins"]
    old = {entry["name"]: entry for entry in found if entry["distribution"] == "old"}
    assert set(old) == {"desktop", "focus", "golden-section"}
    for entry in old.values():
        assert not entry["usable"]
        assert (entry["kind"], entry["version"]) == (KINDS[entry["name"]], "1.0")
        assert_names_the_change(entry["problem"])
    for words, name in (
        ("focus --backend simulator --agent random", "focus"),
        ("bf-disk-centering --backend desktop --agent random", "desktop"),
        ("bf-disk-centering --backend simulator --agent golden-section", "golden-section"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "stempilot", "run", *words.split()],
            env={**os.environ, "PYTHONPATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        said = " ".join(done.stderr.split())
        assert f"{KINDS[name]} '{name}' of old 1.0: " in said
        assert_names_the_change(said)
    assert not (tmp_path / "runs").exists()


KINDS = {"desktop": "backend", "focus": "task", "golden-section": "agent"}


def assert_names_the_change(said: str) -> None:
    """Look for the version and each change of the contract."""
    for change in (
        "written for contract version 1; this stempilot has 2",
        'Plugin.config and Plugin.load became text, "package.module:attribute"',
        "Task.hints became goal",
        "Task.plan became targets(state, action, standing)",
        "Backend.capabilities became offers",
    ):
        assert change in said
