"""What the toys cannot show: an instrument of many knobs that fails, one that counts as real."""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, field, frozen, validators
from hypothesis import settings

from stempilot.contract.backend import Backend
from stempilot.contract.plugin import API, Plugin
from stempilot.contract.values import (
    Frame,
    KnobNeed,
    KnobSpec,
    KnobValue,
    Needs,
    Offers,
    SetPoint,
)
from stempilot.errors import BackendError
from stempilot.files import write_json
from stempilot.instrument.envelope import Envelope, KnobLimits
from stempilot.instrument.guard import GuardedBackend
from stempilot.plugins.registry import Entry, Kind, Registry
from stempilot.testing.toys import ToyBackend, ToyCentring, ToyLearner, ToyWalker

QUICK = settings(max_examples=60, deadline=None)
"""For property tests: enough to find what is wrong, on machines of any speed."""

SHIFT = KnobSpec(
    unit="m", lower=(-1.0, -2.0), upper=(1.0, 2.0), max_change=(0.25, 0.5), resolution=(1e-3, 1e-3)
)
FOCUS = KnobSpec(unit="m", lower=(-10.0,), upper=(10.0,), max_change=(2.0,), resolution=(0.01,))
TILT = KnobSpec(unit="rad", lower=(-0.5,), upper=(0.5,), max_change=(0.1,), resolution=(0.0,))
KNOBS = {"shift": SHIFT, "focus": FOCUS, "tilt": TILT}
START: dict[str, KnobValue] = {"shift": (0.1, -0.2), "focus": (3.0,), "tilt": (0.0,)}


class Bench(Backend):
    """Knobs in memory, nothing to look at.

    ``trouble`` is called as ``trouble(what, knob)`` before each read and write; what it raises is
    the instrument's failure.
    """

    def __init__(self, knobs: Mapping[str, KnobSpec] | None = None) -> None:
        self.knobs = dict(KNOBS if knobs is None else knobs)
        self.standing = {name: START.get(name, (0.0,) * s.size) for name, s in self.knobs.items()}
        self.log: list[str] = []
        self.written: list[tuple[str, KnobValue]] = []
        self.trouble: Callable[[str, str], None] = lambda what, knob: None

    def open(self) -> None:
        self.log.append("open")

    def close(self) -> None:
        self.log.append("close")

    def offers(self) -> Offers:
        return Offers(knobs=self.knobs, simulated=True)

    def identity(self) -> Mapping[str, str]:
        return {"model": "bench"}

    def state(self, name: str) -> str:
        msg = f"the bench has no state {name}"
        raise BackendError(msg)

    def read(self, knob: str) -> KnobValue:
        self.log.append(f"read {knob}")
        self.trouble("read", knob)
        return self.standing[knob]

    def write(self, knob: str, value: KnobValue) -> None:
        self.log.append(f"write {knob}")
        self.trouble("write", knob)
        self.written.append((knob, value))
        self.standing[knob] = value

    def acquire(self, source: str) -> Frame:
        msg = f"the bench has no source {source}"
        raise BackendError(msg)


class ParkableBench(Bench):
    def park(self) -> None:
        self.log.append("park")
        self.trouble("park", "")


def fails(*what: str) -> Callable[[str, str], None]:
    """Return trouble with each of the named things, for example ``write focus``."""

    def trouble(kind: str, knob: str) -> None:
        if f"{kind} {knob}".strip() in what:
            msg = f"{kind} {knob} timed out"
            raise BackendError(msg)

    return trouble


class Desk(Backend):
    """A toy instrument that counts as real: it cannot be reseeded, copied or told the truth.

    Attributes:
        toy: what is behind it.
        log: the writes.
        before: called with the name of each method that touches the instrument, and its argument.
        develop: what becomes of each frame.
    """

    def __init__(self, serial: int = 0, *, simulated: bool = False) -> None:
        self.toy = ToyBackend(serial)
        self.simulated = simulated
        self.log: list[KnobValue] = []
        self.before: Callable[[str, str], None] = lambda what, name: None
        self.develop: Callable[[Frame], Frame] = lambda frame: frame

    def open(self) -> None:
        self.before("open", "")
        self.toy.open()

    def close(self) -> None:
        self.toy.close()

    def offers(self) -> Offers:
        return evolve(self.toy.offers(), misaligns=False, simulated=self.simulated)

    def identity(self) -> Mapping[str, str]:
        return {"model": "desk", **self.toy.identity()}

    def state(self, name: str) -> str:
        self.before("state", name)
        return self.toy.state(name)

    def read(self, knob: str) -> KnobValue:
        self.before("read", knob)
        return self.toy.read(knob)

    def write(self, knob: str, value: KnobValue) -> None:
        self.before("write", knob)
        self.log.append(value)
        self.toy.write(knob, value)

    def acquire(self, source: str) -> Frame:
        self.before("acquire", source)
        return self.develop(self.toy.acquire(source))


def guarded(**options: Any) -> tuple[Bench, GuardedBackend]:
    """Return a bench and its guard, without an envelope."""
    bench = Bench()
    return bench, GuardedBackend(bench, KNOBS, **options)


def focus(value: float) -> SetPoint:
    """Return a set point of the focus."""
    return SetPoint("focus", value)


