"""Names and settings become parts that fit, or an error that says which does not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from tests.core.fakes import NoOptions, plugin, toy_registry

from stempilot.contract.backend import Backend, Opening
from stempilot.contract.goals import Raise
from stempilot.contract.values import KnobValue
from stempilot.errors import ConfigError, IncompatibleError, PluginError
from stempilot.plugins.parts import DEFAULT_MAX_TIMESTEPS, RunConfig, compose, part
from stempilot.plugins.registry import Kind
from stempilot.testing.toys import ToyBackend, ToyCentring, ToyLearner

SETTINGS: dict[str, dict[str, Any]] = {
    "task": {"tolerance": 0.2},
    "backend": {"serial": 4},
    "run": {"max_timesteps": 9},
}


def composed(settings: dict[str, dict[str, Any]] | None = None, **names: str) -> Any:
    chosen = {"task": "centring", "backend": "simulator", "agent": "learner", **names}
    return compose(toy_registry(), **chosen, settings=settings or {})


def test_parts_are_named_validated_and_not_yet_loaded() -> None:
    parts = composed(SETTINGS)
    assert (parts.task.name, parts.backend.name, parts.agent.name) == (
        "centring",
        "simulator",
        "learner",
    )
    assert parts.task.config.tolerance == 0.2
    assert parts.run == RunConfig(max_timesteps=9)
    assert parts.settings == SETTINGS
    assert parts.sources == dict.fromkeys(("task", "backend", "agent"), "toys 1.0")


def test_all_configurations_are_resolved_with_their_defaults() -> None:
    assert composed(SETTINGS).resolved() == {
        "task": {"tolerance": 0.2, "actions": "box"},
        "backend": {"serial": 4},
        "agent": {},
        "run": {
            "max_timesteps": 9,
            "checkpoint_every": 100,
            "evaluate": True,
            "adapt_steps": None,
            "tensorboard": False,
        },
    }
    assert composed().run.max_timesteps == DEFAULT_MAX_TIMESTEPS


def test_parts_are_made_with_their_configurations() -> None:
    parts = composed(SETTINGS)
    task = parts.make_task()
    assert isinstance(task, ToyCentring)
    assert task.goal.tolerance == 0.2
    backend = parts.make_backend(Opening())
    assert isinstance(backend, ToyBackend)
    assert backend.identity()["serial"] == "4"
    assert isinstance(parts.make_agent(task, seed=3), ToyLearner)


def test_an_agent_is_briefed_with_the_task_and_the_seed() -> None:
    briefs: list[Any] = []

    def load(_: NoOptions, brief: Any) -> ToyLearner:
        briefs.append(brief)
        return ToyLearner(brief)

    asks = plugin("asks", NoOptions, load)
    names = {"task": "centring", "backend": "simulator", "agent": "asks"}
    parts = compose(toy_registry(("agent", asks)), **names, settings={})
    task = parts.make_task()
    parts.make_agent(task, seed=17)
    (brief,) = briefs
    assert brief.seed == 17
    assert brief.observation_space == task.observation_space
    assert brief.action_space == task.action_space
    assert brief.goal == task.goal


@pytest.mark.parametrize(
    ("settings", "names", "said"),
    [
        ({}, {"task": "centering"}, "no task is called 'centering'; did you mean centring?"),
        ({}, {"backend": "simulater"}, "did you mean simulator?"),
        ({}, {"agent": "lerner"}, "did you mean learner or walker?"),
        ({"taks": {"tolerance": 1}}, {}, "unknown section: taks; did you mean task?"),
        ({"task": {"tolerence": 1}}, {}, "task.tolerence; did you mean task.tolerance?"),
        ({"backend": {"serial": 0.5}}, {}, "backend.serial: 0.5 is not a whole number"),
        ({"agent": {"gamma": 1}}, {}, "unknown option in section agent: agent.gamma"),
        ({"run": {"max_timesteps": 0}}, {}, "'max_timesteps' must be >= 1"),
        ({"run": {"checkpoint_every": 0}}, {}, "'checkpoint_every' must be >= 1"),
        ({"run": {"evaluate": 1}}, {}, "run.evaluate: 1 is not true or false"),
        ({"run": {"max_step": 3}}, {}, "run.max_step; did you mean run.max_timesteps"),
    ],
)
def test_what_cannot_be_composed_is_said(
    settings: dict[str, Any], names: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        composed(settings, **names)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_package_that_is_not_installed_is_named() -> None:
    def needy(*_: Any) -> Any:
        import no_such_vendor_library  # type: ignore[import-not-found]

        return no_such_vendor_library

    lazy = plugin("lazy", NoOptions, needy)
    registry = toy_registry(("task", lazy), ("backend", lazy), ("agent", lazy))
    parts = compose(registry, task="lazy", backend="lazy", agent="lazy", settings={})
    said = "'lazy' needs a package that is not installed: No module named 'no_such_vendor_library'"
    with pytest.raises(PluginError, match=f"task {said}"):
        parts.make_task()
    with pytest.raises(PluginError, match=f"backend {said}"):
        parts.make_backend(Opening())
    with pytest.raises(PluginError, match=f"agent {said}"):
        parts.make_agent(ToyCentring(), seed=0)


class Deaf(Backend):
    """Forgot most of its contract."""

    def read(self, knob: str) -> KnobValue:
        raise NotImplementedError


class Duck:
    """Looks like a backend, from afar."""

    def open(self) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("kind", "made", "missing"),
    [
        ("backend", Deaf, "offers"),
        ("backend", Duck, "Duck has no acquire, close, identity, offers, read, state, write"),
        ("task", Duck, "measure"),
        ("agent", Duck, "policy"),
        ("emulator", Duck, "start"),
    ],
)
def test_what_lacks_a_part_of_its_contract_is_named(kind: Kind, made: Any, missing: str) -> None:
    registry = toy_registry((kind, plugin("half", NoOptions, lambda *_: made())))
    with pytest.raises(PluginError, match=rf"{kind} 'half' of toys 1\.0 lacks .*{missing}") as said:
        part(registry, kind, "half", {}).load(None)
    assert said.value.exit_code == 2


def test_other_mistakes_of_a_plugin_keep_their_traceback() -> None:
    wrong = plugin("wrong", NoOptions, lambda *_: len(3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has no len"):
        part(toy_registry(("backend", wrong)), "backend", "wrong", {}).load(Opening())


def test_options_that_need_a_package_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vendors_own.py").write_text("import no_such_vendor_library")
    monkeypatch.syspath_prepend(tmp_path)
    lazy = evolve(plugin("lazy", NoOptions, dict), config="vendors_own:Options")
    with pytest.raises(PluginError, match="task 'lazy' needs a package that is not installed"):
        part(toy_registry(("task", lazy)), "task", "lazy", {})


def test_a_module_that_a_package_forgot_is_its_own_fault() -> None:
    def forgot(*_: Any) -> Any:
        import tests.no_such_module  # type: ignore[import-not-found]

        return tests.no_such_module

    lazy = plugin("lazy", NoOptions, forgot)
    with pytest.raises(PluginError, match=r"lacks a module of its own: .*tests\.no_such_module"):
        part(toy_registry(("task", lazy)), "task", "lazy", {}).load()


@dataclass
class NotAttrs:
    """Options of another library."""

    size: float = 1.0


@frozen(kw_only=True)
class Anything:
    """Options that may be whatever they like."""

    size: object = 1.0


@pytest.mark.parametrize(
    ("options", "values", "said"),
    [
        (NotAttrs, {}, "NotAttrs'>, not an attrs class"),
        (len, {}, "are <built-in function len>, not an attrs class"),
        (Anything, {}, "no value can be read into: <class 'object'>"),
    ],
)
def test_options_of_another_kind_are_the_packages_fault(
    options: Any, values: dict[str, Any], said: str
) -> None:
    odd = plugin("odd", options, dict)
    with pytest.raises(PluginError, match=r"options of task 'odd' of toys 1\.0") as caught:
        part(toy_registry(("task", odd)), "task", "odd", values)
    assert said in str(caught.value)


def test_an_agent_that_does_not_fit_says_so() -> None:
    parts = composed({"task": {"actions": "discrete"}})
    with pytest.raises(IncompatibleError, match="acts with a vector of numbers"):
        parts.make_agent(parts.make_task(), seed=0)


def test_a_part_has_the_configuration_of_its_plugin() -> None:
    @frozen(kw_only=True)
    class Mine:
        depth: int = 2

    mine = plugin("mine", Mine, dict)
    assert part(toy_registry(("agent", mine)), "agent", "mine", {"depth": 3}).config == Mine(
        depth=3
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tests.core.fakes:NoOptoins", "there is no such attribute; correct that text"),
        ("tests.core.fakes:SHIFT", "no class or function; correct that text"),
        ("tests.core.no_such_module:Options", "No module named 'tests.core.no_such_module'"),
        ("no_such_package:Options", "No module named 'no_such_package'; correct that text"),
    ],
)
@pytest.mark.parametrize("what", ["config", "load"])
def test_text_that_leads_nowhere_is_named_with_whose_it_is(what: str, text: str, said: str) -> None:
    lost = evolve(plugin("lost", NoOptions, dict), **{what: text})
    with pytest.raises(PluginError, match=r"task 'lost' of toys 1\.0") as caught:
        part(toy_registry(("task", lost)), "task", "lost", {}).load()
    assert text in str(caught.value)
    assert said in str(caught.value)
    assert "correct that text" in str(caught.value)


class Raising(ToyCentring):
    """Has a goal of another kind."""

    goal: Any = Raise(entry=0, noise=0.1)


def test_an_agent_of_other_goals_is_refused_and_those_that_fit_are_named() -> None:
    def load(_: NoOptions, brief: Any) -> ToyLearner:
        return ToyLearner(brief)

    registry = toy_registry(
        ("task", plugin("raising", NoOptions, lambda _: Raising())),
        ("agent", plugin("centrer", NoOptions, load, serves=("centre",))),
        ("agent", plugin("raiser", NoOptions, load, serves=("raise",))),
    )
    names = {"task": "raising", "backend": "simulator"}
    parts = compose(registry, **names, agent="centrer", settings={})
    with pytest.raises(IncompatibleError) as caught:
        parts.make_agent(parts.make_task(), seed=0)
    said = str(caught.value)
    assert "agent centrer works towards goals of kind centre" in said
    assert "task raising has a goal of kind raise" in said
    assert "agents that fit: exact, learner, raiser, walker" in said
    for agent in ("raiser", "learner"):
        fits = compose(registry, **names, agent=agent, settings={})
        assert isinstance(fits.make_agent(fits.make_task(), seed=0), ToyLearner)
    task = Raising()
    task.goal = None
    with pytest.raises(IncompatibleError, match="agent raiser .* task Raising has no goal"):
        registry.agent("raiser", task)


def test_a_script_has_parts_by_name_and_arguments() -> None:
    registry = toy_registry()
    task = registry.task("centring", tolerance=0.2)
    assert isinstance(task, ToyCentring)
    assert task.goal.tolerance == 0.2
    backend = registry.backend("simulator", serial=4)
    assert backend.identity()["serial"] == "4"
    assert isinstance(registry.agent("learner", task, seed=3), ToyLearner)
    with pytest.raises(ConfigError, match=r"^seed -1 must be 0 or more"):
        registry.backend("simulator", seed=-1)
    with pytest.raises(ConfigError, match=r"^seed 0\.5 is not a whole number"):
        registry.agent("learner", task, seed=0.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="did you mean task.tolerance"):
        registry.task("centring", tolerence=0.2)
    with pytest.raises(PluginError, match="did you mean simulator"):
        registry.backend("simulater")
