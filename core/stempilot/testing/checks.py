"""Runs the contract suites without any test framework; behind ``stempilot check NAME``."""

import inspect
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import SkipTest

from attrs import frozen

from stempilot.contract.agent import Agent, Brief
from stempilot.contract.backend import Backend, Opening, StartsEpisodes
from stempilot.contract.emulator import Emulator
from stempilot.contract.task import Task
from stempilot.errors import BackendError, IncompatibleError, StempilotError
from stempilot.instrument.envelope import open_envelope
from stempilot.instrument.fit import require_fit
from stempilot.instrument.lock import instrument_lock
from stempilot.instrument.opening import open_instrument
from stempilot.plugins.parts import Part, part
from stempilot.plugins.registry import Kind, Registry
from stempilot.testing.agents import AgentContract
from stempilot.testing.backends import BackendContract
from stempilot.testing.contract import Contract, ContractError, does_not_apply
from stempilot.testing.emulators import EmulatorContract
from stempilot.testing.imports import imports_of
from stempilot.testing.needs import knob_problems, name_problems
from stempilot.testing.readonly import ReadOnlyBackendContract
from stempilot.testing.tasks import TaskContract
from stempilot.testing.toys import ToyBackend, ToyCentring

_OPENING = Opening(purpose="train")

MakeBackend = Callable[[], Backend]
MakeTask = Callable[[], Task[Any, Any]]


@frozen(kw_only=True)
class CheckResult:
    """What one check has found.

    Attributes:
        check: name of the check, for example ``frames_match_their_source``.
        passed: whether the plug-in does what the contract says, or is not concerned.
        message: what the contract says and what was found; empty when all is well.
        applies: whether the check concerns the plug-in; if not, the message says why.
    """

    check: str
    passed: bool
    message: str = ""
    applies: bool = True

    @property
    def remedy(self) -> str:
        """What to do, of ``remedies.toml``; empty when all is well, or for a check of others."""
        return "" if self.passed else remedies().get(self.check, "")


