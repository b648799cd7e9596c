"""Plug-ins are checked by name, each with counterparts that fit it."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve, frozen
from gymnasium.spaces import Box, Discrete
from tests.core.fakes import reference

from stempilot.contract.agent import Agent, Brief
from stempilot.contract.backend import Opening
from stempilot.contract.plugin import Plugin
from stempilot.contract.values import KnobValue, Needs, Offers
from stempilot.errors import (
    BackendError,
    ConfigError,
    IncompatibleError,
    InstrumentBusyError,
    PluginError,
)
from stempilot.instrument.lock import instrument_lock
from stempilot.plugins.registry import Entry, Kind, Registry, discover
from stempilot.testing import (
    AgentContract,
    BackendContract,
    EmulatorContract,
    ReadOnlyBackendContract,
    TaskContract,
    ToyBackend,
    ToyCentring,
    ToyLearner,
    ToyWalker,
    check_plugin,
)
from stempilot.testing.checks import remedies


@frozen(kw_only=True)
class Options:
    tolerance: float = 0.1


def entry(kind: Kind, name: str, load: Callable[..., Any]) -> Entry:
    plugin = Plugin(name, "for this test", config=reference(Options), load=reference(load))
    return Entry(kind=kind, name=name, distribution="test", version="1", plugin=plugin)


def registry(*entries: Entry) -> Registry:
    return Registry(entries)


def toy(_: Options, opening: Opening) -> ToyBackend:
    return ToyBackend(serial=opening.instrument_seed)


def centring(options: Options) -> ToyCentring:
    return ToyCentring(tolerance=options.tolerance)


class Real(ToyBackend):
    """Must be read alone."""

    def offers(self) -> Offers:
        return evolve(super().offers(), simulated=False)

    def write(self, knob: str, value: KnobValue) -> None:
        raise AssertionError("written")


class Renamed(ToyBackend):
    """Delivers the toy's frames under another name."""

    def offers(self) -> Offers:
        offers = super().offers()
        return evolve(offers, sources={"toy_camera_2": offers.sources["toy_camera"]})


class OneKnob(ToyCentring):
    """Acts in one direction alone, on ``toy_camera``."""

    @property
    def action_space(self) -> Box:
        return Box(-1.0, 1.0, (1,))


class Elsewhere(ToyCentring):
    """Needs the source ``other_camera``."""

    @property
    def needs(self) -> Needs:
        return evolve(super().needs, sources=("other_camera",))


class OnlyBox(ToyWalker):
    sizes: tuple[int, ...] = (2,)

    def __init__(self, brief: Brief) -> None:
        super().__init__(brief)
        if getattr(brief.action_space, "shape", None) != self.sizes:
            raise IncompatibleError([f"{brief.action_space} is not for me"])


class OnlyDiscrete(OnlyBox):
    def __init__(self, brief: Brief) -> None:
        ToyWalker.__init__(self, brief)
        if not isinstance(brief.action_space, Discrete):
            raise IncompatibleError(["not discrete"])


class OnlyOne(OnlyBox):
    sizes = (1,)


def failures(results: list[Any]) -> list[str]:
    return [f"{result.check}: {result.message}" for result in results if not result.passed]


def test_simulator_is_moved() -> None:
    results = check_plugin(registry(entry("backend", "toy", toy)), "backend", "toy")
    assert len(results) == 1 + len(BackendContract.checks())
    assert failures(results) == []


def test_real_instrument_is_only_read() -> None:
    real = entry("backend", "real", lambda _options, _opening: Real())
    results = check_plugin(registry(real), "backend", "real")
    assert len(results) == 1 + len(ReadOnlyBackendContract.checks())
    assert failures(results) == []


def test_instrument_that_is_not_there_is_said_once() -> None:
    class Away(Real):
        def open(self) -> None:
            msg = "cannot connect; is the tunnel up?"
            raise BackendError(msg)

    away = entry("backend", "away", lambda _options, _opening: Away())
    with pytest.raises(BackendError, match="is the tunnel up"):
        check_plugin(registry(away), "backend", "away")


def test_instrument_that_a_run_drives_is_not_checked() -> None:
    real = entry("backend", "real", lambda _options, _opening: Real())
    with instrument_lock(Real(), "real"), pytest.raises(InstrumentBusyError, match="in use"):
        check_plugin(registry(real), "backend", "real")


def test_backend_that_breaks_when_opened_fails_the_checks() -> None:
    class Broken(Real):
        def open(self) -> None:
            msg = "not mine"
            raise ValueError(msg)

    broken = entry("backend", "broken", lambda _options, _opening: Broken())
    results = check_plugin(registry(broken), "backend", "broken")
    assert any("not mine" in found for found in failures(results))


def test_task_is_checked_on_the_simulator_that_it_fits_or_on_the_toy() -> None:
    made: list[str] = []

    def noted(name: str, kind: type[ToyBackend]) -> Entry:
        def load(_options: Options, _opening: Opening) -> ToyBackend:
            made.append(name)
            return kind()

        made_of = entry("backend", name, load)
        assert made_of.plugin is not None
        return evolve(made_of, plugin=evolve(made_of.plugin, default=name == "simulator"))

    entries = [noted("a-real", Real), noted("b-renamed", Renamed), noted("simulator", ToyBackend)]
    task = entry("task", "centring", centring)
    assert failures(check_plugin(registry(task, *entries), "task", "centring")) == []
    assert set(made) == {"simulator"}
    made.clear()
    results = check_plugin(registry(task, *entries[:2]), "task", "centring")
    assert failures(results) == []
    assert len(results) == 1 + len(TaskContract.checks())
    # Made to ask for their capabilities, and never for a check.
    assert set(made) == {"a-real", "b-renamed"}
    assert len(made) <= 5


