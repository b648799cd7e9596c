"""Steps of the operator: asked for, and then read back, because an answer alone is not believed."""

import math
from typing import Any

from stempilot.contract.values import Offers
from stempilot.errors import BackendError, OperatorError
from stempilot.instrument.unfinished import Ask
from stempilot.operation.session import Session
from stempilot.plugins.suggest import listed
from stempilot.workflow.steps import OperatorStep

AGREES = 0.01
"""A number agrees that reads what it should within this share of it."""


def confirm(step: OperatorStep, session: Session, ask: Ask) -> dict[str, Any]:
    """Have a person do a step, and check what the instrument can tell of it.

    Whatever comes of it, no knob is written that stood elsewhere before: the next part of the
    session begins where the person left them.

    Returns:
        What was ``read_back``, and the names of what is ``not_read``, as this instrument does not
        tell it.

    Raises:
        OperatorError: no one confirmed it.
        BackendError: the instrument says something else, or did not answer.
    """
    try:
        confirmed = ask(f"{step.name}: {step.operator}. Done?")
    finally:
        session.guard.expect({})
    if not confirmed:
        msg = f"the operator's step {step.name} was not confirmed: {step.operator}"
        raise OperatorError(msg)
    backend, offers = session.backend, session.backend.offers()
    found: dict[str, Any] = {
        name: backend.state(name) for name in step.states.keys() & offers.states
    }
    wrong = [
        f"{name} is {found[name]}, not {step.states[name]}"
        for name in step.states
        if name in found and found[name] != step.states[name]
    ]
    for name in step.numbers.keys() & offers.numbers.keys():
        found[name] = backend.number(name)
        if not math.isclose(found[name], step.numbers[name], rel_tol=AGREES):
            unit = offers.numbers[name].unit
            wrong.append(f"{name} is {found[name]:.6g} {unit}, not {step.numbers[name]:.6g} {unit}")
    if wrong:
        msg = (
            f"the operator's step {step.name} was confirmed, but {'; '.join(sorted(wrong))}. "
            "Nothing was sent"
        )
        raise BackendError(msg)
    return {"read_back": found, "not_read": not_read(step, offers)}


def not_read(step: OperatorStep, offers: Offers) -> list[str]:
    """Return the names of what a step sets and an instrument does not tell."""
    return [
        *(name for name in step.states if name not in offers.states),
        *(name for name in step.numbers if name not in offers.numbers),
    ]


def impossible(step: OperatorStep, offers: Offers) -> list[str]:
    """Return the states of a step that an instrument does not know, a sentence each."""
    return [
        listed(
            f"step {step.name}: {name} = {value}; there is only", value, offers.states[name].values
        )
        for name, value in step.states.items()
        if name in offers.states and value not in offers.states[name].values
    ]