@cache
def remedies() -> Mapping[str, str]:
    """Return what to do where a check fails, by its name."""
    text = files("stempilot.testing").joinpath("remedies.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))


def run_contract(contract: type[Contract], only: str = "") -> list[CheckResult]:
    """Return what each check of a suite finds, each on a new object of the suite's class.

    Args:
        contract: a suite that can be made without arguments.
        only: name of the one check to make; empty for all.
    """
    wanted = [name for name in contract.checks() if only in {"", name.removeprefix("test_")}]
    return [run_check(contract, name) for name in wanted]


def run_check(contract: type[Contract], name: str) -> CheckResult:
    """Return what one check of a suite finds.

    Args:
        contract: a suite that can be made without arguments.
        name: one of ``contract.checks()``.
    """
    check = name.removeprefix("test_")
    method = getattr(contract, name)
    sentence = (inspect.getdoc(method) or check).partition("\n")[0].rstrip(".")
    try:
        method(contract())
    except SkipTest as reason:
        return CheckResult(check=check, passed=True, applies=False, message=str(reason))
    except ContractError as error:
        return CheckResult(check=check, passed=False, message=str(error))
    except Exception as error:  # noqa: BLE001 - a stranger's plug-in may raise anything at all
        return CheckResult(check=check, passed=False, message=_told(sentence, error))
    return CheckResult(check=check, passed=True)


def _told(sentence: str, error: Exception) -> str:
    """Return what a check is about and where the plug-in raised what it must not."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}, in {last.name}"
    return f"the contract says: {sentence}; found: {type(error).__name__}: {error} ({place})"


def check_plugin(
    registry: Registry,
    kind: Kind,
    name: str,
    settings: Mapping[str, Any] | None = None,
    only: str = "",
) -> list[CheckResult]:
    """Return what the contract's checks find on an installed plug-in.

    A simulator is moved; of a backend that moves a real instrument only the checks are run that
    read. A task is checked on a simulator that it fits, an agent on a toy, or where it refuses
    those, on an installed task.

    Args:
        registry: what is installed.
        kind: backend, task, agent or emulator.
        name: the plug-in's name.
        settings: options of the plug-in, as in its section of the configuration.
        only: name of the one check to make; empty for all.

    Raises:
        PluginError: the name is unknown or the plug-in broken.
        ConfigError: an option is unknown, out of range or missing.
        IncompatibleError: nothing is installed that a task or an agent could be checked with.
        InstrumentBusyError: a run drives the instrument of a backend.
        BackendError: it cannot be reached.
    """
    checked = part(registry, kind, name, settings or {})
    with ExitStack() as stack:
        try:
            if kind == "backend":
                stack.enter_context(_reached(checked))
            suite = _suite(registry, kind, checked)
        except StempilotError:
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's plug-in may raise anything at all
            message = _told(f"The {kind} can be made with its options", error)
            return [CheckResult(check="can_be_made", passed=False, message=message)]
        quick = imports_of(registry, kind, name)
        return [*run_contract(quick, only), *run_contract(suite, only)]


def _suite(registry: Registry, kind: Kind, checked: Part) -> type[Contract]:
    if kind == "backend":
        return _backend_suite(checked)
    if kind == "task":
        return _task_suite(registry, checked)
    if kind == "emulator":
        return _emulator_suite(checked)
    return _agent_suite(registry, checked)


def _backend_suite(checked: Part) -> type[ReadOnlyBackendContract]:
    class KnobValue(ReadOnlyBackendContract):
        def make(self) -> Backend:
            return _load_backend(checked)

    class Moving(BackendContract):
        def make(self) -> Backend:
            return _load_backend(checked)

    made = _load_backend(checked)
    # What plays a record takes no other writes than the recorded ones.
    moves = made.offers().simulated and not isinstance(made, StartsEpisodes)
    return Moving if moves else KnobValue


@contextmanager
def _reached(checked: Part) -> Iterator[None]:
    """Keep everybody else away from an instrument that answers.

    A run that drives it meanwhile would move what is being checked; and where nothing answers,
    each check would only say so again.
    """
    made = _load_backend(checked)
    with instrument_lock(made, checked.name):
        try:
            allowed = open_envelope(checked.name, made.offers())
            with open_instrument(made, [], name=checked.name, envelope=allowed, locks=False):
                pass
        except BackendError:
            raise
        except Exception:  # noqa: BLE001, S110 - the suite opens it too, and says what it broke
            pass
        yield


def _task_suite(registry: Registry, checked: Part) -> type[TaskContract]:
    task = _load_task(checked)
    try:
        make_backend = _fitting_backend(registry, task, checked.name)
    except IncompatibleError:
        # A wrong unit or name fits nothing either, and is the task's own fault.
        if not [*knob_problems(task.needs), *name_problems(task.needs, type(task))]:
            raise
        make_backend = _no_backend

    class Bound(TaskContract):
        def make(self) -> Task[Any, Any]:
            return _load_task(checked)

        def make_backend(self) -> Backend:
            return make_backend()

    return Bound


def _emulator_suite(checked: Part) -> type[EmulatorContract]:
    class Bound(EmulatorContract):
        def make(self, seed: int) -> Emulator:
            made: Emulator = checked.load(seed)
            return made

    return Bound


def _agent_suite(registry: Registry, checked: Part) -> type[AgentContract]:
    make_task, make_backend = _fitting_operation(registry, checked)

    class Bound(AgentContract):
        def make(self, brief: Brief) -> Agent:
            return _load_agent(checked, brief)

        def make_task(self) -> Task[Any, Any]:
            return make_task()

        def make_backend(self) -> Backend:
            return make_backend()

    return Bound


def _no_backend() -> Backend:
    raise does_not_apply("no installed backend offers what it needs")


def _load_backend(loaded: Part) -> Backend:
    made: Backend = loaded.load(_OPENING)
    return made


def _load_task(loaded: Part) -> Task[Any, Any]:
    made: Task[Any, Any] = loaded.load()
    return made


def _load_agent(loaded: Part, brief: Brief) -> Agent:
    made: Agent = loaded.load(brief)
    return made


def _simulators(
    registry: Registry, options: Mapping[str, Any]
) -> Iterator[tuple[str, MakeBackend]]:
    """Yield the installed simulators that these options will do for, then the toy.

    The default one comes first.
    """
    names = registry.names("backend")
    for name in sorted(names, key=lambda name: not registry.get("backend", name).default):
        loaded = _counterpart(registry, "backend", name, options)
        if loaded is not None and _load_backend(loaded).offers().simulated:
            yield name, partial(_load_backend, loaded)
    yield "the toy", ToyBackend


def _counterpart(
    registry: Registry, kind: Kind, name: str, options: Mapping[str, Any] = MappingProxyType({})
) -> Part | None:
    """Return a plug-in to check another one with, ``None`` where it cannot be made as it is."""
    try:
        loaded = part(registry, kind, name, options)
        if kind == "backend":
            _load_backend(loaded).offers()
        else:
            _load_task(loaded)
    except Exception:  # noqa: BLE001 - it is not the one being checked, so it must not be blamed
        return None
    return loaded


def _fitting_backend(registry: Registry, task: Task[Any, Any], name: str) -> MakeBackend:
    problems: list[str] = []
    for backend, make in _simulators(registry, task.rehearsal):
        try:
            require_fit(task.needs, make().offers(), task=name, backend=backend)
        except IncompatibleError as error:
            problems += error.problems
        else:
            return make
    raise IncompatibleError(problems)


def _fitting_operation(registry: Registry, checked: Part) -> tuple[MakeTask, MakeBackend]:
    """Return a task that the agent accepts, and a backend for it."""
    problems: list[str] = []
    for name, make in _tasks(registry):
        task = make()
        try:
            _load_agent(checked, Brief.of(task, seed=0))
            backend = ToyBackend if name == "" else _fitting_backend(registry, task, name)
        except IncompatibleError as error:
            problems += error.problems
        else:
            return make, backend
    raise IncompatibleError(problems)


def _tasks(registry: Registry) -> Iterator[tuple[str, MakeTask]]:
    """Yield the toy task with both kinds of actions, then the installed ones without options."""
    yield "", ToyCentring
    yield "", lambda: ToyCentring("discrete")
    for name in registry.names("task"):
        loaded = _counterpart(registry, "task", name)
        if loaded is not None:
            yield name, partial(_load_task, loaded)
