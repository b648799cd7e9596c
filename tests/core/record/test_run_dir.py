"""A run directory is complete or says what is wrong; nothing in it is ever run."""

import contextlib
import errno
import json
import os
import pickle
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.core.fakes import RECORD, put_record, saving

from stempilot.errors import RecordError, RunDirError
from stempilot.files import SCHEMA, file_hash, parse_json, read_json, write_file, write_json
from stempilot.record.figures import Evaluation
from stempilot.record.quantities import UNDECLARED
from stempilot.record.record import FramePolicy
from stempilot.record.run_dir import RunDir


def saved(run: RunDir) -> str:
    return (RunDir.open(run.path).agent_folder() / "agent.json").read_text()


# --- files ---------------------------------------------------------------------------------------


def test_json_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": [1, None, "é"]})
    assert read_json(tmp_path / "a.json") == {"schema": 1, "x": [1, None, "é"]}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_json_is_not_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged"),
        (b'{"schema": 1', "is damaged"),
        (b"\x80\x04\x95", "is damaged"),
        (pickle.dumps({"schema": 1}), "is damaged"),
        (b'{"schema": 2}', "has schema 2; this stempilot reads schema 1"),
        (b'{"schema": "1"}', "has schema '1'"),
        (b"{}", "has schema None"),
        (b"[1]", r"has schema \[1\]"),
        (b"3", "has schema 3"),
        (b'{"schema": 1, "x": NaN}', "NaN is not a number"),
        (b'{"schema": 1, "x": -Infinity}', "-Infinity is not a number"),
        (b'{"schema": 1, "x": ' + b"9" * 5000 + b"}", "is damaged"),
        (b'{"schema": 1, "x": ' + b"[" * 51 + b"]" * 51 + b"}", "nested more than 50 deep"),
        (b"[" * 90_000, "nested more than 50 deep"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(RunDirError, match=said) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match=r"cannot read .*no\.json: No such file.*a run directory"):
        read_json(tmp_path / "no.json")
    with pytest.raises(RunDirError, match="is a folder, not a regular file"):
        read_json(tmp_path)


def test_nesting_is_counted() -> None:
    assert parse_json("[" * 50 + "]" * 50) is not None
    assert parse_json('{"a": [1, {"b": "[[["}]}') == {"a": [1, {"b": "[[["}]}


@pytest.mark.parametrize("step", ["replace", "fsync", "open"])
def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.json"
    write_file(path, b"old")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, step, fail)
    with pytest.raises(RecordError, match="No space left on device; free some space") as caught:
        write_file(path, b"new")
    monkeypatch.undo()
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 1
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


