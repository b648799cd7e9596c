"""Plans on toys, and what they leave behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve
from tests.core.fakes import (
    Desk,
    desk_plugin,
    toy_registry,
)

from stempilot.contract.names import BEAM_SHIFT
from stempilot.instrument.envelope import Envelope, open_envelope
from stempilot.plugins.registry import Registry
from stempilot.record.record import Record
from stempilot.record.recorder import read_events
from stempilot.record.run_dir import RunDir
from stempilot.runs.plans import Extras, Plan, plan_run, plan_train
from stempilot.runs.progress import Progress

REGISTRY = toy_registry()
AWAY = (2e-7, -1e-7)
NO_TWIN = {"run": {"evaluate": False}}


def desk_envelope(**changes: Any) -> Envelope:
    return evolve(open_envelope("desk", Desk().offers()), **changes)


def desk_away() -> Desk:
    """Return a desk whose knob does not stand at zero."""
    desk = Desk()
    desk.toy.open()
    desk.toy.write(BEAM_SHIFT, AWAY)
    desk.toy.close()
    return desk


def standing(desk: Desk) -> Any:
    desk.toy.open()
    return desk.toy.read(BEAM_SHIFT)


def extras(folder: Path, **more: Any) -> Extras:
    return Extras(**{"seed": 3, "out": folder, **more})


def train(folder: Path, registry: Registry = REGISTRY, **what: Any) -> Plan:
    more = what.pop("extras", {})
    options = {"task": "centring", "agent": "learner", "steps": 40, **what}
    return plan_train(registry, extras=extras(folder, **more), **options)


def on_desk(desk: Desk, folder: Path, *, limits: Envelope | None = None, **what: Any) -> Plan:
    more = {"envelope": limits or desk_envelope()}
    return train(folder, toy_registry(desk_plugin(desk)), backend="desk", extras=more, **what)


def run(desk: Desk, folder: Path, **what: Any) -> Plan:
    more = {"envelope": what.pop("limits", None) or desk_envelope(), **what.pop("extras", {})}
    options = {"task": "centring", "agent": "exact", "backend": "desk", **what}
    registry = toy_registry(desk_plugin(desk))
    return plan_run(registry, extras=extras(folder, **more), **options)


def record(folder: Path) -> Record:
    return RunDir.open(folder).record()


def events(folder: Path) -> list[dict[str, Any]]:
    return list(read_events(folder))


def when(done: int, act: Callable[[], Any]) -> Callable[[Progress], None]:
    """Return what acts at a point of a job."""

    def on_progress(now: Progress) -> None:
        if now.done == done and not now.note:
            act()

    return on_progress


def without_times(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event that can be compared: no clock, and no ways home, which depend on before."""
    return {**event, "writes": [write[:2] for write in event["writes"] if event["k"]]}


def agent_files(folder: Path) -> dict[str, bytes]:
    agent = RunDir.open(folder).agent_folder()
    return {file.name: file.read_bytes() for file in agent.iterdir()}
