"""Cells: checked before anything starts, known by a key, and carried out in a worker."""

import contextlib
import hashlib
import ipaddress
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
from attrs import evolve, frozen

from stempilot.contract.backend import Opening
from stempilot.contract.emulator import Emulator
from stempilot.errors import ConfigError, StempilotError
from stempilot.files import Json, own_folder, read_json, remove_folder, write_json
from stempilot.instrument.envelope import Envelope, open_envelope
from stempilot.instrument.lock import FOLDER_VARIABLE
from stempilot.plugins import options as config
from stempilot.plugins.options import Values
from stempilot.plugins.parts import options_class, part
from stempilot.plugins.registry import Registry, discover
from stempilot.record.figures import episode_columns
from stempilot.record.owner import owned
from stempilot.record.provenance import provenance, versions
from stempilot.record.recorder import read_events
from stempilot.runs.execute import execute, prepare
from stempilot.runs.plans import Extras, Plan, plan_relearn, plan_run, plan_train
from stempilot.runs.progress import Progress
from stempilot.study.file import Cell, Settings

CELL, STOP = "cell.json", "stop"
STAGES = ("train", "relearn", "evaluate")
DONE, FAILED, LATE, STOPPED = "done", "failed", "out of time", "stopped"
EVALUATION_SEED = 1_000_000
"""Added to the seed of a training for its evaluation, whose starts it has not met."""

_MOST_NAMED = 10
_LOOK_S = 0.5
_ONE_AT_A_TIME = threading.Lock()
"""Two trainings in one process would share the global generators of the learning library."""


@frozen(kw_only=True)
class Ready:
    """A cell that can be carried out.

    Attributes:
        number: its place in the study, from 1.
        swept: what sets it apart from the others, beside the seed.
        cell: itself.
        key: hash of all that its result depends on.
    """

    number: int
    swept: Values
    cell: Cell
    key: str

    @property
    def title(self) -> str:
        """How it is called in messages."""
        return title(self.number, self.swept, self.cell.seed)


def title(number: int, swept: Mapping[str, Any], seed: int) -> str:
    """Return how a cell is called in messages."""
    settings = "".join(f"{name} = {json.dumps(value)}, " for name, value in swept.items())
    return f"cell {number} ({settings}seed {seed})"


def ready(registry: Registry, cells: Iterable[tuple[Values, Cell]]) -> list[Ready]:
    """Plan every cell, and open nothing; cells that differ by a label alone have one key.

    Raises:
        ConfigError: some are impossible; the first of them are named.
    """
    found: list[Ready] = []
    problems: list[str] = []
    prepared: set[str] = set()
    for number, (swept, cell) in enumerate(cells, start=1):
        try:
            key = key_of(registry, cell, prepared)
        except StempilotError as error:
            problems.append(f"- {title(number, swept, cell.seed)}: {error}")
            continue
        found.append(Ready(number=number, swept=swept, cell=cell, key=key))
    if problems:
        shown = "\n".join(problems[:_MOST_NAMED])
        more = f"\nand {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
        msg = (
            f"{len(problems)} of {number} cells are impossible; nothing was started:\n{shown}{more}"
        )
        raise ConfigError(msg)
    return found


