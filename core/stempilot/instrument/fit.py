"""Needs against offers: every mismatch at once, before anything is opened for writing."""

from collections.abc import Iterable, Iterator, Mapping

from stempilot.contract.values import KnobNeed, KnobSpec, Needs, Offers
from stempilot.errors import BackendError, IncompatibleError
from stempilot.instrument.checks import may_change
from stempilot.plugins.suggest import listed


def require_fit(needs: Needs, offers: Offers, *, task: str, backend: str) -> None:
    """Check that a backend offers what a task needs.

    Raises:
        IncompatibleError: with one problem for each mismatch.
    """
    problems = mismatches(needs, offers, task=task, backend=backend)
    if problems:
        raise IncompatibleError(problems)


def mismatches(needs: Needs, offers: Offers, *, task: str, backend: str) -> list[str]:
    """Return all that a task needs and a backend does not offer, a sentence each."""
    problems = [
        *_missing("knob", needs.knobs, offers.knobs, task, backend),
        *_missing("source", needs.sources, offers.sources, task, backend),
        *_missing("state", needs.states, offers.states, task, backend),
        *_missing("number", needs.numbers, offers.numbers, task, backend),
        *_knob_problems(needs, offers, task, backend),
        *_shape_problems(needs, offers, task, backend),
    ]
    for name, unit in needs.numbers.items():
        offered = offers.numbers.get(name)
        if offered and offered.unit != unit:
            problems.append(f"{name}: {task} reads it in {unit}, {backend} gives {offered.unit}")
    for name, value in needs.states.items():
        spec = offers.states.get(name)
        if spec and value not in spec.values:
            what = f"{task} needs {name} = {value}; {backend} only knows {name} ="
            problems.append(listed(what, value, spec.values))
    return problems


def _missing(
    kind: str, needed: Iterable[str], offered: Iterable[str], task: str, backend: str
) -> Iterator[str]:
    known = list(offered)
    for name in needed:
        if name in known:
            continue
        yield listed(f"{task} needs {kind} {name}; {backend} offers", name, known)


def _knob_problems(needs: Needs, offers: Offers, task: str, backend: str) -> Iterator[str]:
    for name, need in needs.knobs.items():
        spec = offers.knobs.get(name)
        if spec is None:
            continue
        if spec.unit != need.unit:
            yield f"{name}: {task} plans in {need.unit}, {backend} takes {spec.unit}"
        elif spec.size != need.size:
            yield f"{name}: {task} plans {need.size} components, {backend} takes {spec.size}"
        else:
            yield from largest_step_problems(name, need, spec, task)


def _shape_problems(needs: Needs, offers: Offers, task: str, backend: str) -> Iterator[str]:
    for name, shape in needs.shapes.items():
        spec = offers.sources.get(name)
        if spec is not None and spec.shape != shape:
            yield (
                f"{name}: {task} takes frames of {shape} (rows, cols), {backend} delivers "
                f"{spec.shape}; choose options with which both agree"
            )


def largest_step_problems(name: str, need: KnobNeed, spec: KnobSpec, task: str) -> Iterator[str]:
    """Yield a problem for each component whose largest action exceeds the allowed step."""
    for index, (step, limit) in enumerate(zip(need.largest_step, spec.max_change, strict=True)):
        if not may_change(step, limit):
            yield (
                f"{name}[{index}]: a full action of {task} moves {step:.4g} {spec.unit}, more than "
                f"the largest step of {limit:.4g} {spec.unit}; lower the task's step size"
            )


def check_states(needs: Needs, found: Mapping[str, str]) -> None:
    """Check that the instrument stands in the modes that the task needs. They are never set.

    Raises:
        BackendError: with what the operator should do, for all modes that are wrong.
    """
    wrong = [
        f"{name} is {found[name]}, set it to {wanted}"
        for name, wanted in needs.states.items()
        if found[name] != wanted
    ]
    if wrong:
        msg = f"the instrument is not ready: {'; '.join(wrong)}; then start again"
        raise BackendError(msg)
