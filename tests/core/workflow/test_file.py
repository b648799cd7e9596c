"""A workflow file says what is wrong with it: file, step, value and the nearest name."""

from datetime import time
from pathlib import Path

import pytest

from stempilot.errors import ConfigError
from stempilot.workflow.file import parse_settings, read_workflow, with_settings
from stempilot.workflow.steps import OperatorStep, Step

WHOLE = """
name = "morning"
every_minutes = 10
until = 17:30:00

[[steps]]
name = "read"
task = "look"

[[steps]]
name = "film-in"
operator = "Put the film in"
states = { film = "in" }
numbers = { camera_length_m = 1.2 }

[[steps]]
name = "centre"
task = "centre"
agent = "exact"
options = { broken = false }
inputs = { tolerance = "read.width" }
retries = 2
minutes = 1.5
on_failure = "back to read"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "steps.toml"
    path.write_text(text)
    return path


def test_a_file_says_what_a_script_says(tmp_path: Path) -> None:
    workflow = read_workflow(written(tmp_path, WHOLE))
    assert (workflow.name, workflow.every_minutes) == ("morning", 10.0)
    assert workflow.until == time(17, 30)
    read, film, centre = workflow.steps
    assert read == Step(name="read", task="look")
    assert film == OperatorStep(
        name="film-in",
        operator="Put the film in",
        states={"film": "in"},
        numbers={"camera_length_m": 1.2},
    )
    assert centre == Step(
        name="centre",
        task="centre",
        agent="exact",
        options={"broken": False},
        inputs={"tolerance": "read.width"},
        retries=2,
        minutes=1.5,
        on_failure="back to read",
    )


def test_it_is_called_as_the_file_where_it_has_no_name(tmp_path: Path) -> None:
    text = '[[steps]]\nname = "a"\ntask = "look"\n'
    assert read_workflow(written(tmp_path, text)).name == "steps"
    text = f'every_minutes = 5\nuntil = "08:15"\n{text}'
    assert read_workflow(written(tmp_path, text)).until == time(8, 15)


STEP = '[[steps]]\nname = "centre"\ntask = "centre"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("every = 5\n" + STEP, "workflow.every; did you mean workflow.every_minutes"),
        (STEP + "retrys = 2", "centre.retrys; did you mean centre.retries"),
        (STEP + "retries = -1", "must be >= 0"),
        (STEP + "retries = 1.5", "1.5 is not a whole number"),
        (STEP + "minutes = 0", "must be > 0"),
        (STEP + "agent = 3", "centre.agent: 3 is not text"),
        (STEP + 'on_failure = "back to x"', "step centre: on_failure = 'back to x' names no earl"),
        ('[[steps]]\nname = "a"\noperator = "x"\nstate = { f = "in" }', "did you mean a.states"),
        ('[[steps]]\nname = "a"\noperator = "x"\nnumbers = { f = "1" }', "'1' is not a number"),
        ('[[steps]]\ntask = "centre"', r"steps\[1\].*name"),
        ('[[steps]]\nname = "a"', "task"),
        ('[[steps]]\nname = "a b"\ntask = "x"', "must be letters"),
        ('until = "noon"\nevery_minutes = 1\n' + STEP, "noon"),
        ("steps = 3", "3 is not a list"),
        ("", "steps"),
    ],
)
def test_what_is_wrong_names_the_file_and_the_value(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_workflow(path)
    assert str(caught.value).startswith(str(path))


def test_options_are_set_by_step(tmp_path: Path) -> None:
    workflow = read_workflow(written(tmp_path, WHOLE))
    chosen = parse_settings(workflow, ["centre.film=in", "read.value=2", "backend.serial=3"])
    changed = with_settings(workflow, chosen)
    assert [step.options for step in changed.steps if isinstance(step, Step)] == [
        {"value": 2},
        {"broken": False, "film": "in"},
    ]
    assert chosen["backend"] == {"serial": 3}
    with pytest.raises(ConfigError, match=r"unknown section: centr; did you mean centre"):
        parse_settings(workflow, ["centr.film=in"])
    with pytest.raises(ConfigError, match="both an option and an input"):
        with_settings(workflow, {"centre": {"tolerance": 1.0}})