def key_of(registry: Registry, cell: Cell, prepared: set[str] | None = None) -> str:
    """Return the hash of a cell's settings, defaults included, and of the versions of software.

    Args:
        registry: what is installed.
        cell: which is checked.
        prepared: combinations whose task and agent were made before, each only once; ``None`` to
            make none.

    Raises:
        StempilotError: the cell is impossible, or would drive an instrument.
    """
    made_of: list[Any] = [versions()]
    for stage in _stages_of(cell):
        settings = _overlaid(cell, stage)
        plan = _plan(registry, cell, stage, settings, Extras(seed=cell.seed))
        emulator, beside = settings.get("emulator"), None
        if emulator is not None:
            made = part(registry, "emulator", cell.backend, emulator)
            beside = [config.plain(made.config), made.source]
        _require_harmless(registry, cell, plan, emulator)
        made_of.append([plan.parts.resolved(), dict(plan.parts.sources), beside])
        known = json.dumps([made_of[-1], cell.task, cell.agent, plan.command])
        if prepared is not None and known not in prepared:
            prepare(plan)
            prepared.add(known)
    relearn = cell.relearn and evolve(cell.relearn, settings={})
    counted = config.plain(evolve(cell, settings={}, relearn=relearn, minutes=1.0))
    text = json.dumps([counted, made_of], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stages_of(cell: Cell) -> list[str]:
    wanted = (bool(cell.steps), cell.relearn is not None, cell.episodes is not None)
    stages = [stage for stage, is_wanted in zip(STAGES, wanted, strict=True) if is_wanted]
    if not stages or (cell.relearn and not cell.steps):
        msg = "there is nothing to do: give steps to train (relearning needs them too), or episodes"
        raise ConfigError(msg)
    return stages


def _overlaid(cell: Cell, stage: str) -> Settings:
    """Return the settings of a stage; what relearning changed stays changed in the evaluation."""
    if stage == "train" or cell.relearn is None:
        return cell.settings
    changes = cell.relearn.settings
    names = {**cell.settings, **changes}
    return {name: {**cell.settings.get(name, {}), **changes.get(name, {})} for name in names}


def _of_run(settings: Settings) -> Settings:
    return {name: values for name, values in settings.items() if name != "emulator"}


def _plan(
    registry: Registry,
    cell: Cell,
    stage: str,
    settings: Settings,
    extras: Extras,
    policy: Path | None = None,
) -> Plan:
    """Return the plan of a stage; without a policy to go on from, one that has the same parts."""
    what: Any = {"settings": _of_run(settings), "extras": extras}
    if stage == "relearn" and policy is not None and cell.relearn is not None:
        return plan_relearn(registry, policy, steps=cell.relearn.steps, **what)
    what |= {"task": cell.task, "backend": cell.backend}
    if stage != "evaluate":
        return plan_train(registry, agent=cell.agent, steps=cell.steps, **what)
    who: Any = {"agent": cell.agent} if policy is None else {"policy": policy}
    return plan_run(registry, episodes=cell.episodes, **who, **what)


def _require_harmless(registry: Registry, cell: Cell, plan: Plan, emulator: Values | None) -> None:
    """Check that a cell drives a simulator, or an emulator of its own.

    Raises:
        ConfigError: it would drive something else.
    """
    if emulator is None:
        if not plan.parts.make_backend(plan.opening).offers().simulated:
            msg = (
                f"{cell.backend} is a real instrument, which no study drives; take a simulated "
                "backend, or let each cell start an emulator: add a section [settings.emulator]"
            )
            raise ConfigError(msg)
        return
    options = attrs.fields_dict(options_class(registry, "backend", cell.backend))
    if "url" not in options or "url" in plan.parts.settings.get("backend", {}):
        msg = (
            f"backend.url is for each cell to set, to the emulator that it starts; {cell.backend} "
            "must have that option, and a study must not set it"
        )
        raise ConfigError(msg)
    for name, value in plan.parts.settings.get("backend", {}).items():
        if name != "preset" and not isinstance(value, int | float | None):
            msg = (
                f"backend.{name} = {value!r} may name an instrument; beside an emulator a study "
                f"sets numbers, switches and the preset of {cell.backend} alone"
            )
            raise ConfigError(msg)


@contextlib.contextmanager
def _instrument(
    registry: Registry, cell: Cell, settings: Settings, place: Path
) -> Iterator[tuple[Settings, Envelope | None]]:
    """Start the emulator of a stage, if it has one; yield its settings and envelope."""
    if "emulator" not in settings:
        yield settings, None
        return
    emulator: Emulator = part(registry, "emulator", cell.backend, settings["emulator"]).load(
        cell.seed
    )
    with emulator, _own_locks(place):
        url = emulator.start("127.0.0.1", 0)
        if not ipaddress.ip_address(urlsplit(url).hostname or "").is_loopback:
            msg = f"emulator {cell.backend} listens at {url}, not on loopback; nothing was sent"
            raise ConfigError(msg)
        found = {**settings, "backend": {**settings.get("backend", {}), "url": url}}
        made = part(registry, "backend", cell.backend, found["backend"]).load(Opening())
        yield found, open_envelope(cell.backend, made.offers())


@contextlib.contextmanager
def _own_locks(place: Path) -> Iterator[None]:
    """Keep the locks of an emulator away from those of instruments: its address is used again."""
    before = os.environ.get(FOLDER_VARIABLE)
    os.environ[FOLDER_VARIABLE] = str(place / "locks")
    try:
        yield
    finally:
        os.environ.pop(FOLDER_VARIABLE)
        if before is not None:
            os.environ[FOLDER_VARIABLE] = before


class _LateError(StempilotError):
    """The time of a cell is over."""


def run_cell(values: Json, key: str, place: str) -> Json:
    """Carry out a cell, and keep its result in its folder, whole or not at all.

    Called in a worker, which is sent plain values alone and finds the plug-ins itself. A cell that
    is finished already is not repeated.

    Args:
        values: the cell.
        key: what it is known by; differs where the worker has other versions.
        place: its folder.

    Returns:
        The result, without its episodes.
    """
    folder, began_s = Path(place), time.monotonic()
    result: Json = {"status": FAILED, "reason": "", "cell": values, "figures": {}, "episodes": {}}
    with (
        _ONE_AT_A_TIME,
        contextlib.redirect_stdout(sys.stderr),
        _explained(result),
        # Of a stranger's study too nothing outside of it is written, let alone removed.
        owned(own_folder(own_folder(folder.parent) / folder.name)),
    ):
        if is_done(folder):
            return {"status": DONE, "reason": ""}
        with _explained(result):
            _carry_out(config.build(Cell, values, section="cell"), key, folder, result)
        if result["reason"] != STOPPED:
            _keep(folder, result, began_s)
    return {name: result[name] for name in ("status", "reason")}


@contextlib.contextmanager
def _explained(result: Json) -> Iterator[None]:
    """Let a failing cell stop no other: note why it failed."""
    try:
        yield
    except KeyboardInterrupt:
        result.update(status=FAILED, reason=STOPPED)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - parts may raise anything
        name = "" if isinstance(error, StempilotError) else f"{type(error).__name__}: "
        status = LATE if isinstance(error, _LateError) else FAILED
        result.update(status=status, reason=f"{name}{error}")


def is_done(folder: Path) -> bool:
    """Return whether the cell of a folder is finished."""
    return bool(found_in(folder)[0] == DONE)


def found_in(folder: Path) -> tuple[Any, Any]:
    """Return status and source revision of a cell; ``None`` for what is missing or damaged."""
    try:
        found = read_json(folder / CELL)
    except StempilotError:
        return None, None
    software = found.get("software")
    return found.get("status"), software.get("git_commit") if isinstance(software, dict) else None


def _keep(folder: Path, result: Json, began_s: float) -> None:
    software = {name: value for name, value in provenance().items() if name != "argv"}
    wall_s = round(time.monotonic() - began_s, 3)
    write_json(folder / CELL, {**result, "software": software, "wall_s": wall_s})


def _carry_out(cell: Cell, key: str, folder: Path, result: Json) -> None:
    """Carry out the stages of a cell; fill in the result."""
    registry, until_s = discover(), time.monotonic() + 60.0 * cell.minutes
    if key_of(registry, cell) != key:
        msg = (
            f"this worker ({versions()}) has other versions than the study; install "
            "the same ones, or begin the study again where they are"
        )
        raise ConfigError(msg)
    for leftover in (*STAGES, "locks", CELL):
        remove_folder(folder / leftover)
    policy: Path | None = None
    for stage in _stages_of(cell):
        left_s = until_s - time.monotonic()
        wanted = _overlaid(cell, stage)
        with _instrument(registry, cell, wanted, folder) as (settings, envelope):
            extras = Extras(
                seed=cell.seed + (EVALUATION_SEED if stage == "evaluate" else 0),
                out=folder / stage,
                minutes=max(left_s, 1e-3) / 60.0,
                envelope=envelope,
            )
            plan = _plan(registry, cell, stage, settings, extras, policy)
            figures = execute(plan, on_progress=_stop_if_asked(folder.parent.parent / STOP))
        result["figures"][stage] = {**figures, "run_dir": stage}
        result["episodes"][stage] = episode_columns(read_events(folder / stage))
        if figures.get("interrupted"):
            if time.monotonic() < until_s:
                raise KeyboardInterrupt
            msg = f"the cell's limit of {cell.minutes:g} minutes was reached in stage {stage}"
            raise _LateError(msg)
        policy = folder / stage
    result["status"] = DONE


def _stop_if_asked(file: Path) -> Callable[[Progress], None]:
    """Return what ends a run as Ctrl-C does once the file is there; asked as it progresses."""
    looked_s = time.monotonic()

    def look(_: Progress) -> None:
        nonlocal looked_s
        if time.monotonic() - looked_s > _LOOK_S:
            looked_s = time.monotonic()
            if file.exists():
                raise KeyboardInterrupt

    return look
