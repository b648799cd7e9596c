"""A task that raises a value, a reading and a task of two cameras through the commands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.core.cli.conftest import Stempilot, typed
from tests.core.kinds import STEP_M, Lamp, LampOptions, kinds_registry

from stempilot.instrument.audit import read_audit
from stempilot.instrument.envelope_file import write_envelope
from stempilot.plugins.registry import Registry
from stempilot.record.recorder import read_events
from stempilot.report import write_report

LAMP = "--backend lamp --json --out out --set run.max_timesteps=12"


@pytest.fixture
def command(use: Callable[[Registry], None], stempilot: Stempilot) -> Stempilot:
    use(kinds_registry())
    return stempilot


def outcome(folder: str = "out") -> dict[str, object]:
    found: dict[str, object] = json.loads((Path(folder) / "result.json").read_text())
    return found


def test_raising_ends_at_the_best_place_measured_again(command: Stempilot) -> None:
    done = command("run", "brighter", "--agent", "climber", "--seed", 2, *typed(LAMP))
    assert done.code == 0, done.err
    events = list(read_events(Path("out")))
    assert [event.get("by") for event in events[-2:]] == [None, "return"]
    assert events[-2]["truncated"]
    best = max(event["summary"]["current_pa"] for event in events[:-1])
    assert events[-1]["outcome"] == "success"
    assert events[-1]["summary"]["current_pa"] == pytest.approx(best, abs=5)
    assert best > events[0]["summary"]["current_pa"] + 20
    write_report(Path("out"))


@pytest.mark.parametrize("episodes", [(), ("--episodes", 2)])
def test_a_flat_figure_of_merit_ends_where_it_began(
    use: Callable[[Registry], None], stempilot: Stempilot, episodes: tuple[object, ...]
) -> None:
    lamp = Lamp(LampOptions(flat=True))
    use(kinds_registry(lamp))
    done = stempilot("run", "brighter", "--agent", "climber", *typed(LAMP), *episodes)
    assert lamp.written, "it tried"
    assert lamp.standing == pytest.approx((0.0,), abs=1e-12)
    if episodes:
        assert done.json["success_rate"] == 0
    else:
        assert (done.code, done.json["success"], done.json["outcome"]) == (1, False, "failure")
    write_report(Path("out"))


def test_a_real_lamp_that_does_not_get_brighter_is_put_back(
    use: Callable[[Registry], None], stempilot: Stempilot
) -> None:
    lamp = Lamp(LampOptions(flat=True, real=True))
    use(kinds_registry(lamp))
    write_envelope(Path("lamp.toml"), "lamp", lamp.offers())
    words = typed(f"{LAMP} --envelope lamp.toml --yes")
    assert stempilot("run", "brighter", "--agent", "climber", *words).code == 1
    assert lamp.standing == pytest.approx((0.0,), abs=1e-12)
    origins = {write["origin"] for write in read_audit(Path("out"))}
    assert {"agent", "task"} <= origins <= {"agent", "task", "restore"}


def test_a_maximiser_trains(command: Stempilot) -> None:
    done = command(
        "train", "brighter", "--agent", "learner", "--steps", 30, "--seed", 1, *typed(LAMP)
    )
    assert done.code == 0, done.err
    assert done.json["timesteps"] == 30
    write_report(Path("out"))


def test_a_reading_prints_its_products_and_returns_home(command: Stempilot) -> None:
    done = command("run", "read-slope", "--seed", 1, *typed(LAMP))
    assert done.code == 0, done.err
    assert done.json["success"] is True
    events = list(read_events(Path("out")))
    assert [event.get("by") for event in events] == [None, "task", "task", "task"]
    write_report(Path("out"))


def test_a_reading_is_repeated_over_episodes(command: Stempilot) -> None:
    done = command("run", "read-slope", "--episodes", 3, *typed(LAMP))
    assert done.code == 0, done.err
    assert done.json["success_rate"] == 1.0
    assert done.json["episodes"] == 3


def test_what_the_task_moves_itself_is_audited_as_its_own(
    use: Callable[[Registry], None], stempilot: Stempilot
) -> None:
    lamp = Lamp(LampOptions(real=True))
    use(kinds_registry(lamp))
    write_envelope(Path("lamp.toml"), "lamp", lamp.offers())
    words = typed(f"{LAMP} --envelope lamp.toml --yes")
    assert stempilot("run", "read-slope", *words).code == 0
    audit = list(read_audit(Path("out")))
    assert [(write["origin"], write["sent"]) for write in audit] == [
        ("task", [STEP_M]),
        ("task", [-STEP_M]),
        ("task", [0.0]),
    ]


def test_a_reading_that_is_refused_returns_home(
    use: Callable[[Registry], None], stempilot: Stempilot
) -> None:
    lamp = Lamp(LampOptions(real=True))
    use(kinds_registry(lamp))
    write_envelope(Path("lamp.toml"), "lamp", lamp.offers())
    done = stempilot("run", "leaping", *typed(f"{LAMP} --envelope lamp.toml --yes"))
    assert (done.code, done.json["outcome"]) == (1, "blocked")
    assert lamp.standing == (0.0,)
    assert lamp.written[0] == STEP_M


def test_a_reading_that_does_not_return_home_is_put_back(
    use: Callable[[Registry], None], stempilot: Stempilot
) -> None:
    lamp = Lamp(LampOptions(real=True))
    use(kinds_registry(lamp))
    write_envelope(Path("lamp.toml"), "lamp", lamp.offers())
    done = stempilot("run", "stray", *typed(f"{LAMP} --envelope lamp.toml --yes"))
    assert (done.code, done.json["success"]) == (0, True)
    assert STEP_M in lamp.written[-2:]
    assert lamp.standing == (0.0,)


def test_a_reading_takes_no_agent_and_an_acting_task_needs_one(command: Stempilot) -> None:
    refused = command("run", "read-slope", "--agent", "climber", *typed(LAMP))
    assert (refused.code, "read-slope only measures and takes no agent" in refused.err) == (3, True)
    refused = command("run", "brighter", *typed(LAMP))
    assert (refused.code, "give either --agent NAME or --policy RUN" in refused.err) == (2, True)
    assert not Path("out").exists()


def test_two_cameras_of_which_one_is_dark(command: Stempilot) -> None:
    words = typed("--backend two-eyes --json --out out --frames all")
    done = command("run", "two-cameras", "--agent", "exact", "--seed", 4, *words)
    assert done.code == 0, done.err
    seen = next(read_events(Path("out")))["seen"]["frames"]
    assert set(seen) == {"toy_camera", "dark_camera"}
    write_report(Path("out"))
    words = typed("--backend two-eyes --json --out trained --steps 30")
    assert command("train", "two-cameras", "--agent", "learner", *words).code == 0


@pytest.mark.parametrize("name", ["brighter", "read-slope", "two-cameras"])
def test_check_holds_them_to_the_contract(command: Stempilot, name: str) -> None:
    done = command("check", name, "--json")
    assert done.code == 0, done.out + done.err
