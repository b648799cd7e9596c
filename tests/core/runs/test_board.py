"""TensorBoard's event files: with the package where it is installed, else with a stand-in."""

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.core.jobs import REGISTRY, train

from stempilot.errors import ConfigError
from stempilot.runs import board
from stempilot.runs.board import Board
from stempilot.runs.execute import execute, prepare
from stempilot.runs.plans import plan_resume

SETTINGS = {"run": {"tensorboard": True, "max_timesteps": 5}}


class Writer:
    """Takes what TensorBoard's own would write."""

    made: list["Writer"] = []  # noqa: RUF012 - shared on purpose

    def __init__(self, folder: str) -> None:
        self.folder, self.taken, self.open = Path(folder), list[tuple[str, float, int]](), True
        self.fails = False
        Writer.made.append(self)

    def add_scalar(self, name: str, value: float, timestep: int) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.taken.append((name, value, timestep))

    def close(self) -> None:
        self.open = False


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Writer]]:
    for name in ("tensorboard", "tensorboard.summary"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.Writer = Writer  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    yield Writer.made
    Writer.made.clear()


def test_episodes_evaluations_and_the_learner_are_shown(
    tmp_path: Path, writers: list[Writer]
) -> None:
    execute(train(tmp_path / "run", settings=SETTINGS, steps=20))
    (made,) = writers
    assert made.folder == tmp_path / "run" / "tensorboard"
    assert not made.open
    names = {name for name, *_ in made.taken}
    assert {"episodes/reward", "episodes/success_rate", "evaluation/success_rate"} <= names
    assert [t for name, _, t in made.taken if name == "evaluation/success_rate"] == [10, 20]
    execute(plan_resume(REGISTRY, tmp_path / "run", steps=30))
    assert len(writers) == 2


def test_a_disk_that_is_full_stops_nothing(
    tmp_path: Path, writers: list[Writer], caplog: pytest.LogCaptureFixture
) -> None:
    shown = Board(tmp_path)
    shown.show({"a": None, "b": 1.0}, 3)
    assert writers[0].taken == [("b", 1.0, 3)]
    writers[0].fails = True
    shown.show({"b": 1.0}, 4)
    shown.show({"b": 1.0}, 5)
    assert caplog.text.count("gets no further figures") == 1
    shown.close()


def test_without_the_package_it_is_refused_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install \"stempilot\[tensorboard\]\""):
        prepare(train(tmp_path / "run", settings=SETTINGS))
    prepare(train(tmp_path / "run"))


def test_tensorboard_itself_writes_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    shown: Any = Board(tmp_path)
    shown.show({"a": 1.0}, 3)
    shown.close()
    (file,) = (tmp_path / "tensorboard").iterdir()
    assert file.stat().st_size > 0
