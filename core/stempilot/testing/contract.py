"""What all contract suites share: plain methods that need no test framework.

A check is a method whose name begins with ``test_``. It raises `ContractError` when the plug-in
breaks the contract, and `unittest.SkipTest` where the contract does not concern the plug-in. Both
are understood by pytest, by unittest and by `stempilot.testing.run_contract`.
"""

import math
from typing import Any, ClassVar
from unittest import SkipTest


class ContractError(AssertionError):
    """A plug-in does not do what its contract says."""


def expect(holds: bool, contract: str, found: object) -> None:
    """Check one sentence of a contract. Works under ``python -O`` too, unlike ``assert``.

    Args:
        holds: whether the plug-in does it.
        contract: what the contract says.
        found: what the plug-in does instead.

    Raises:
        ContractError: it does not hold.
    """
    if not holds:
        msg = f"the contract says: {contract}; found: {found}"
        raise ContractError(msg)


def does_not_apply(reason: str) -> SkipTest:
    """Return what to raise where a check does not concern the plug-in."""
    return SkipTest(reason)


class Contract:
    """Base of all suites. pytest collects subclasses whose name begins with ``Test``."""

    __test__: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let pytest collect the author's class, and never a suite that was only imported."""
        super().__init_subclass__(**kwargs)
        if "__test__" not in vars(cls):
            cls.__test__ = cls.__name__.startswith("Test")

    @classmethod
    def checks(cls) -> tuple[str, ...]:
        """Return the names of all checks, those of the base classes first."""
        names: dict[str, None] = {}
        for base in reversed(cls.__mro__):
            names.update(dict.fromkeys(name for name in vars(base) if name.startswith("test_")))
        return tuple(names)


def is_tuple_of(value: object, kind: type) -> bool:
    """Return whether the value is a tuple of that kind of items alone."""
    return isinstance(value, tuple) and all(isinstance(item, kind) for item in value)


def is_finite(value: object) -> bool:
    """Return whether the value is a finite number that JSON can hold: a float or an integer."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
