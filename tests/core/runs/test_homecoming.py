"""With the knobs back, a last frame is held against the first one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from tests.core.fakes import Desk, blank
from tests.core.jobs import NO_TWIN, desk_away, on_desk, run, train, when

from stempilot.contract.values import Frame
from stempilot.errors import BackendError
from stempilot.files import read_json
from stempilot.record.log import LOG
from stempilot.report.headline import cards
from stempilot.report.loading import gather
from stempilot.runs.execute import execute
from stempilot.runs.homecoming import FROM_START_PX
from stempilot.testing.toys import ToyCentring


class Lasting(Desk):
    """A desk whose picture stands elsewhere once its knob was moved: hysteresis."""

    def __init__(self, shift_px: int) -> None:
        super().__init__()
        self.shift_px = shift_px
        self.develop = self.shifted

    def shifted(self, frame: Frame) -> Frame:
        px = self.shift_px if self.log else 0
        return evolve(frame, pixels=np.roll(frame.pixels, px, axis=1))


def test_a_training_tells_how_far_the_last_frame_is_from_the_first(tmp_path: Path) -> None:
    assert execute(on_desk(Lasting(0), tmp_path / "a"))[FROM_START_PX] == pytest.approx(0, abs=0.3)
    result = execute(on_desk(Lasting(2), tmp_path / "b"))
    assert result[FROM_START_PX] == pytest.approx(2, abs=0.5)
    assert read_json(tmp_path / "b" / "result.json")[FROM_START_PX] == result[FROM_START_PX]
    assert "last frame against the first, all knobs put back" in str(cards(gather(tmp_path / "b")))


def test_the_first_frame_comes_before_the_first_write_and_the_last_after_the_last(
    tmp_path: Path,
) -> None:
    desk, calls = desk_away(), list[str]()
    desk.before = lambda what, name: calls.append(what)
    execute(on_desk(desk, tmp_path / "a"))
    assert calls.index("acquire") < calls.index("write")
    assert "acquire" in calls[len(calls) - calls[::-1].index("write") :]


@pytest.mark.parametrize("episodes", [None, 2])
def test_a_run_that_keeps_its_result_is_not_held_against_its_start(
    tmp_path: Path, episodes: int | None
) -> None:
    kept = execute(run(desk_away(), tmp_path / "a", episodes=episodes, extras={"keep": True}))
    assert FROM_START_PX not in kept
    back = execute(run(desk_away(), tmp_path / "b", episodes=episodes, extras={"keep": False}))
    assert back[FROM_START_PX] == pytest.approx(0, abs=0.3)


def test_a_camera_that_fails_at_the_end_changes_nothing_of_the_run(tmp_path: Path) -> None:
    desk = desk_away()

    def fail(what: str, _: str) -> None:
        if what == "acquire":
            msg = "the camera vanished"
            raise BackendError(msg)

    def break_it() -> None:
        desk.before = fail

    result = execute(on_desk(desk, tmp_path / "a"), on_progress=when(40, break_it))
    assert FROM_START_PX not in result
    assert "no last frame was taken: the camera vanished" in (tmp_path / "a" / LOG).read_text()


def test_what_is_lost_from_view_is_not_measured(tmp_path: Path) -> None:
    desk = desk_away()
    desk.develop = blank
    first: list[Any] = []

    def lost(frame: Frame) -> Frame:
        first.append(frame)
        return blank(frame) if len(first) == 1 else frame

    desk.develop = lost
    assert FROM_START_PX not in execute(run(desk, tmp_path / "a", extras={"keep": False}))


def test_simulators_draw_no_frame_more(tmp_path: Path) -> None:
    assert FROM_START_PX not in execute(train(tmp_path / "a", settings=NO_TWIN))


def test_a_task_that_marks_nothing_is_not_held_against_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyCentring, "marks", lambda self, state: {})
    result = execute(run(desk_away(), tmp_path / "a", extras={"keep": False}))
    assert result["success"]
    assert FROM_START_PX not in result
