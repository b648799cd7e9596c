"""A virtual Themis, jobs that are carried out on it, and what must hold however they end."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen
from tests.core.fakes import reference

from stempilot.contract.names import DIFFRACTION_SHIFT as SHIFT
from stempilot.contract.plugin import Plugin
from stempilot.errors import BackendError, RestoreError
from stempilot.faults.injection import Fault
from stempilot.instrument.envelope_file import parse_envelope
from stempilot.plugins import options as config
from stempilot.plugins.registry import Entry, Registry, discover
from stempilot.record.recorder import read_events
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, Plan, plan_run, plan_train
from stempilot.testing.toys import ToyLearner
from stempilot_backends.usetem.emulator.config import EmulatorConfig
from stempilot_backends.usetem.emulator.emulator import ThemisEmulator

TASK, BACKEND = "bf-disk-centering", "usetem-themis"
BASELINE = (0.0, 0.0)
REACH_RAD, STEP_RAD, RESOLUTION_RAD = 0.3, 0.05, 1e-5
DEADLINE_S = 50.0
STEPS = 16
_TRUE_WITHIN_PX = 3.0


@contextmanager
def themis(seed: int = 3, **options: Any) -> Iterator[tuple[ThemisEmulator, str]]:
    """Yield a started emulator that does not wait for anything, and its address."""
    values = {"realtime": False, "start_range": 0.6, **options}
    made = config.build(EmulatorConfig, values, section="emulator")
    with ThemisEmulator(made, seed) as emulator:
        yield emulator, emulator.start("127.0.0.1", 0)


@frozen
class NoOptions:
    """No options."""


def registry() -> Registry:
    """Return what is installed and a learner that costs no time."""
    toy = Plugin(
        "toy",
        "",
        config=reference(NoOptions),
        load=reference(lambda _, brief: ToyLearner(brief)),
    )
    entry = Entry(kind="agent", name="toy", distribution="toys", version="1", plugin=toy)
    return Registry((*discover().entries, entry))


def envelope() -> Any:
    row = {
        "unit": "rad",
        "lower": [-REACH_RAD] * 2,
        "upper": [REACH_RAD] * 2,
        "max_step": [STEP_RAD] * 2,
        "resolution": [RESOLUTION_RAD] * 2,
    }
    content = {"schema": 1, "backend": BACKEND, "may_park": False, "knobs": {SHIFT: row}}
    return parse_envelope(content, "envelope.toml")


def job(kind: str, url: str, out: Path) -> Plan:
    """Return the plan of a short run or training on the microscope at an address."""
    backend = {
        "url": url,
        "pixel_mrad": [[6, 0.565]],
        "connect_timeout_s": 2.0,
        "call_timeout_s": 3.0,
        "frame_timeout_s": 5.0,
        "retry_wait_s": 0.05,
        "readback_s": 0.1,
    }
    extras = Extras(seed=1, out=out / kind, envelope=envelope())
    settings = {"backend": backend, "task": {"step_size": 25.0}}
    if kind == "run":
        return plan_run(
            registry(),
            task=TASK,
            agent="adaptive",
            backend=BACKEND,
            settings=settings,
            extras=extras,
        )
    return plan_train(
        registry(),
        task=TASK,
        agent="toy",
        steps=STEPS,
        backend=BACKEND,
        settings=settings,
        extras=extras,
    )


@frozen(kw_only=True)
class Ended:
    """How a job ended.

    Attributes:
        how: recovered, stopped_restored or not_restored; ``misjudged`` where the task was told to
            have failed although the instrument did.
        error: what was raised.
        took_s: how long it took.
        events: the recorded timesteps and resets.
        record: the record of the run.
    """

    how: str
    error: BaseException | None
    took_s: float
    events: list[dict[str, Any]]
    record: dict[str, Any]


def carried_out(plan: Plan) -> Ended:
    began = time.monotonic()
    error: BaseException | None = None
    try:
        result = execute(plan)
    except RestoreError as raised:
        how, error = "not_restored", raised
    except BackendError as raised:
        how, error = "stopped_restored", raised
    else:
        how = "misjudged" if result.get("success") is False else "recovered"
    return Ended(
        how=how,
        error=error,
        took_s=time.monotonic() - began,
        events=list(read_events(plan.out)) if (plan.out / "events.jsonl").exists() else [],
        record=json.loads((plan.out / "record.json").read_text(encoding="utf-8")),
    )


def check_ending(ended: Ended, emulator: ThemisEmulator, fault: Fault, kind: str) -> None:
    """Assert that a job ended as the table of faults says, and truly so."""
    told = f"{fault.name}, {kind}: {ended.how}, {ended.error!r}"
    assert emulator.struck().get(fault.name), f"{told}: the fault never struck"
    assert ended.how in fault.endings, told
    assert ended.took_s < DEADLINE_S, told
    position = emulator.position(SHIFT)
    if ended.how == "recovered":
        assert ended.record["status"] == "done"
        assert kind == "run" or near(position, BASELINE), told
    else:
        assert ended.record["status"] == "failed"
        assert type(ended.error).__name__ in ended.record["reason"]
    if ended.how == "stopped_restored":
        assert ended.error is not None
        assert ended.error.exit_code == 4
        assert near(position, BASELINE) or (fault.yields and untouched_since_turned(emulator)), told
    if ended.how == "not_restored":
        assert ended.error is not None
        assert ended.error.exit_code == 5
        assert "NOT PUT BACK" in str(ended.error)


def near(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return math.dist(one, other) <= 2 * RESOLUTION_RAD


def untouched_since_turned(emulator: ThemisEmulator) -> bool:
    """Return whether a client left the knob alone since a person turned it, if one did."""
    turns = [one for one in emulator.log() if one.what == SHIFT]
    by = [one.by for one in turns]
    return "operator" not in by or by[-1] == "operator"


def check_safety(emulator: ThemisEmulator) -> None:
    """Assert that no client wrote outside of the envelope or farther than a step allows."""
    before = BASELINE
    for one in emulator.log():
        if one.what != SHIFT:
            assert one.by == "operator" or one.what in {"acquire", "add_camera", "remove_camera"}
            continue
        x, y = one.value
        if one.by == "client":
            assert max(abs(x), abs(y)) <= REACH_RAD, one
            step = max(abs(x - before[0]), abs(y - before[1]))
            assert step <= STEP_RAD + 2 * RESOLUTION_RAD, one
        before = (x, y)


def check_record(ended: Ended, emulator: ThemisEmulator) -> None:
    """Assert that every recorded timestep is of a frame that truly looked so, and of its own."""
    truths = [one.value["position_px"] for one in emulator.log() if one.what == "acquire"]
    seen = [(e["summary"]["x_px"], e["summary"]["y_px"]) for e in ended.events]
    for event, position in zip(ended.events, seen, strict=True):
        assert event["outcome"] in {"running", "success"}, event
        away = min(math.dist(position, truth) for truth in truths)
        assert away < _TRUE_WITHIN_PX, (event, away)
    assert len(set(seen)) == len(seen)
    assert len(seen) <= len(truths)
