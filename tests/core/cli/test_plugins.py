"""What is installed is listed and checked."""

import json
from collections.abc import Callable

from attrs import evolve
from tests.core.cli.conftest import Stempilot
from tests.core.fakes import Desk, desk_plugin, toy_plugins, toy_registry

from stempilot.registry import Entry, Registry

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


def test_check_ends_with_1_where_a_contract_is_broken(stempilot: Stempilot, use: Use) -> None:
    class Sloppy(Desk):
        """Delivers something else than it promises."""

        def __init__(self) -> None:
            super().__init__(simulated=True)
            self.develop = lambda frame: evolve(frame, pixels=frame.pixels[1:])

    kind, plugin = desk_plugin(Sloppy())
    use(toy_registry((kind, evolve(plugin, name="sloppy", load=lambda *_: Sloppy()))))
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
