"""The core speaks of a task's quantities, not of pixels from a goal."""

import re
from pathlib import Path

import pytest

import stempilot

CORE = Path(stempilot.__file__).parent
OF_ONE_TASK = re.compile(r"\b(?:x_px|y_px|dx_px|dy_px|distance_px|\w*error_px\w*)\b")
ALLOWED = {"record/quantities.py": "the quantities of runs that were recorded without"}


@pytest.mark.parametrize(
    "room", ["cli", "operation", "record", "report", "runs", "testing", "instrument", "plugins"]
)
def test_no_quantity_of_one_task_is_named(room: str) -> None:
    files = sorted((CORE / room).rglob("*.py"))
    assert files
    named = {
        (file.relative_to(CORE).as_posix(), word)
        for file in files
        for word in OF_ONE_TASK.findall(file.read_text(encoding="utf-8"))
    }
    assert {(file, word) for file, word in named if file not in ALLOWED} == set()
