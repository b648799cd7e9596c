"""Folders of strangers: nothing outside is touched, and restore needs the baseline alone."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.core.fakes import Desk, desk_plugin, toy_registry
from tests.core.jobs import NO_TWIN, desk_away, on_desk, standing, when

from stempilot import report
from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import RunDirError, StempilotError
from stempilot.record.record import FramePolicy
from stempilot.record.run_dir import RunDir
from stempilot.runs.execute import execute
from stempilot.runs.plans import plan_resume
from stempilot.runs.restore import restore

posix = pytest.mark.skipif(os.name == "nt", reason="links and pipes as POSIX has them")
LEFT = (3e-7, 2e-7)


class Killed(BaseException):
    """The process is gone, without a word."""


def kill() -> None:
    raise Killed


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was killed on its way; it is not to be changed."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    settings = {**NO_TWIN, "run": {"evaluate": False, "checkpoint_every": 10}}
    plan = on_desk(desk_away(), folder, settings=settings)
    with pytest.raises(Killed):
        execute(plan, on_progress=when(27, kill))
    return folder


@pytest.fixture
def run(killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy; its report has one picture, for drawing takes the time here."""
    drawn = dict.fromkeys(report._DRAWN, (report.paths_picture,))
    monkeypatch.setattr(report, "_DRAWN", drawn)
    return Path(shutil.copytree(killed, tmp_path / "run"))


def left() -> Desk:
    """Return the desk where the run left it when it was killed."""
    desk = desk_away()
    desk.toy.open()
    desk.toy.write(BEAM_SHIFT, LEFT)
    return desk


def make_report(run: Path) -> None:
    report.write_report(run)


def resume(run: Path) -> None:
    directory = RunDir(run)
    if directory.record().displaced:
        directory.update_record(displaced=False)
    execute(plan_resume(toy_registry(desk_plugin(desk_away())), run))


def put_back(run: Path) -> None:
    desk = left()
    restore(toy_registry(desk_plugin(desk)), run)
    assert standing(desk) == pytest.approx(desk_away().toy._shift)


ACTIONS = (make_report, resume, put_back)
NAMES = (
    "record.json",
    ".record.json.new",
    "baseline.json",
    "events.jsonl",
    "audit.jsonl",
    "progress.json",
    ".progress.json.new",
    "result.json",
    ".result.json.new",
    "log.txt",
    "finals.npy",
    "finals.json",
    "comparison.json",
    "report.html",
    ".report.html.new",
)
FOLDERS = ("plots", "frames", "agent-*")


def in_its_place(run: Path, name: str, trap: Callable[[Path], object]) -> None:
    for path in list(run.glob(name)) or [run / name]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        trap(path)


@posix
@pytest.mark.parametrize("name", NAMES + FOLDERS)
@pytest.mark.parametrize("act", ACTIONS, ids=lambda act: act.__name__)
def test_a_link_leads_nowhere(run: Path, name: str, act: Callable[[Path], None]) -> None:
    outside = run.parent / "outside"
    original = next(iter(run.glob(name)), run)
    # Such files as would be read and gone on with, if the link were followed.
    shutil.copytree(original if original.is_dir() else run, outside)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    target = outside if name in FOLDERS else outside / name
    in_its_place(run, name, lambda path: path.symlink_to(target))
    with_frames(run, name)
    try:
        act(run)
    except StempilotError as error:
        assert act is not put_back or name == "baseline.json"
        assert name.strip("*") in str(error)
    after = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    assert after == before


def with_frames(run: Path, name: str) -> None:
    """Let a run keep frames, so that their folder is used."""
    if name == "frames":
        RunDir(run).update_record(frames=FramePolicy(every=1))


@posix
@pytest.mark.parametrize("name", [*NAMES, *FOLDERS, "agent-1", "agent-40"])
@pytest.mark.parametrize("act", ACTIONS, ids=lambda act: act.__name__)
def test_a_pipe_is_not_waited_for(run: Path, name: str, act: Callable[[Path], None]) -> None:
    in_its_place(run, name, os.mkfifo)
    try:
        act(run)
    except StempilotError as error:
        assert act is not put_back or name == "baseline.json"
        assert name.strip("*") in str(error)


@pytest.mark.parametrize("content", [None, b"", b"{", b"\0" * 100, b'{"schema": 1}'])
@pytest.mark.parametrize("name", ["record.json", "progress.json", "events.jsonl", "audit.jsonl"])
def test_a_sound_baseline_is_enough_to_put_the_knobs_back(
    run: Path, name: str, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    (run / name).unlink()
    if content is not None:
        (run / name).write_bytes(content)
    put_back(run)
    assert ("could not be noted" in caplog.text) is (name == "record.json")


def test_the_envelope_of_a_baseline_holds(run: Path) -> None:
    (run / "record.json").unlink()
    path = run / "baseline.json"
    content = json.loads(path.read_text())
    content["envelope"]["knobs"][BEAM_SHIFT]["upper"] = [1e-7, 1e-7]
    path.write_text(json.dumps(content))
    desk = left()
    with pytest.raises(StempilotError, match="outside"):
        restore(toy_registry(desk_plugin(desk)), run)
    assert standing(desk) == LEFT


def test_an_earlier_baseline_needs_the_record_and_names_the_way_by_hand(run: Path) -> None:
    path = run / "baseline.json"
    knobs = json.loads(path.read_text())["knobs"]
    path.write_text(json.dumps({"schema": 1, "knobs": knobs}))
    put_back(run)
    (run / "record.json").write_bytes(b"{")
    with pytest.raises(RunDirError, match=r"the knobs stood at .*: put them there by hand"):
        put_back(run)
