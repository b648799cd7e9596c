import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.core.report.toy import save

from stempilot.errors import RunDirError
from stempilot.files import write_json
from stempilot.report.loading import gather


def test_everything_is_read(trained: Path) -> None:
    (trained / "comparison.json").write_text('{"rows": [{"name": "random", "success_rate": 0.5}]}')
    write_json(trained / "result.json", {"wall_s": 3.0})
    found = gather(trained)
    assert found.kind == "training"
    assert found.record.agent == "sac"
    assert found.result["wall_s"] == 3.0
    assert len(found.evaluations) == 40
    assert found.evaluations[-1].passed
    assert found.series.timesteps == 400
    assert found.comparison == ({"name": "random", "success_rate": 0.5},)
    assert found.field_px == (260, 260)
    assert [final.outcome for final in found.finals] == ["success", "failure"]


@pytest.mark.parametrize(
    "missing", ["events.jsonl", "progress.json", "finals.json", "result.json", "comparison.json"]
)
def test_what_a_run_did_not_get_to_may_be_missing(trained: Path, missing: str) -> None:
    (trained / missing).unlink(missing_ok=True)
    gather(trained)


def test_a_record_is_required(trained: Path) -> None:
    (trained / "record.json").unlink()
    with pytest.raises(RunDirError, match=r"record\.json"):
        gather(trained)


def test_a_last_event_that_was_cut_off_is_left_out(trained: Path) -> None:
    with (trained / "events.jsonl").open("a") as file:
        file.write('{"e": 99, "k": 0, ')
    assert gather(trained).series.timesteps == 400


def damage_final(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = run / "finals.json"
    content = json.loads(path.read_text())
    change(content["finals"][0])
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda final: final.pop("marks"),
        lambda final: final.pop("block"),
        lambda final: final.update(block=0),
        lambda final: final.update(block="x"),
        lambda final: final.update(marks={"goal": [1.0]}),
        lambda final: final.update(marks=3),
        lambda final: final.update(episode=None),
    ],
    ids=["no marks", "no block", "block 0", "text", "one coordinate", "no mapping", "no episode"],
)
def test_damaged_final_frames_are_refused(
    trained: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    damage_final(trained, change)
    with pytest.raises(RunDirError, match=r"finals\.json"):
        gather(trained)


def test_marks_that_are_not_numbers_are_left_out(trained: Path) -> None:
    damage_final(trained, lambda final: final.update(marks={"goal": ["x", 1], "found": [2, 3]}))
    assert gather(trained).finals[0].marks == {"found": (2.0, 3.0)}


def test_as_many_frames_as_descriptions_are_required(trained: Path) -> None:
    save(trained / "finals.npy", np.zeros((5, 8, 8), np.uint8))
    with pytest.raises(RunDirError, match="5 frames"):
        gather(trained)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2)), np.array([[["x"]]]), np.full((2, 1, 1), np.nan)]
)
def test_what_is_no_stack_of_frames_is_refused(trained: Path, array: Any) -> None:
    save(trained / "finals.npy", array)
    with pytest.raises(RunDirError, match=r"finals\.npy"):
        gather(trained)


def test_missing_final_frames_are_named(trained: Path) -> None:
    (trained / "finals.npy").unlink()
    with pytest.raises(RunDirError, match=r"finals\.npy"):
        gather(trained)


@pytest.mark.parametrize("text", ["", "[]", '{"rows": 3}', '{"rows": [1]}', "{"])
def test_damaged_comparisons_are_refused(trained: Path, text: str) -> None:
    (trained / "comparison.json").write_text(text)
    with pytest.raises(RunDirError, match=r"comparison\.json"):
        gather(trained)


@pytest.mark.parametrize("name", ["events.jsonl", "progress.json", "result.json"])
def test_damaged_files_are_refused(trained: Path, name: str) -> None:
    (trained / name).write_text('{"schema": 1, \n{}\n')
    with pytest.raises(RunDirError, match=name):
        gather(trained)


def test_what_a_run_relearnt_in_between_is_none_of_its_figures(evaluated: Path) -> None:
    whole = gather(evaluated).series
    lines = [json.loads(line) for line in (evaluated / "events.jsonl").read_text().splitlines()]
    for line in lines:
        if line["e"] in {3, 4}:
            line["phase"] = "relearn"
    (evaluated / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    left = gather(evaluated).series
    assert len(left.complete) == len(whole.complete) - 2
    assert not {3, 4} & set(left.number)


def test_an_episode_that_relearning_cut_off_failed(evaluated: Path) -> None:
    whole = gather(evaluated).series
    lines = [json.loads(line) for line in (evaluated / "events.jsonl").read_text().splitlines()]
    third = [n for n, line in enumerate(lines) if line["e"] == 3]
    for number in third[1:]:
        lines[number]["phase"] = "relearn"
    (evaluated / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    cut = gather(evaluated).series
    assert len(cut.complete) == len(whole.complete)
    (ended,) = (episode for episode in cut.complete if cut.number[episode.last] == 3)
    assert not ended.success
