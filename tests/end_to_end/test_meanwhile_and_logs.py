"""Learning beside the instrument, killed and resumed; relearning that begins with a log."""

import json
import random
import signal
import subprocess
import time

import pytest
from tests.end_to_end.test_kill_and_resume import (
    agent_files,
    command,
    finish,
    story,
    timesteps_saved,
    wait_for_progress,
)
from tests.sampling import sampled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SMALL = ("--set", "agent.hidden_sizes=[16]", "--set", "run.max_timesteps=25")
QUIET = ("--set", "run.evaluate=false", "--json")


def train(out):
    return command(
        *("train", "bf-disk-centering", "--agent", "sac", "--steps", 140, "--seed", 5),
        *("--set", "agent.meanwhile=true", "--set", "agent.learning_starts=30"),
        *("--set", "run.checkpoint_every=40", "--out", out, *SMALL, *QUIET),
    )


def test_killed_and_resumed_with_updates_beside_the_instrument_is_bit_equal(tmp_path):
    expected = finish(train(tmp_path / "whole"))
    assert expected["updates_meanwhile"] == 4 * (140 - 30 - 1)
    assert expected["corrections_per_s"] > 0
    run, chance = tmp_path / "run", random.Random(1)  # noqa: S311 - moments, not secrets
    process = subprocess.Popen(train(run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_progress(run, process, timesteps_saved(run) + 1)
    time.sleep(chance.uniform(0, 1.0))
    process.send_signal(signal.SIGKILL)
    process.wait()
    finish(command("train", "--resume", run, "--json"))
    assert agent_files(run) == agent_files(tmp_path / "whole")
    assert story(run) == story(tmp_path / "whole")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("trained") / "run"
    words = ("train", "bf-disk-centering", "--steps", 60, "--out", run, *SMALL, *QUIET)
    finish(command(*words))
    return run


def test_relearning_begins_with_what_another_run_recorded(trained, tmp_path):
    log = tmp_path / "log"
    turned = ("--set", "backend.rotation_deg=90")
    words = ("run", "bf-disk-centering", "--agent", "random", "--episodes", 4)
    finish(command(*words, *turned, "--out", log, "--json"))
    lines = (log / "events.jsonl").read_text().splitlines()
    steps = sum(json.loads(line)["k"] > 0 for line in lines)
    relearnt = ("relearn", trained, "--from-log", log, "--steps", 10, *turned)
    settings = ("--set", "agent.warm_up_updates=20", "--out", tmp_path / "b", *QUIET)
    finish(command(*relearnt, *settings))
    said = json.loads((tmp_path / "b" / "record.json").read_text())["kept_and_dropped"]
    assert said[0] == f"{steps} recorded transitions came from {log}."
    assert f"Took {steps} recorded transitions and made 20 updates on them." in said


@pytest.mark.parametrize(
    ("change", "code", "said"),
    sampled(
        [
            ({"settings": {"task": {"preset": "paper"}}}, 3, "observation space"),
            ({"task": "dark-field"}, 3, "not with bf-disk-centering"),
            ({"schema": 7}, 2, "schema 7"),
            ({}, 2, "is not a timestep|is damaged"),
        ],
        4,
    ),
)
def test_logs_that_do_not_fit_are_refused(trained, tmp_path, change, code, said):
    log = tmp_path / "log"
    log.mkdir()
    record = json.loads((trained / "record.json").read_text())
    (log / "record.json").write_text(json.dumps({**record, **change}))
    (log / "events.jsonl").write_text("{}\n{}\n")
    words = command("relearn", trained, "--from-log", log, "--out", tmp_path / "b", *QUIET)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert any(part in done.stderr.replace("\n", " ") for part in said.split("|"))
    assert not (tmp_path / "b").exists()
