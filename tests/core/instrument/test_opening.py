"""Instruments are opened in one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.fakes import Desk

import stempilot
from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import EnvelopeError, IncompatibleError
from stempilot.instrument.envelope import open_envelope
from stempilot.instrument.opening import open_instrument
from stempilot.testing.toys import ToyCentring

CORE = Path(stempilot.__file__).parent
OPENER = "instrument/opening.py"
SUITES = {"testing/backends.py", "testing/readonly.py", "testing/emulators.py"}
"""A contract says how a backend or an emulator is opened and closed: its suite does both."""

MAKERS = {"make", "make_backend", "load", "_load_backend", "twin", "_reseedable"}
INSTRUMENTS = {"backend", "instrument", "made", "desk", "twin", "microscope"}


def entered(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield what is entered as a context manager."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With | ast.AsyncWith):
            yield from (item.context_expr for item in node.items)
        elif isinstance(node, ast.Call) and called(node) == "enter_context":
            yield node.args[0]
        elif isinstance(node, ast.Call) and called(node) == "__enter__":
            assert isinstance(node.func, ast.Attribute)
            yield node.func.value


def called(node: ast.expr) -> str:
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def is_instrument(node: ast.expr) -> bool:
    if ast.unparse(node).startswith("np."):
        return False
    return called(node) in (MAKERS if isinstance(node, ast.Call) else INSTRUMENTS)


def openers() -> set[str]:
    found = set()
    for path in CORE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        opens = any(
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith(("backend.open", "made.open"))
            for node in ast.walk(tree)
        )
        if opens or any(map(is_instrument, entered(tree))):
            found.add(path.relative_to(CORE).as_posix())
    return found


def test_one_module_opens_instruments() -> None:
    assert openers() - SUITES == {OPENER}


def test_nothing_is_opened_that_does_not_fit() -> None:
    desk = Desk()
    needs = [("centring", ToyCentring().needs), ("more", ToyCentring().needs)]
    with pytest.raises(EnvelopeError, match="written for other"):
        with open_instrument(
            desk, needs, name="desk", envelope=open_envelope("other", desk.offers())
        ):
            pytest.fail("the block must not begin")
    assert not desk.log


def test_a_baseline_outside_of_the_envelope_is_refused_before_opening() -> None:
    desk = Desk()
    with pytest.raises(EnvelopeError, match="stands at the start"):
        with open_instrument(
            desk,
            [("centring", ToyCentring().needs)],
            name="desk",
            envelope=open_envelope("desk", desk.offers()),
            baseline={BEAM_SHIFT: (1.0, 1.0)},
        ):
            pytest.fail("the block must not begin")
    assert not desk.log


def test_all_who_ask_for_too_much_are_named() -> None:
    desk = Desk()
    needs = [(name, ToyCentring().needs.__class__(sources=("none",))) for name in ("one", "two")]
    with pytest.raises(IncompatibleError) as caught:
        with open_instrument(
            desk, needs, name="desk", envelope=open_envelope("desk", desk.offers())
        ):
            pytest.fail("the block must not begin")
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == ["one", "two"]