class Disk:
    """Notes what is on the disk: what a power cut would leave."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synchronised: list[int] = []
        self.meanwhile: Callable[[], None] = lambda: None
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        self.meanwhile()
        self.synchronised.append(os.fstat(descriptor).st_ino)

    def holds(self, path: Path) -> bool:
        return path.stat().st_ino in self.synchronised


@pytest.mark.skipif(os.name == "nt", reason="Windows has no call for it")
def test_a_written_file_is_on_the_disk_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    path = tmp_path / "baseline.json"
    named: list[bool] = []
    disk.meanwhile = lambda: named.append(path.exists())
    write_file(path, b"where it stood")
    assert disk.synchronised == [path.stat().st_ino, tmp_path.stat().st_ino]
    assert named == [False, True]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no call for it")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_a_file_system_that_cannot_synchronise_names_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    broken = pytest.raises(RecordError, match="Input/output error")
    with broken if number == errno.EIO else contextlib.nullcontext():
        write_file(tmp_path / "a", b"a")


# --- making and opening --------------------------------------------------------------------------


def test_a_new_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "first"
    assert RunDir.create(path).path == path
    assert RunDir.create(path).path == path, "an empty one will do"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no call for it")
def test_a_new_directory_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    RunDir.create(tmp_path / "runs" / "today" / "first")
    assert disk.holds(tmp_path)
    assert disk.holds(tmp_path / "runs")
    assert disk.holds(tmp_path / "runs" / "today")


def test_what_exists_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(RunDirError, match="exists already; choose another --out"):
        RunDir.create(tmp_path)
    with pytest.raises(RunDirError, match="exists already"):
        RunDir.create(file)
    assert file.read_text() == "mine"


def test_a_run_that_failed_before_it_began_makes_way(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    put_record(run.path, status="failed")
    (run.path / "log.txt").write_text("the camera is in use")
    assert list(RunDir.create(run.path).path.iterdir()) == []


@pytest.mark.parametrize("status", ["starting", "running", "done"])
def test_a_run_that_may_be_somebodys_does_not_make_way(tmp_path: Path, status: str) -> None:
    run = RunDir.create(tmp_path / "run")
    put_record(run.path, status=status)
    with pytest.raises(RunDirError, match="exists already"):
        RunDir.create(run.path)
    assert run.record().status == status


@pytest.mark.parametrize("name", ["baseline.json", "notes.txt"])
def test_a_failed_run_with_more_than_its_record_does_not_make_way(
    tmp_path: Path, name: str
) -> None:
    run = RunDir.create(tmp_path / "run")
    put_record(run.path, status="failed")
    (run.path / name).write_text("{}")
    with pytest.raises(RunDirError, match="exists already"):
        RunDir.create(run.path)
    assert run.record().status == "failed"


def test_a_folder_with_a_damaged_record_does_not_make_way(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(RunDirError, match="exists already"):
        RunDir.create(tmp_path)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="choose another --out"):
        RunDir.create(tmp_path / "file" / "run")


def test_opening_needs_a_record(tmp_path: Path, run: RunDir) -> None:
    assert RunDir.open(run.path).record().task == "centring"
    with pytest.raises(RunDirError, match="is this a run directory"):
        RunDir.open(tmp_path)


def test_entries_of_the_record_can_be_changed(run: RunDir) -> None:
    run.update_record(status="failed", reason="disk")
    assert (run.record().status, run.record().reason) == ("failed", "disk")
    found = read_json(run.path / "record.json")
    assert {key: found[key] for key in RECORD} == {**RECORD, "status": "failed"}


def test_what_another_version_wrote_of_a_run_is_kept(run: RunDir) -> None:
    put_record(run.path, mood="fine", frames={"every": 2, "ends": True})
    run.update_record(status="restored")
    found = read_json(run.path / "record.json")
    assert (found["mood"], found["status"]) == ("fine", "restored")
    assert run.record().frames == FramePolicy(2, ends=True)


def test_a_record_comes_back_as_it_was_written(run: RunDir) -> None:
    record = evolve(run.record(), kept_and_dropped=("kept all",), versions={"torch": None})
    run.write_record(record)
    assert run.record() == record


LATER = {
    "envelope": None,
    "from_log": None,
    "trained_here": False,
    "goal": None,
    "quantities": UNDECLARED,
}


@pytest.mark.parametrize(("entry", "default"), LATER.items())
def test_an_older_record_may_lack_what_has_a_default(run: RunDir, entry: str, default: Any) -> None:
    write_json(run.path / "record.json", {k: v for k, v in RECORD.items() if k != entry})
    assert getattr(run.record(), entry) == default


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": 3}, "status: 3 is not text"),
        ({"command": ["train"]}, "command"),
        ({"task": None}, "task: None is not text"),
        ({"backend": {"a": 1}}, "backend"),
        ({"settings": []}, "settings"),
        ({"settings": {"task": 3}}, "settings"),
        ({"seed": "3"}, "seed: '3' is not a whole number"),
        ({"seed": -1}, "'seed' must be >= 0"),
        ({"seed": 1.5}, "seed: 1.5"),
        ({"instrument_seed": None}, "instrument_seed"),
        ({"instrument_seed": True}, "instrument_seed"),
        ({"steps": 10**40}, "steps"),
        ({"steps": -5}, "steps"),
        ({"episodes": "all"}, "episodes"),
        ({"frames": {"every": -1, "ends": False}}, "every"),
        ({"frames": {"every": 1, "ends": 0}}, "ends"),
        ({"frames": {"every": 1, "ends": False, "more": 1}}, "more"),
        ({"frames": "all"}, "frames"),
        ({"envelope": "open"}, "envelope"),
        ({"parent": 3}, "parent"),
    ],
)
def test_a_record_with_entries_of_the_wrong_kind_is_refused(
    run: RunDir, change: dict[str, Any], said: str
) -> None:
    put_record(run.path, **change)
    with pytest.raises(RunDirError, match=r"record\.json is damaged: ") as caught:
        RunDir.open(run.path)
    assert said in str(caught.value)


@pytest.mark.parametrize("entry", sorted(RECORD.keys() - LATER.keys()))
def test_a_record_without_an_entry_is_refused(run: RunDir, entry: str) -> None:
    write_json(run.path / "record.json", {k: v for k, v in RECORD.items() if k != entry})
    with pytest.raises(RunDirError, match=f"{entry} is missing"):
        RunDir.open(run.path)


# --- checkpoints ---------------------------------------------------------------------------------

COUNTS = {"episodes": 2, "events_bytes": 10, "evaluations": []}


def test_before_the_first_checkpoint_there_is_no_agent(run: RunDir) -> None:
    assert run.progress() is None
    with pytest.raises(RunDirError, match="holds no trained agent yet"):
        run.agent_folder()


def test_a_checkpoint_comes_back(run: RunDir) -> None:
    evaluations = [{"timestep": 10, "episodes": 5, "successes": 0}]
    run.checkpoint({"timesteps": 10, **COUNTS, "evaluations": evaluations}, saving("ten"))
    progress = run.progress()
    assert progress is not None
    assert progress["timesteps"] == 10
    assert [Evaluation(**one) for one in progress["evaluations"]] == [Evaluation(10, 5, 0)]
    assert saved(run) == "ten"


def test_a_new_checkpoint_replaces_the_one_before(run: RunDir) -> None:
    run.checkpoint({"timesteps": 10, **COUNTS}, saving("ten"))
    run.checkpoint({"timesteps": 20, **COUNTS}, saving("twenty"))
    assert saved(run) == "twenty"
    assert [path.name for path in run.path.glob("agent-*")] == ["agent-20"]


def test_a_checkpoint_at_the_same_timestep_is_already_there(run: RunDir) -> None:
    run.checkpoint({"timesteps": 10, **COUNTS}, saving("ten"))
    run.checkpoint({"timesteps": 10, **COUNTS}, lambda _: pytest.fail("saved again"))
    assert saved(run) == "ten"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no call for it")
def test_an_agent_is_on_the_disk_before_its_progress_counts(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.checkpoint({"timesteps": 10, **COUNTS}, saving("ten"))
    replace = Path.replace
    disk = Disk(monkeypatch)
    missing: list[list[Path]] = []

    def replacing(source: Path, target: Path) -> Path:
        agent = run.path / "agent-20"
        missing.append(
            [each for each in (run.path, agent, *agent.rglob("*")) if not disk.holds(each)]
        )
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", replacing)
    run.checkpoint({"timesteps": 20, **COUNTS}, saving("twenty", folder="nets"))
    assert missing == [[]]
    assert saved(run) == "twenty"


class Crash(BaseException):
    """The process is gone."""


CRASHES = ("mkdir", "save", "half", "open", "fsync", "replace", "rmtree", "unlink")


@pytest.mark.parametrize("crash", [Crash(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("where", CRASHES)
@pytest.mark.parametrize("leftover", [False, True])
def test_a_checkpoint_is_complete_or_the_one_before_holds(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, where: str, crash: BaseException, leftover: bool
) -> None:
    """Crash at every point; what is opened later is one of the two, and whole."""
    run.checkpoint({"timesteps": 10, **COUNTS}, saving("ten", folder="nets"))
    if leftover:
        (run.path / "agent-20").mkdir()
        (run.path / "agent-20" / "agent.json").write_text("from a crash before")

    def fail(*_: Any, **__: Any) -> None:
        raise crash

    def save(folder: Path) -> None:
        if where == "half":
            (folder / "agent.json").write_text("half")
        if where in {"save", "half"}:
            fail()
        saving("twenty", folder="nets")(folder)

    if where == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif where == "rmtree":
        monkeypatch.setattr(shutil, "rmtree", fail)
    elif where in {"mkdir", "open", "replace", "unlink"}:
        monkeypatch.setattr(Path, where, fail)
    try:
        run.checkpoint({"timesteps": 20, **COUNTS}, save)
    except (Crash, RecordError, RunDirError, OSError):
        expected = {"ten", "twenty"} if where == "rmtree" else {"ten"}
    else:
        expected = {"twenty"}
    monkeypatch.undo()
    assert saved(run) in expected
    run.checkpoint({"timesteps": 30, **COUNTS}, saving("thirty"))
    assert saved(run) == "thirty"
    assert [path.name for path in run.path.glob("agent-*")] == ["agent-30"]


@pytest.mark.parametrize("where", ["mkdir", "save", "fsync", "replace"])
def test_a_full_disk_at_a_checkpoint_is_a_record_error(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif where != "save":
        monkeypatch.setattr(Path, where, fail)
    with pytest.raises(RecordError, match="No space left on device; free some space"):
        run.checkpoint({"timesteps": 20, **COUNTS}, fail if where == "save" else saving("twenty"))


def test_every_file_of_an_agent_is_checked(run: RunDir) -> None:
    run.checkpoint({"timesteps": 10, **COUNTS}, saving("ten", folder="nets"))
    folder = run.agent_folder()
    for file in (folder / "agent.json", folder / "nets" / "weights.bin"):
        content = file.read_bytes()
        file.write_bytes(content[:-1] + b"?")
        with pytest.raises(RunDirError, match=f"{file.name} is not the file that was saved"):
            run.agent_folder()
        file.unlink()
        with pytest.raises(RunDirError, match=f"cannot read .*{file.name}"):
            run.agent_folder()
        file.write_bytes(content)
    assert run.agent_folder() == folder


def test_an_agent_folder_that_is_gone_is_named(run: RunDir) -> None:
    run.checkpoint({"timesteps": 10, **COUNTS}, saving("ten"))
    shutil.rmtree(run.path / "agent-10")
    with pytest.raises(RunDirError, match="names the folder 'agent-10', which is not there"):
        run.agent_folder()


def test_a_baseline_comes_back(run: RunDir) -> None:
    assert run.baseline() is None
    write_json(run.path / "baseline.json", {"knobs": {"focus": [3.0], "shift": [1, 2.5]}})
    found = run.baseline()
    assert found is not None
    assert found.knobs == {"focus": (3.0,), "shift": (1.0, 2.5)}


def test_hashes_tell_files_apart(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    assert file_hash(tmp_path / "a") != file_hash(tmp_path / "b")
    assert len(file_hash(tmp_path / "a")) == 64


def test_the_schema_is_written(run: RunDir) -> None:
    assert json.loads((run.path / "record.json").read_text())["schema"] == SCHEMA == 1


# --- the best agent ------------------------------------------------------------------------------


def did(timestep: int, successes: int, episodes: int = 100) -> Evaluation:
    return Evaluation(timestep=timestep, episodes=episodes, successes=successes)


def test_the_best_agent_is_that_of_most_success_then_of_most_timesteps(run: RunDir) -> None:
    assert run.best() is None
    for evaluation, kept in [
        (did(10, 0, 5), 10),
        (did(20, 90), 20),
        (did(30, 3, 8), 20),
        (did(40, 90), 40),
        (did(35, 90), 40),
        (did(50, 91), 50),
        (did(60, 90), 50),
    ]:
        run.keep_best(evaluation, saving(f"after {evaluation.timestep}"))
        assert (run.agent_folder(best=True) / "agent.json").read_text() == f"after {kept}"
        assert [path.name for path in run.path.glob("best-*")] == [f"best-{kept}"]


def test_the_best_and_the_last_agent_do_not_disturb_each_other(run: RunDir) -> None:
    run.keep_best(did(10, 90), saving("best"))
    run.checkpoint({"timesteps": 10, **COUNTS}, saving("ten"))
    run.checkpoint({"timesteps": 20, **COUNTS}, saving("twenty"))
    run.keep_best(did(20, 99), saving("better"))
    assert (run.agent_folder() / "agent.json").read_text() == "twenty"
    assert (run.agent_folder(best=True) / "agent.json").read_text() == "better"
