"""Whether a knob may change by so much is one rule, for numbers and for arrays."""

import ast
import math
import re
from pathlib import Path

import numpy as np
import pytest

import stempilot
from stempilot.instrument.checks import may_change

RULE = re.compile(r"1 \+ 1e-(0[6-9]|1\d)")
"""A factor just above 1."""


@pytest.mark.parametrize(
    ("change", "resolution", "may"),
    [
        (0.0, 0.0, True),
        (1.0, 0.0, True),
        (-1.0, 0.0, True),
        (1.0 + 5e-10, 0.0, True),
        (1.0 + 1e-8, 0.0, False),
        (-1.1, 0.0, False),
        (-1.1, 0.2, True),
        (math.nan, 0.0, False),
        (math.inf, 0.0, False),
    ],
)
def test_of_numbers_and_of_arrays_alike(change: float, resolution: float, *, may: bool) -> None:
    assert may_change(change, 1.0, resolution) is may
    many = may_change(np.array([change, 0.0]), np.array([1.0, 1.0]), np.full(2, resolution))
    assert many.tolist() == [may, True]


def test_no_other_module_has_a_tolerance_of_its_own() -> None:
    """The rule's tolerance, a factor just above 1, stands where the rule does."""
    core = Path(stempilot.__file__).parent
    found = set()
    for path in core.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.BinOp) and re.fullmatch(
                r"1 \+ 1e-(0[6-9]|1\d)", ast.unparse(node)
            ):
                found.add(path.relative_to(core).as_posix())
    assert found == {"instrument/checks.py"}
