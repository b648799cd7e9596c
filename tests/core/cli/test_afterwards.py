"""What is shown after a run changes nothing of it: not its result, not its exit code."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from rich.console import Console
from tests.core.cli.conftest import Stempilot, typed
from tests.core.fakes import toy_registry

from stempilot.cli import render
from stempilot.errors import RunDirError
from stempilot.plugins.registry import Registry
from stempilot.record.run_dir import RunDir

RUN = typed("run centring --agent exact --out a")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("latex could not be found"), "RuntimeError: latex could not be found"),
        (UnicodeEncodeError("cp1252", "\u65e5", 0, 1, "no"), "UnicodeEncodeError: 'cp1252'"),
        (MemoryError(), "MemoryError; try"),
        (KeyboardInterrupt(), "KeyboardInterrupt; try"),
        (RunDirError("a/events.jsonl is damaged"), "a/events.jsonl is damaged"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_fails_a_report(
    stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch, error: BaseException, reason: str
) -> None:
    def fail(_: Path) -> Path:
        raise error

    monkeypatch.setattr("stempilot.report.write_report", fail)
    ended = stempilot(*RUN, "--json")
    assert (ended.code, ended.json["success"], ended.json["report"]) == (0, True, None)
    assert f"there is no report: {reason}" in ended.err


def test_what_was_put_back_where_is_left_out_where_the_record_is_damaged(
    stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    stempilot(*RUN)
    plan = type("Plan", (), {"keeps": False, "command": "run"})
    Path("a/baseline.json").write_text("{", encoding="utf-8")
    said: list[str] = []
    monkeypatch.setattr(render, "remark", said.append)
    from stempilot.cli.common import _say_interrupted

    _say_interrupted(plan, Path("a"))
    assert said == ["interrupted; put back"]


def shows_in(encoding: str, stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch) -> str:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        ended = stempilot(*typed("run centring --agent exact --out"), "\u65e5\u672c")
    assert ended.code == 0, ended.err
    stdout.flush()
    return stdout.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def test_what_a_terminal_cannot_show_is_replaced(
    stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shows_in("cp1252", stempilot, monkeypatch)
    assert r"\u65e5\u672c/report.html" in shown
    assert RunDir.open("\u65e5\u672c").record().status == "done"


@pytest.fixture
def unread() -> Iterator[TextIO]:
    """Return a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        yield stream


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (RUN, 0),
        ([*RUN, "--json"], 0),
        ([*RUN, "--set", "task.tolerance=1e-9", "--set", "run.max_timesteps=1"], 1),
        (typed("restore before --json"), 0),
        (typed("report before"), 0),
    ],
    ids=["table", "json", "failed run", "restore", "report"],
)
def test_a_result_without_a_reader_is_a_remark(
    stempilot: Stempilot,
    monkeypatch: pytest.MonkeyPatch,
    unread: TextIO,
    words: list[str],
    code: int,
) -> None:
    stempilot(*typed("run centring --agent exact --out before"))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", unread)
        patch.setattr(render, "out", type(render.out)())
        ended = stempilot(*words)
    assert ended.code == code, ended.err
    assert "cannot write to the standard output: Broken pipe; see " in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_what_is_only_shown_and_not_read_is_an_error(
    stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch, unread: TextIO
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", unread)
        patch.setattr(render, "out", type(render.out)())
        ended = stempilot("plugins")
    assert ended.code == 1
    assert "error: cannot write to the standard output: Broken pipe\n" in ended.err


def test_a_terminal_that_is_gone_ends_no_run(
    stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

    err = type(render.err)(stderr=True, file=Gone(), force_terminal=True)
    monkeypatch.setattr(render, "err", err)
    assert isinstance(err, Console)
    ended = stempilot(*typed("train centring --agent learner --steps 5 --out a --json"))
    assert (ended.code, ended.json["timesteps"]) == (0, 5)


def test_a_plug_in_that_prints_spoils_no_json(
    stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def discover(*_: object, **__: object) -> Registry:
        print("camera library 3.1, 14 days left")  # noqa: T201 - as plug-ins do
        return toy_registry()

    monkeypatch.setattr("stempilot.plugins.registry.discover", discover)
    for words in ([*RUN, "--json"], typed("plugins --json"), typed("restore a --json")):
        ended = stempilot(*words)
        assert (ended.code, type(ended.json)) == (0, dict)
        assert "14 days left" in ended.err
