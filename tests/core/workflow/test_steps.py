"""Steps that do not fit together are refused with the name of the step and the nearest name."""

from typing import Any

import pytest

from stempilot.errors import ConfigError
from stempilot.workflow.steps import OperatorStep, Step, Workflow

CENTRE = Step(name="centre", task="centre", agent="exact")
FILM = OperatorStep(name="film", operator="film in")


def step(**what: Any) -> Step:
    return Step(**{"name": "b", "task": "centre", "agent": "exact", **what})


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (step(name="centre"), "two steps are called centre"),
        (step(on_failure="back to centr"), "step b: .*names no earlier step; did you mean centre?"),
        (step(on_failure="back to b"), "step b: .*names no earlier step"),
        (step(on_failure="skp"), "step b: on_failure = 'skp'; did you mean skip or stop"),
        (
            step(inputs={"tolerance": "centre"}),
            "step b: input tolerance = 'centre' is not STEP.PRO",
        ),
        (step(inputs={"x": "centr.y"}), "step b: input x comes from centr, .*did you mean centre"),
        (
            step(inputs={"x": "film.y"}),
            "step b: input x comes from film, no earlier step with a ta",
        ),
        (step(inputs={"x": "centre.y"}, options={"x": 1}), "x is both an option and an input"),
    ],
)
def test_what_refers_to_no_earlier_step_is_refused(second: Step, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Workflow([CENTRE, FILM, second])


def test_a_workflow_has_a_step_and_ends_only_where_it_repeats() -> None:
    with pytest.raises(ConfigError, match="at least one step"):
        Workflow([])
    from datetime import time

    with pytest.raises(ConfigError, match="give every_minutes too"):
        Workflow([CENTRE], until=time(17, 30))


@pytest.mark.parametrize("name", ["", "a b", "a.b", "../up", "backend", "-x"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(ValueError, match="must be letters"):
        Step(name=name, task="centre")
