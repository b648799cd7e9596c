"""What is installed is listed and checked."""

import json
import logging
from collections.abc import Callable

import pytest
from attrs import evolve
from tests.core.cli.conftest import Stempilot
from tests.core.fakes import (
    BackendOptions,
    Desk,
    NoOptions,
    desk_plugin,
    plugin,
    reference,
    toy_plugins,
    toy_registry,
)

from stempilot.contract.agent import Brief
from stempilot.contract.emulator import Emulator
from stempilot.plugins.registry import Entry, Registry
from stempilot.testing.toys import ToyLearner

Use = Callable[[Registry], None]


def with_broken() -> Registry:
    strange = toy_plugins()["task"][0]
    return Registry(
        (
            *toy_registry().entries,
            Entry(
                kind=None,
                name="theirs",
                distribution="their-package",
                version="0.3",
                problem="failed to load: ImportError('vendor')",
                trace="Traceback [most recent call last]: vendor",
            ),
            Entry(
                kind="task",
                name="old",
                distribution="old-package",
                version="0.1",
                plugin=evolve(strange, name="old"),
                problem="written for contract version 0; this stempilot has 1",
            ),
        )
    )


def test_plugins_lists_all_with_what_is_wrong(stempilot: Stempilot, use: Use) -> None:
    use(with_broken())
    ended = stempilot("plugins")
    assert ended.code == 0
    for said in (
        "the centring",
        "toys 1.0",
        "their-package 0.3",
        "failed to load: ImportError('vendor')",
        "Traceback [most recent call last]: vendor",
        "written for contract version 0",
    ):
        assert said in ended.out


def test_plugins_as_json(stempilot: Stempilot, use: Use) -> None:
    use(with_broken())
    rows = stempilot("plugins", "--json").json["plugins"]
    assert {row["name"]: row["usable"] for row in rows} == {
        "centring": True,
        "simulator": True,
        "learner": True,
        "exact": True,
        "walker": True,
        "theirs": False,
        "old": False,
    }
    assert rows[-2]["traceback"].startswith("Traceback")
    assert rows[-1]["problem"].startswith("written for contract version 0")


def test_check_tells_what_a_contract_finds(stempilot: Stempilot) -> None:
    ended = stempilot("check", "centring", "--json")
    assert ended.code == 0
    assert ended.json["name"] == "centring"
    assert len(ended.json["results"]) > 5
    assert all(row["passed"] and row["kind"] == "task" for row in ended.json["results"])
    assert "check" in stempilot("check", "centring").out


def test_check_tells_once_what_a_plug_in_warns_of(
    stempilot: Stempilot, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    made: list[Brief] = []

    def load(_: object, brief: Brief) -> ToyLearner:
        made.append(brief)
        logging.getLogger("doubtful").warning("the prior may not hold")
        return ToyLearner(brief)

    use(toy_registry(("agent", plugin("doubtful", NoOptions, load))))
    ended = stempilot("check", "doubtful")
    assert ended.code == 0
    assert len(made) > 1
    assert ended.err.count("the prior may not hold") == 1


def test_check_says_why_a_package_of_that_name_could_not_be_loaded(
    stempilot: Stempilot, use: Use
) -> None:
    use(with_broken())
    broken = next(entry for entry in with_broken().entries if entry.kind is None)
    ended = stempilot("check", broken.name)
    assert ended.code == 2
    assert broken.problem in ended.err


def test_check_ends_with_1_where_a_contract_is_broken(stempilot: Stempilot, use: Use) -> None:
    class Sloppy(Desk):
        """Delivers something else than it promises."""

        def __init__(self) -> None:
            super().__init__(simulated=True)
            self.develop = lambda frame: evolve(frame, pixels=frame.pixels[1:])

    kind, sloppy = desk_plugin(Sloppy())
    use(toy_registry((kind, evolve(sloppy, name="sloppy", load=reference(lambda *_: Sloppy())))))
    ended = stempilot("check", "sloppy", "--json")
    assert ended.code == 1
    assert [row["check"] for row in ended.json["results"] if not row["passed"]]


def test_a_name_of_two_kinds_is_checked_in_both_and_json_is_still_one_object(
    stempilot: Stempilot, use: Use
) -> None:
    task = toy_plugins()["task"][0]
    walker = toy_plugins()["agent"][2]
    use(
        toy_registry(
            ("task", evolve(task, name="both")),
            ("agent", evolve(walker, name="both")),
        )
    )
    ended = stempilot("check", "both", "--json")
    assert {row["kind"] for row in ended.json["results"]} == {"task", "agent"}
    json.dumps(ended.json)


class Deaf(Emulator):
    """Does not listen."""

    def start(self, host: str, port: int) -> str:
        return f"http://{host}:{port}"

    def close(self) -> None:
        return


@pytest.fixture
def themis(use: Use) -> list[int]:
    """Offer a backend and an emulator of one name; return the serials of emulators made."""
    made: list[int] = []

    def load(config: BackendOptions, seed: int) -> Deaf:
        del seed
        made.append(config.serial)
        return Deaf()

    backend = toy_plugins()["backend"][0]
    emulator = plugin("themis", BackendOptions, load)
    use(toy_registry(("backend", evolve(backend, name="themis")), ("emulator", emulator)))
    return made


def test_an_emulator_is_checked_with_its_options(stempilot: Stempilot, themis: list[int]) -> None:
    words = ("check", "themis", "--set", "emulator.serial=3", "--set", "backend.serial=4")
    ended = stempilot(*words, "--json")
    assert {row["kind"] for row in ended.json["results"]} == {"backend", "emulator"}
    assert set(themis) == {3}


def test_all_options_are_checked_before_any_check(
    stempilot: Stempilot, themis: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stempilot.testing.check_plugin", lambda *_: pytest.fail("checked"))
    ended = stempilot("check", "themis", "--set", "emulator.seriel=3")
    assert ended.code == 2
    assert "did you mean emulator.serial?" in ended.err
    ended = stempilot("check", "simulator", "--set", "emulator.serial=3")
    assert ended.code == 2
    assert "simulator is a backend; it takes no options of section emulator" in ended.err
    assert themis == []
