"""The benchmark of specimens runs, keeps what it has measured, and tells a false success."""

import json

import numpy as np
import pytest

import stempilot
from benchmarks import specimens
from stempilot_tasks.bf_disk_centering.state import Disk


def lines(folder):
    (file,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_starts_are_measured_once_and_kept(tmp_path, monkeypatch, capsys):
    asked = ["halo", "--starts", "2", "--seed", "5", "--out", str(tmp_path), "--agents", "oracle"]
    assert specimens.main(asked) == 0
    before = lines(tmp_path)
    assert [one["seed"] for one in before] == [5, 6]
    assert all(one["outcome"] == "success" and one["wrong"] == 0 < one["rows"] for one in before)
    monkeypatch.setattr(specimens, "played", None)
    assert specimens.main(asked) == 0
    assert lines(tmp_path) == before
    assert "success 2" in capsys.readouterr().out


def test_a_success_at_another_disk_is_false(monkeypatch):
    elsewhere = Disk(position_px=(0.0, 0.0), radius_px=20.0, contrast=1.0)
    measure = specimens.Counting.measure

    def wrong(self, snapshot):
        from attrs import evolve

        return evolve(measure(self, snapshot), position_px=(0.0, 0.0), disks=(elsewhere,))

    monkeypatch.setattr(specimens.Counting, "measure", wrong)
    monkeypatch.setattr(specimens.Counting, "is_start", lambda *_: True)
    agent = stempilot.discover().agent(
        "adaptive", specimens.Counting("adaptive", None, ambiguous=False)
    )
    one, watch = specimens.played("random", 3, "adaptive", agent)
    assert one.outcome == specimens.FALSE
    assert one.error_px > 13
    assert one.wrong == one.rows == len(watch.told)


def test_a_reference_and_a_training_have_rows_of_their_own():
    plain = specimens.Row(preset="crystal", agent="sac", reference=False)
    other = specimens.Row(preset="crystal", agent="sac", reference=True, train=30)
    assert plain.name != other.name


@pytest.mark.slow
def test_a_training_with_a_reference_is_scored(tmp_path):
    pytest.importorskip("torch")
    words = ["crystal", "--reference", "--train", "20", "--agents", "sac-rapid"]
    assert specimens.main([*words, "--starts", "1", "--out", str(tmp_path)]) == 0
    (one,) = lines(tmp_path)
    assert one["rows"] >= 20
    assert np.isfinite(one["error_px"])