def test_task_that_fits_nothing_is_told_why() -> None:
    task = entry("task", "elsewhere", lambda _: Elsewhere())
    with pytest.raises(IncompatibleError, match="needs source other_camera; the toy offers"):
        check_plugin(registry(task), "task", "elsewhere")


def undefined() -> ToyBackend:
    raise NameError("undefined")


def test_backends_that_cannot_be_made_as_they_are_are_passed_over() -> None:
    @frozen(kw_only=True)
    class Required:
        folder: str

    plugin = Plugin("recorded", "", config=reference(Required), load=reference(toy))
    recorded = Entry(
        kind="backend", name="recorded", distribution="test", version="1", plugin=plugin
    )
    broken = entry("backend", "broken", lambda _options, _opening: undefined())
    task = entry("task", "centring", centring)
    results = check_plugin(registry(recorded, broken, task), "task", "centring")
    assert failures(results) == []


@pytest.mark.parametrize("agent", [ToyWalker, ToyLearner, OnlyBox, OnlyDiscrete])
def test_agent_is_checked_on_a_toy_that_it_accepts(agent: Callable[[Brief], Agent]) -> None:
    offered = entry("agent", "mine", lambda _, brief: agent(brief))
    results = check_plugin(registry(offered), "agent", "mine")
    assert failures(results) == []
    assert len(results) == 1 + len(AgentContract.checks())


def test_agent_that_refuses_the_toys_is_checked_on_an_installed_task() -> None:
    met: list[Any] = []

    class Watching(OnlyOne):
        def __init__(self, brief: Brief) -> None:
            super().__init__(brief)
            met.append(brief.action_space)

    agent = entry("agent", "mine", lambda _, brief: Watching(brief))
    task = entry("task", "one", lambda _: OneKnob())
    assert failures(check_plugin(registry(agent, task), "agent", "mine")) == []
    assert {space.shape for space in met} == {(1,)}


def test_agent_that_accepts_nothing_is_told_why() -> None:
    agent = entry("agent", "mine", lambda _, brief: OnlyOne(brief))
    with pytest.raises(IncompatibleError) as caught:
        check_plugin(registry(agent), "agent", "mine")
    assert len(caught.value.problems) == 2


def test_options_reach_the_plugin() -> None:
    found: list[float] = []

    def load(options: Options) -> ToyCentring:
        found.append(options.tolerance)
        return centring(options)

    check_plugin(registry(entry("task", "centring", load)), "task", "centring", {"tolerance": 0.2})
    assert set(found) == {0.2}


def test_unknown_names_and_options_are_errors() -> None:
    offered = registry(entry("backend", "toy", toy))
    with pytest.raises(PluginError, match="no backend is called 'toi'"):
        check_plugin(offered, "backend", "toi")
    with pytest.raises(ConfigError, match="tolerence"):
        check_plugin(offered, "backend", "toy", {"tolerence": 1.0})


def test_broken_plugin_is_found_out() -> None:
    class Nameless(ToyBackend):
        def identity(self) -> dict[str, str]:
            return {}

    offered = registry(entry("backend", "bad", lambda _options, _opening: Nameless()))
    results = check_plugin(offered, "backend", "bad")
    assert [result.check for result in results if not result.passed] == [
        "identity_is_text_and_stays"
    ]


def test_plugin_that_cannot_be_made_is_a_failed_check() -> None:
    def load(_options: Options, _brief: Brief) -> Agent:
        raise NameError("name 'Walk' is not defined")

    (result,) = check_plugin(registry(entry("agent", "bad", load)), "agent", "bad")
    assert (result.check, result.passed) == ("can_be_made", False)
    assert "NameError: name 'Walk' is not defined (test_checks.py:" in result.message


def test_each_check_has_a_remedy_and_each_remedy_a_check() -> None:
    suites = (BackendContract, TaskContract, AgentContract, EmulatorContract)
    names = {name.removeprefix("test_") for suite in suites for name in suite.checks()}
    assert remedies().keys() == names | {"can_be_made", "imports_are_quick"}
    assert [name for name, text in remedies().items() if not 20 < len(text) < 250] == []


def test_one_check_can_be_made_alone() -> None:
    offered = registry(entry("backend", "toy", toy))
    results = check_plugin(offered, "backend", "toy", only="closing_is_harmless")
    assert [(result.check, result.remedy) for result in results] == [("closing_is_harmless", "")]


def test_a_task_that_fits_nothing_by_its_own_fault_fails_its_checks() -> None:
    class Misspelt(ToyCentring):
        """Needs what is called ``toy_camera``."""

        @property
        def needs(self) -> Needs:
            return evolve(super().needs, knobs={"Beam-Shift": super().needs.knobs["beam_shift"]})

    results = check_plugin(registry(entry("task", "bad", lambda _: Misspelt())), "task", "bad")
    failed = next(one for one in results if one.check == "names_are_shared_or_documented")
    assert not failed.passed
    assert "is spelt 'beam_shift' by everybody else" in failed.message
    assert "Use the shared name" in failed.remedy


def test_only_a_package_that_is_installed_is_imported_by_itself() -> None:
    (result,) = check_plugin(
        registry(entry("backend", "toy", toy)), "backend", "toy", only="imports_are_quick"
    )
    assert not result.applies
    built_in = discover(only="")
    name = built_in.default("backend")
    (result,) = check_plugin(built_in, "backend", name, only="imports_are_quick")
    assert result.applies
    assert result.passed