def blank(frame: Frame) -> Frame:
    """Return a frame of a camera that is off."""
    return evolve(frame, pixels=np.zeros_like(frame.pixels))


class KnobTask(ToyCentring):
    """Needs the named knobs of a `Bench`; never looks and never acts."""

    def __init__(self, **largest_steps: float | KnobValue) -> None:
        super().__init__()
        self._largest = largest_steps

    @property
    def needs(self) -> Needs:
        return Needs(
            knobs={
                name: KnobNeed(unit=KNOBS[name].unit, size=KNOBS[name].size, largest_step=step)
                for name, step in self._largest.items()
            }
        )


def bench_task() -> KnobTask:
    """Return a task that needs all knobs of the bench."""
    return KnobTask(shift=(0.2, 0.2), focus=1.0, tilt=0.1)


def bench_envelope(**changes: Any) -> Envelope:
    """Return an envelope that allows all that the bench offers."""
    rows = {name: KnobLimits(spec=spec) for name, spec in KNOBS.items()}
    return Envelope(**{"backend": "bench", "knobs": rows, **changes})


@frozen(kw_only=True)
class TaskOptions:
    """Options of the toy task as a plug-in."""

    tolerance: float = field(default=0.1, validator=validators.gt(0))
    actions: str = "box"


@frozen(kw_only=True)
class BackendOptions:
    """Options of the toy backend as a plug-in."""

    serial: int = 0


@frozen(kw_only=True)
class NoOptions:
    """For plug-ins that have none."""


class ExactAgent(ToyLearner):
    """A learner that knows the response of serial 0 from the start."""

    def __init__(self, brief: Any) -> None:
        super().__init__(brief)
        angle = np.random.default_rng(0).uniform(-np.pi, np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        self._response = 0.4 * np.array([[cos, -sin], [sin, cos]])


def reference(made: Any) -> str:
    """Return text that leads to what a test made."""
    name = f"made_{id(made)}"
    globals()[name] = made  # kept, so that no other object gets its number
    return f"{__name__}:{name}"


def plugin(name: str, config: Any, load: Any, *, api: int = API, **more: Any) -> Plugin:
    """Return a plug-in record."""
    where = {"config": reference(config), "load": reference(load)}
    return Plugin(name, f"the {name}", **where, api=api, **more)


def toy_plugins() -> dict[Kind, tuple[Plugin, ...]]:
    """Return the toys as plug-ins."""
    task = plugin("centring", TaskOptions, lambda c: ToyCentring(c.actions, tolerance=c.tolerance))
    backend = evolve(
        plugin("simulator", BackendOptions, lambda c, _: ToyBackend(c.serial)), default=True
    )
    learner = plugin("learner", NoOptions, lambda _, brief: ToyLearner(brief))
    exact = plugin("exact", NoOptions, lambda _, brief: ExactAgent(brief))
    walker = plugin("walker", NoOptions, lambda _, brief: ToyWalker(brief))
    return {"task": (task,), "backend": (backend,), "agent": (learner, exact, walker)}


def toy_registry(*more: tuple[Kind, Plugin]) -> Registry:
    """Return a registry of the toys, and of further plug-ins."""
    pairs = [(kind, one) for kind, many in toy_plugins().items() for one in many]
    return Registry(
        tuple(
            Entry(kind=kind, name=one.name, distribution="toys", version="1.0", plugin=one)
            for kind, one in (*pairs, *more)
        )
    )


def desk_plugin(desk: Desk) -> tuple[Kind, Plugin]:
    """Return the plug-in of one particular desk."""
    return "backend", plugin("desk", NoOptions, lambda _, opening: desk)


RECORD: dict[str, Any] = {
    "status": "done",
    "command": "train",
    "task": "centring",
    "backend": "simulator",
    "agent": "learner",
    "settings": {"task": {"tolerance": 0.2}},
    "seed": 3,
    "instrument_seed": 3,
    "steps": 100,
    "episodes": None,
    "frames": {"every": 0, "ends": False},
    "envelope": None,
    "parent": None,
    "trained_here": False,
    "from_log": None,
    "goal": None,
    "quantities": [],
}
"""What ``record.json`` of a training with toys holds."""


def put_record(folder: Path, **changes: Any) -> None:
    """Write that record with some entries changed."""
    write_json(folder / "record.json", {**RECORD, **changes})


def saving(text: str, *, folder: str = "") -> Callable[[Path], None]:
    """Return what saves an agent that consists of a text, which may have a folder of its own."""

    def save(into: Path) -> None:
        assert list(into.iterdir()) == []
        (into / "agent.json").write_text(text)
        if folder:
            (into / folder).mkdir()
            (into / folder / "weights.bin").write_bytes(text.encode())

    return save


def install(
    folder: Path, name: str, source: str, *, version: str = "1.0", point: str | None = None
) -> EntryPoint:
    """Lay a package into a folder as if it were installed, and return its entry point.

    Args:
        folder: what is, or will be, on the path.
        name: of the distribution.
        source: of the module.
        version: of the distribution.
        point: name of the entry point, where it is not that of the distribution.
    """
    module = f"installed_{name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[stempilot]\n{point or name} = {module}\n")
    (found,) = PathDistribution(info).entry_points
    return found
