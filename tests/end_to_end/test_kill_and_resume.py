"""A training that is killed and resumed is bit-equal to one that was not."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STEPS, INTERVAL = 420, 60
CODE = "from stempilot.cli import main; main()"


def command(*words):
    return [sys.executable, "-c", CODE, *map(str, words)]


def train(out):
    return command(
        *("train", "bf-disk-centering", "--agent", "sac", "--steps", STEPS, "--seed", 5),
        *("--set", "agent.learning_starts=50", "--set", "agent.hidden_sizes=[16]"),
        *("--set", f"run.checkpoint_every={INTERVAL}", "--set", "run.evaluate=true"),
        *("--set", "run.max_timesteps=25", "--out", out, "--json"),
    )


def finish(words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def agent_files(run):
    progress = json.loads((run / "progress.json").read_text())
    folder = run / progress["agent"]
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def story(run):
    """Return the events without the clock, and without the way home at resets.

    A resumed run begins at home, so its first reset has no way to go.
    """
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    for line in lines:
        line["writes"] = [write[:3] for write in line["writes"]] if line["k"] else []
    return lines


def timesteps_saved(run):
    path = run / "progress.json"
    return json.loads(path.read_text())["timesteps"] if path.exists() else 0


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    return run, finish(train(run))


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_random_moments_and_resumed_is_bit_equal(seed, tmp_path, uninterrupted):
    whole, expected = uninterrupted
    run = tmp_path / "run"
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    words = train(run)
    for _ in range(2):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_progress(run, process, timesteps_saved(run) + 1)
        time.sleep(chance.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        reached = last_timestep(run)
        # A checkpoint falls on the first end of an episode after the interval.
        assert reached - timesteps_saved(run) <= INTERVAL + 25 + 1
        words = command("train", "--resume", run, "--json")
    result = finish(words)
    assert agent_files(run) == agent_files(whole)
    assert story(run) == story(whole)
    for name in ("timesteps", "converged_at", "reward_converged_at", "episodes"):
        assert result[name] == expected[name]
    assert {path.name for path in run.glob(".*")} <= {".lock"}


def wait_for_progress(run, process, timesteps):
    deadline = time.monotonic() + 120
    while timesteps_saved(run) < timesteps and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def last_timestep(run: Path) -> int:
    whole_lines = (run / "events.jsonl").read_text().splitlines()[:-1]
    return max((json.loads(line)["t"] for line in whole_lines), default=0)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_ends_cleanly_and_resumes(number, tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        train(run), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_progress(run, process, 1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    stopped = json.loads(out)
    assert stopped["interrupted"]
    assert f"--resume {run}" in err
    assert timesteps_saved(run) == stopped["timesteps"] < STEPS
    assert json.loads((run / "record.json").read_text())["status"] == "interrupted"
    done = finish(command("train", "--resume", run, "--json"))
    assert done["timesteps"] == STEPS
    assert not done["interrupted"]


@pytest.mark.long
def test_evaluation_does_not_disturb_training(tmp_path, uninterrupted):
    run = tmp_path / "run"
    words = [word.replace("run.evaluate=true", "run.evaluate=false") for word in train(run)]
    result = finish(words)
    assert result["converged_at"] is None
    ours, theirs = agent_files(run), agent_files(uninterrupted[0])
    assert {k: v for k, v in ours.items() if "safetensors" in k} == {
        k: v for k, v in theirs.items() if "safetensors" in k
    }
