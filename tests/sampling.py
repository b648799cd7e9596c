"""A sample of many cases for continuous integration; `make test` has them all."""

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], every: int) -> list[Any]:
    """Return the cases with all but every so many marked as ``long``."""
    return [case if number % every == 0 else _long(case) for number, case in enumerate(cases)]


def _long(case: Any) -> Any:
    if isinstance(case, type(pytest.param())):
        marks = [*case.marks, pytest.mark.long]
        return pytest.param(*case.values, id=case.id, marks=marks)
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
