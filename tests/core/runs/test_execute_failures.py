"""Whatever goes wrong in a run, the knobs go back and the record says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import (
    Desk,
    NoOptions,
    desk_plugin,
    fails,
    plugin,
    toy_registry,
)
from tests.core.jobs import (
    AWAY,
    desk_away,
    desk_envelope,
    events,
    extras,
    on_desk,
    record,
    run,
    standing,
    train,
    when,
)

from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import BackendError, EnvelopeError, RecordError, RestoreError
from stempilot.record.run_dir import RunDir
from stempilot.runs.execute import execute
from stempilot.runs.plans import plan_train
from stempilot.testing.toys import ToyLearner


def after(count: int, desk: Desk, *what: str) -> Callable[[str, str], None]:
    """Return trouble that begins with some call after so many writes."""

    def trouble(kind: str, knob: str) -> None:
        if len(desk.log) >= count:
            fails(*what)(kind, "")

    return trouble


def test_an_instrument_that_fails_ends_the_run_and_what_was_is_on_disk(tmp_path: Path) -> None:
    desk = desk_away()

    def once(what: str, knob: str) -> None:
        if what == "acquire" and len(desk.log) == 20:
            desk.before = lambda what, name: None
            msg = "the camera vanished"
            raise BackendError(msg)

    desk.before = once
    with pytest.raises(BackendError, match="the camera vanished"):
        execute(on_desk(desk, tmp_path / "run"))
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    found = record(tmp_path / "run")
    assert (found.status, found.reason) == ("failed", "BackendError: the camera vanished")
    told = events(tmp_path / "run")
    assert len([write for event in told for write in event["writes"]]) >= 15
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_bug_is_noted_and_keeps_its_traceback(tmp_path: Path) -> None:
    desk = desk_away()

    def bug() -> None:
        msg = "a bug"
        raise ZeroDivisionError(msg)

    with pytest.raises(ZeroDivisionError):
        execute(on_desk(desk, tmp_path / "run"), on_progress=when(9, bug))
    found = record(tmp_path / "run")
    assert (found.status, found.reason) == ("failed", "ZeroDivisionError: a bug")
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


def test_an_instrument_that_is_not_put_back_is_noted(tmp_path: Path) -> None:
    desk = desk_away()
    desk.before = after(20, desk, "write")
    with pytest.raises(RestoreError) as caught:
        execute(on_desk(desk, tmp_path / "run"))
    assert caught.value.left[0].startswith(f"{BEAM_SHIFT} should read {AWAY}")
    assert str(record(tmp_path / "run").reason).startswith("RestoreError: THE INSTRUMENT WAS NOT")
    assert record(tmp_path / "run").displaced is True


def test_incompatible_parts_are_refused_before_the_instrument_is_touched(tmp_path: Path) -> None:
    desk = desk_away()
    opened: list[str] = []
    desk.before = lambda what, name: opened.append(what)
    registry = toy_registry(desk_plugin(desk))
    with pytest.raises(EnvelopeError, match="needs an envelope"):
        execute(train(tmp_path / "run", registry, backend="desk"))
    assert opened == []
    assert record(tmp_path / "run").status == "failed"
    execute(on_desk(desk, tmp_path / "run"))
    assert record(tmp_path / "run").status == "done", "its folder is not used up"


class FullDisk(ToyLearner):
    """Cannot be saved after its first time."""

    saved = 0

    def save(self, folder: Path) -> None:
        if FullDisk.saved:
            raise OSError(28, "No space left on device", str(folder))
        FullDisk.saved += 1
        super().save(folder)


def test_a_disk_that_is_full_at_a_checkpoint_puts_back_and_the_one_before_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FullDisk, "saved", 0)
    desk = desk_away()
    full = plugin("full", NoOptions, lambda _, brief: FullDisk(brief))
    plan = plan_train(
        toy_registry(desk_plugin(desk), ("agent", full)),
        task="centring",
        agent="full",
        backend="desk",
        steps=40,
        settings={"run": {"checkpoint_every": 10, "max_timesteps": 5}},
        extras=extras(tmp_path / "run", envelope=desk_envelope()),
    )
    with pytest.raises(RecordError, match="No space left on device; free some space"):
        execute(plan)
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert record(tmp_path / "run").status == "failed"
    assert 10 <= int(RunDir.open(tmp_path / "run").agent_folder().name.split("-")[1]) < 40


def test_a_note_that_the_disk_refuses_too_does_not_hide_the_first_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_away()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    def die() -> None:
        monkeypatch.setattr(Path, "replace", full)
        msg = "the camera vanished"
        raise BackendError(msg)

    with pytest.raises(BackendError, match="the camera vanished"):
        execute(on_desk(desk, tmp_path / "run"), on_progress=when(9, die))
    monkeypatch.undo()
    assert record(tmp_path / "run").status == "running"
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


def test_a_successful_run_that_cannot_be_recorded_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_away()
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "result.json":
            raise OSError(28, "No space left on device", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RecordError):
        execute(run(desk, tmp_path / "run"))
    assert len(desk.log) > 1
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


@pytest.mark.parametrize("error", [SystemExit, MemoryError, GeneratorExit])
def test_whatever_a_backend_raises_is_noted_with_the_knobs_at_home(
    tmp_path: Path, error: type[BaseException]
) -> None:
    desk = desk_away()

    def once(what: str, knob: str) -> None:
        if what == "acquire" and len(desk.log) == 5:
            desk.before = lambda what, name: None
            raise error(0)

    desk.before = once
    with pytest.raises(error):
        execute(on_desk(desk, tmp_path / "run"))
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    found = record(tmp_path / "run")
    assert (found.status, found.displaced) == ("failed", False)
    assert found.reason == f"{error.__name__}: 0"
