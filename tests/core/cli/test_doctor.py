"""``stempilot doctor`` shows what is wrong with a machine, also where half of it is broken."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from tests.core.cli.conftest import Ended, Stempilot, typed
from tests.core.fakes import Desk, desk_plugin, fails, put_record, toy_registry

from stempilot.instrument import lock
from stempilot.instrument.envelope_file import write_envelope
from stempilot.instrument.lock import FOLDER_VARIABLE, instrument_lock, lock_folder
from stempilot.record.owner import owned
from stempilot.record.run_dir import RunDir

MAIN = "from stempilot.cli import main; main()"
HEAVY = {"torch", "numba", "matplotlib", "stable_baselines3"}


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "locks"))
    (tmp_path / "locks").mkdir()


def rows(ended: Ended, what: str) -> list[tuple[str, str, str]]:
    """Return state, what was found and the next step of all findings of a name."""
    found = [each for each in ended.json["findings"] if each["what"] == what]
    return [(each["state"], each["found"], each["advice"]) for each in found]


def test_a_sound_machine_is_shown_in_one_table(stempilot: Stempilot) -> None:
    ended = stempilot("doctor")
    assert ended.code == 0
    assert ended.err == ""
    for said in ("python", "packages", "plug-ins", "working folder", "locks", "clock", "numpy"):
        assert said in ended.out


def test_it_imports_no_plug_in_and_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom stempilot.cli import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, "doctor", "--json"]
    found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    modules = set(found.stderr.split())
    assert "stempilot.runs.doctor" in modules
    assert {name for name in modules if name.startswith("stempilot_")} | (HEAVY & modules) == set()


def test_it_works_where_half_is_broken(
    stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        msg = "broken"
        raise RuntimeError(msg)

    monkeypatch.setattr(metadata, "version", broken)
    monkeypatch.setattr(lock, "lock_folder", broken)
    monkeypatch.setattr("platform.platform", broken)
    monkeypatch.setattr(Path, "cwd", broken)
    ended = stempilot("doctor", "--json", "--envelope", "none.toml", "--runs", os.devnull)
    assert ended.code == 1
    for what in ("packages", "python", "working folder"):
        assert rows(ended, what)[-1][:2] == ("problem", "RuntimeError: broken")
    assert [rows(ended, what)[0][0] for what in ("lock folder", "locks")] == ["problem"] * 2
    assert rows(ended, "envelope")[0][0] == "problem"
    assert rows(ended, "plug-ins")[0][0] == "ok"
    assert rows(ended, "temporary files")[0][0] == "ok"


def test_damaged_metadata_are_named(
    stempilot: Stempilot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, points in (("other", b"\xff"), ("optics", b"[stempilot]\nno value\n")):
        info = tmp_path / "site" / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_bytes(points)
    monkeypatch.syspath_prepend(tmp_path / "site")
    ended = stempilot("doctor", "--json")
    states = {Path(found.split(" cannot")[0]).name: s for s, found, _ in rows(ended, "metadata")}
    assert states == {"other-1.0.dist-info": "note", "optics-1.0.dist-info": "problem"}
    assert ended.code == 1


def test_locks_and_their_holders_are_shown(stempilot: Stempilot, tmp_path: Path) -> None:
    with instrument_lock(Desk(), "desk", run_dir=tmp_path / "a"):
        (held, summary) = rows(stempilot("doctor", "--json"), "locks")[-2:]
        note = next(lock_folder().glob("*.json")).read_bytes()
    assert f"is in use by process {os.getpid()} on" in held[1]
    assert summary[1] == "0 of 1 known instruments are free"
    (lock_folder() / f"{next(lock_folder().glob('*.lock')).stem}.json").write_bytes(note)
    (killed, summary) = rows(stempilot("doctor", "--json"), "locks")[-2:]
    assert "is free; a run was killed, by process" in killed[1]
    assert "stempilot restore RUN --dry-run" in killed[2]
    assert summary[1] == "1 of 1 known instruments are free"


def test_runs_that_did_not_put_back_are_problems(stempilot: Stempilot) -> None:
    what = {"status": "running", "displaced": True, "backend": "desk"}
    for name, more in (
        ("killed", {"simulated": False}),
        ("simulated", {"simulated": True}),
        ("sound", {"simulated": False, "displaced": False, "status": "done"}),
    ):
        put_record(RunDir.create(Path("runs") / name).path, **{**what, **more})
    RunDir.create(Path("runs/damaged"))
    Path("runs/damaged/record.json").write_text("{")
    put_record(RunDir.create(Path("runs/writing")).path, **what)
    with owned(Path("runs/writing")):
        ended = stempilot("doctor", "--json")
    assert ended.code == 1
    found = {
        said.split()[0].strip(":"): (state, said, to) for state, said, to in rows(ended, "runs")
    }
    folder = Path("runs")
    state, said, advice = found[str(folder / "killed")]
    assert (state, advice) == ("problem", f"stempilot restore {folder / 'killed'}")
    assert "ended without putting desk back (running)" in said
    assert found[str(folder / "simulated")][0] == "note"
    assert "is damaged" in found[str(folder / "damaged")][1]
    assert f"is in use by process {os.getpid()}" in found[str(folder / "writing")][1]
    assert str(folder / "sound") not in found
    assert found["5"][1] == "5 below runs"


def mark(run: Path) -> None:
    """Leave what a run leaves that was killed on a real instrument."""
    content = json.dumps({"run_dir": str(run.resolve()), "identity": {"serial": "7"}})
    (lock_folder() / f"desk-{run.name}.unfinished").write_text(content)


def test_runs_that_keep_the_next_one_from_starting_are_problems_wherever_they_are(
    stempilot: Stempilot, tmp_path: Path
) -> None:
    assert rows(stempilot("doctor", "--json"), "unfinished")[0][0] == "ok"
    what = {"status": "running", "displaced": True, "backend": "desk", "simulated": False}
    elsewhere, below, gone = tmp_path / "data" / "old", tmp_path / "runs" / "new", tmp_path / "gone"
    for run in (elsewhere, below):
        put_record(RunDir.create(run).path, **what)
        mark(run)
    mark(gone)
    (lock_folder() / "desk-torn.unfinished").write_bytes(b"{")
    ended = stempilot("doctor", "--json")
    assert ended.code == 1
    found = rows(ended, "unfinished")
    assert {state for state, *_ in found} == {"problem"}
    advice = {said.split()[0]: to for _, said, to in found}
    assert advice[str(elsewhere)] == f"stempilot restore {elsewhere}"
    assert advice[str(below)] == f"stempilot restore {below}"
    assert "its folder is gone" in advice[str(gone)]
    assert "its folder is gone" in advice["unknown"]
    assert "did not put its instrument back (serial 7)" in found[0][1]
    assert [said for _, said, _ in rows(ended, "runs")] == ["1 below runs"], "said once"
    shown = stempilot("doctor").out.splitlines()
    assert f"fails unfinished: stempilot restore {below}" in shown, "whole, to be copied"
    with owned(elsewhere):
        said = [found for _, found, _ in rows(stempilot("doctor", "--json"), "unfinished")]
    assert not any(each.startswith(str(elsewhere)) for each in said), "that run goes on"


@pytest.fixture
def desk(use: Any, stempilot: Stempilot) -> Desk:
    del stempilot
    made = Desk()
    use(toy_registry(desk_plugin(made)))
    write_envelope(Path("envelope.toml"), "desk", made.offers())
    return made


def test_an_instrument_is_read_and_not_moved(stempilot: Stempilot, desk: Desk) -> None:
    ended = stempilot(*typed("doctor --json --backend desk --envelope envelope.toml"))
    assert ended.code == 0, ended.json
    assert "answers; a real instrument" in rows(ended, "desk")[0][1]
    assert rows(ended, "desk: beam_shift")[0][1] == "[0.0, 0.0] m"
    assert "is for desk and allows beam_shift" in rows(ended, "envelope")[0][1]
    assert [row for row in ended.json["findings"] if "exposed for" in row["found"]]
    assert desk.log == [], "nothing was written"


def test_what_an_instrument_does_not_answer_is_a_problem(stempilot: Stempilot, desk: Desk) -> None:
    desk.before = fails("acquire camera", "read beam_shift")
    ended = stempilot(*typed("doctor --json --backend desk"))
    assert ended.code == 1
    assert rows(ended, "instrument")[0][0] == "problem"
    assert "timed out" in rows(ended, "instrument")[0][1]
    assert "answers" in rows(ended, "desk")[0][1]


def test_an_instrument_in_use_is_left_alone(stempilot: Stempilot, desk: Desk) -> None:
    calls: list[str] = []
    desk.before = lambda what, name: calls.append(what)
    with instrument_lock(desk, "desk"):
        ended = stempilot(*typed("doctor --json --backend desk"))
    assert "is in use by process" in rows(ended, "instrument")[0][1]
    assert calls == []


def test_an_envelope_of_another_backend_is_a_problem(stempilot: Stempilot, desk: Desk) -> None:
    del desk
    ended = stempilot(*typed("doctor --json --backend simulator --envelope envelope.toml"))
    assert rows(ended, "envelope")[0][0] == "problem"
    assert "not for simulator" in rows(ended, "envelope")[0][1]
