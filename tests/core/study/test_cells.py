"""Cells: planned before anything opens, known by a key, carried out whole or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from tests.core.fakes import Desk, NoOptions, desk_plugin, plugin, toy_registry
from tests.core.study.here import InThisProcess

from stempilot.contract.emulator import Emulator
from stempilot.errors import ConfigError, RecordError
from stempilot.plugins import options as config
from stempilot.record.owner import owned
from stempilot.record.run_dir import RunDir
from stempilot.study import cells
from stempilot.study.cells import is_done, key_of, ready, run_cell
from stempilot.study.file import Cell, Relearn

REGISTRY = toy_registry()
CELL = Cell(
    task="centring",
    backend="simulator",
    agent="learner",
    settings={"run": {"evaluate": False}},
    seed=4,
    steps=30,
    episodes=2,
)


def place(folder: Path) -> Path:
    return folder / "cells" / "one"


def carried_out(folder: Path, cell: Cell = CELL, key: str | None = None) -> dict[str, Any]:
    return run_cell(config.plain(cell), key or key_of(REGISTRY, cell), str(place(folder)))


def kept(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place(folder) / "cell.json").read_text())
    return found


def test_a_cell_trains_relearns_and_evaluates(client: InThisProcess, tmp_path: Path) -> None:
    relearn = Relearn(steps=20, settings={"backend": {"serial": 3}})
    assert carried_out(tmp_path, evolve(CELL, relearn=relearn))["status"] == "done"
    found = kept(tmp_path)
    assert list(found["figures"]) == ["train", "relearn", "evaluate"]
    assert found["figures"]["train"]["timesteps"] == 30
    assert found["figures"]["relearn"]["timesteps"] == 20
    assert found["figures"]["evaluate"]["episodes"] == 2
    records = {name: RunDir.open(place(tmp_path) / name).record() for name in found["figures"]}
    serials = [one.config["backend"]["serial"] for one in records.values()]
    assert serials == [0, 3, 3]
    assert records["evaluate"].seed != records["train"].seed == 4
    assert records["evaluate"].parent == str((place(tmp_path) / "relearn").resolve())
    columns = found["episodes"]["evaluate"]
    assert len(columns["t"]) == 2
    assert columns["t"][-1] == sum(columns["steps"])


def test_an_agent_that_does_not_learn_is_only_evaluated(
    client: InThisProcess, tmp_path: Path
) -> None:
    assert carried_out(tmp_path, evolve(CELL, agent="walker", steps=0))["status"] == "done"
    assert list(kept(tmp_path)["figures"]) == ["evaluate"]


def test_a_finished_cell_is_not_repeated(client: InThisProcess, tmp_path: Path) -> None:
    carried_out(tmp_path)
    before = kept(tmp_path)
    assert carried_out(tmp_path)["status"] == "done"
    assert kept(tmp_path) == before


def test_the_key_is_of_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(REGISTRY, CELL)
    same = [
        evolve(CELL, minutes=5.0),
        evolve(CELL, settings={**CELL.settings, "task": {"tolerance": 0.1}}),  # the default
    ]
    others = [
        evolve(CELL, seed=5),
        evolve(CELL, steps=31),
        evolve(CELL, episodes=None),
        evolve(CELL, agent="exact"),
        evolve(CELL, settings={**CELL.settings, "task": {"tolerance": 0.11}}),
        evolve(CELL, relearn=Relearn(steps=3)),
        evolve(CELL, relearn=Relearn(steps=3, settings={"backend": {"serial": 1}})),
    ]
    assert {key_of(REGISTRY, one) for one in same} == {key}
    assert len({key, *(key_of(REGISTRY, one) for one in others)}) == 1 + len(others)
    monkeypatch.setattr(cells, "versions", lambda: {"torch": "0"})
    assert key_of(REGISTRY, CELL) != key


def test_a_worker_with_other_versions_says_so(client: InThisProcess, tmp_path: Path) -> None:
    found = carried_out(tmp_path, key="0" * 16)
    assert found["status"] == "failed"
    assert "has other versions than the study" in found["reason"]
    assert not (place(tmp_path) / "train").exists()


def test_a_failing_cell_is_kept_with_its_reason_and_tried_again(
    client: InThisProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        msg = "out of cheese"
        raise RuntimeError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "execute", fails)
        assert carried_out(tmp_path)["status"] == "failed"
    assert kept(tmp_path)["reason"] == "RuntimeError: out of cheese"
    assert not is_done(place(tmp_path))
    (place(tmp_path) / "train").mkdir()  # of a worker that was killed
    assert carried_out(tmp_path)["status"] == "done"


def test_a_cell_has_a_deadline(client: InThisProcess, tmp_path: Path) -> None:
    found = carried_out(tmp_path, evolve(CELL, minutes=1e-6))
    assert found["status"] == kept(tmp_path)["status"] == "out of time"
    assert found["reason"].endswith("was reached in stage train")


def test_a_cell_stops_when_it_is_asked_to(
    client: InThisProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "_LOOK_S", -1.0)
    (tmp_path / "stop").touch()
    assert carried_out(tmp_path) == {"status": "failed", "reason": "stopped"}
    assert not (place(tmp_path) / "cell.json").exists()
    assert RunDir.open(place(tmp_path) / "train").record().status == "interrupted"


def test_a_full_disk_is_a_reason_even_where_it_cannot_be_noted(
    client: InThisProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        msg = "cannot write cell.json: No space left on device"
        raise RecordError(msg)

    monkeypatch.setattr(cells, "write_json", full)
    found = carried_out(tmp_path)
    assert found["status"] == "failed"
    assert "No space left" in found["reason"]
    assert not (place(tmp_path) / "cell.json").exists()


def test_two_workers_never_carry_out_one_cell(client: InThisProcess, tmp_path: Path) -> None:
    with owned(place(tmp_path)):
        found = carried_out(tmp_path)
    assert "is in use by process" in found["reason"]


def test_a_cell_behind_a_link_removes_nothing(client: InThisProcess, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "train").mkdir(parents=True)
    place(tmp_path).parent.mkdir()
    place(tmp_path).symlink_to(mine)
    assert "is a link" in carried_out(tmp_path)["reason"]
    assert [path.name for path in mine.iterdir()] == ["train"]


def test_impossible_cells_are_named_by_number_and_settings() -> None:
    wrong = evolve(CELL, settings={"task": {"tolerence": -1}})
    listed: list[tuple[dict[str, Any], Cell]] = [
        ({"task.tolerance": 0.1}, CELL),
        ({"task.tolerence": -1}, wrong),
        ({}, evolve(CELL, steps=0)),
    ]
    with pytest.raises(ConfigError) as caught:
        ready(REGISTRY, [*listed, ({}, evolve(CELL, steps=0, episodes=None))])
    said = str(caught.value)
    assert said.startswith("2 of 4 cells are impossible; nothing was started:")
    assert "cell 2 (task.tolerence = -1, seed 4): unknown option" in said
    assert "did you mean task.tolerance?" in said
    assert "cell 4 (seed 4): there is nothing to do" in said


def test_an_agent_that_does_not_learn_is_found_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match="does not learn"):
        ready(REGISTRY, [({}, evolve(CELL, agent="walker"))])


def test_equal_cells_share_a_key() -> None:
    one, two = ready(REGISTRY, [({"label.group": "a"}, CELL), ({"label.group": "b"}, CELL)])
    assert one.key == two.key
    assert (one.number, two.number) == (1, 2)


@frozen
class Noisy:
    """Options of an emulator."""

    noise: float = 0.1


# --- instruments ---------------------------------------------------------------------------------


def real_desk() -> tuple[Desk, Cell]:
    desk = Desk()
    desk.before = lambda what, name: pytest.fail(f"{what} {name}")
    return desk, evolve(CELL, backend="desk")


def test_a_real_backend_is_refused_before_anything_opens() -> None:
    desk, cell = real_desk()
    with pytest.raises(ConfigError, match="desk is a real instrument, which no study drives"):
        ready(toy_registry(desk_plugin(desk)), [({}, cell)])


def test_a_worker_refuses_a_real_backend_too(
    client: InThisProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, cell = real_desk()
    monkeypatch.setattr(cells, "discover", lambda: toy_registry(desk_plugin(desk)))
    found = carried_out(tmp_path, cell, key="0" * 16)
    assert "is a real instrument" in found["reason"]


def test_an_emulator_must_be_one_of_that_backend_and_give_the_address() -> None:
    desk, cell = real_desk()
    emulated = evolve(cell, settings={**cell.settings, "emulator": {}})
    with pytest.raises(ConfigError, match="no emulator is called 'desk'"):
        ready(toy_registry(desk_plugin(desk)), [({}, emulated)])
    registry = toy_registry(desk_plugin(desk), ("emulator", plugin("desk", NoOptions, Emulator)))
    with pytest.raises(ConfigError, match=r"backend\.url is for each cell to set"):
        ready(registry, [({}, emulated)])


@frozen
class Addressed:
    """Options of a backend with a second address."""

    url: str = "http://127.0.0.1:1"
    camera_url: str = ""
    gain: float = 1.0


def test_beside_an_emulator_no_option_names_another_instrument() -> None:
    registry = toy_registry(
        ("backend", plugin("two", Addressed, Desk)),
        ("emulator", plugin("two", NoOptions, Emulator)),
    )
    cell = evolve(CELL, backend="two", settings={"emulator": {}, "backend": {"gain": 2.0}})
    key_of(registry, cell)
    there = {**cell.settings, "backend": {"camera_url": "http://10.0.0.7"}}
    with pytest.raises(ConfigError, match=r"backend\.camera_url = .* may name an instrument"):
        key_of(registry, evolve(cell, settings=there))


def test_the_emulators_defaults_are_in_the_key() -> None:
    registry = toy_registry(
        ("backend", plugin("two", Addressed, Desk)), ("emulator", plugin("two", Noisy, Emulator))
    )
    cell = evolve(CELL, backend="two", settings={"emulator": {}})
    same = evolve(cell, settings={"emulator": {"noise": 0.1}})
    other = evolve(cell, settings={"emulator": {"noise": 0.2}})
    assert key_of(registry, cell) == key_of(registry, same) != key_of(registry, other)
