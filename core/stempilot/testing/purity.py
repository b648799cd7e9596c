"""Whether functions are pure: same inputs, same outputs, and nothing is changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from stempilot.contract.task import Drawable, Reading, Task
from stempilot.contract.values import KnobValue, Outcome
from stempilot.testing.contract import expect
from stempilot.testing.fingerprint import fingerprint

Call = tuple[str, Callable[..., Any], tuple[Any, ...]]
"""Name, function and arguments."""


def calls_of(
    task: Task[Any, Any],
    before: Any,
    action: Any,
    measured: Any,
    after: Any,
    standing: Mapping[str, KnobValue],
) -> Iterator[Call]:
    """Yield a call of every function of a task on one of its transitions."""
    outcome = task.outcome(after)
    for source in task.needs.sources:
        yield "sees", task.sees, (measured, source)
    yield "initial", task.initial, (measured,)
    yield "is_start", task.is_start, (before,)
    if not isinstance(task, Reading):
        yield "targets", task.targets, (before, action, standing)
    yield "own_moves", task.own_moves, (before, standing)
    yield "advance", task.advance, (before, action, measured)
    yield "observe", task.observe, (after,)
    yield "outcome", task.outcome, (after,)
    yield "reward", task.reward, (before, action, after, outcome)
    yield "reward", task.reward, (before, action, before, Outcome.BLOCKED)
    yield "summary", task.summary, (after,)
    yield "products", task.products, (after,)
    if isinstance(task, Drawable):
        yield "marks", task.marks, (after,)


def expect_pure(calls: Iterable[Call]) -> None:
    """Make all calls, then again in the opposite order, and compare what comes back.

    Raises:
        ContractError: a result differs, or arguments were changed.
    """
    made = list(calls)
    first = []
    for name, function, arguments in made:
        given = fingerprint(arguments)
        first.append(fingerprint(function(*arguments)))
        kept = fingerprint(arguments) == given
        expect(kept, f"{name}() leaves its inputs as they were", "changed ones")
    for (name, function, arguments), before in zip(reversed(made), reversed(first), strict=True):
        same = fingerprint(function(*arguments)) == before
        expect(same, f"{name}() of the same inputs is the same", "another result later")
