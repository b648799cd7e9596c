"""Plug-ins are found; one that is broken is listed with its reason and breaks nothing else."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from tests.core.conftest import Install
from tests.core.fakes import toy_registry

from stempilot.errors import PluginError
from stempilot.plugins.registry import KINDS, Entry, Registry, discover

GOOD = """
from stempilot.contract.plugin import Plugin, hookimpl

def plugin(name, **more):
    return Plugin(name, f"the {name}", **{"config": "a.b:C", "load": "a.b:c"} | more)

@hookimpl
def stempilot_tasks():
    return [plugin("focusing")]

@hookimpl
def stempilot_agents():
    return [plugin("hill-climber")]
"""

LISTS = """
from stempilot import Plugin

tasks = [Plugin("focusing", "the focusing", config="a.b:C", load="a.b:c")]
agents = (Plugin("hill-climber", "climbs", config="a.b:C", load="a.b:c", serves=("raise",)),)
_drafts = [*tasks]
"""


def offering(*plugins: str) -> str:
    """Return the source of a package that offers those tasks."""
    return GOOD.replace('[plugin("focusing")]', f"[{', '.join(plugins)}]").replace(
        '[plugin("hill-climber")]', "[]"
    )


def broken(registry: Registry) -> list[Entry]:
    return [entry for entry in registry.entries if not entry.usable]


def test_what_is_installed_is_found(site: Install) -> None:
    registry = discover([site("good-plugins", GOOD, version="2.5")], only=None)
    assert registry.names("task") == ("focusing",)
    assert registry.names("agent") == ("hill-climber",)
    assert registry.names("backend") == ()
    entry = registry.entry("task", "focusing")
    assert (entry.distribution, entry.version, entry.usable) == ("good-plugins", "2.5", True)
    assert registry.get("task", "focusing").summary == "the focusing"


def test_lists_are_found_as_hooks_are(site: Install) -> None:
    lists = discover([site("good-plugins", LISTS)])
    hooks = discover([site("hooked-plugins", GOOD)])
    for kind in KINDS:
        assert lists.names(kind) == hooks.names(kind)
    assert lists.get("agent", "hill-climber").serves == ("raise",)
    assert broken(lists) == []


def test_lists_and_hooks_may_stand_side_by_side(site: Install) -> None:
    source = GOOD + 'backends = [plugin("desk")]\nimport types\nemulators = types\n'
    registry = discover([site("mixed", source)])
    assert [registry.names(kind) for kind in KINDS] == [
        ("desk",),
        ("focusing",),
        ("hill-climber",),
        (),
    ]


def test_names_may_be_seen_from_the_module_of_the_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "seen_from_here"
    package.mkdir()
    (package / "__init__.py").touch()
    source = 'from stempilot import Plugin\ntasks = [Plugin("t", "", config=".b:C", load=".b.c:d")]'
    (package / "hooks.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    (entry,) = discover([EntryPoint("here", "seen_from_here.hooks", "stempilot")]).entries
    assert entry.plugin is not None
    assert entry.usable
    assert (entry.plugin.config, entry.plugin.load) == (
        "seen_from_here.b:C",
        "seen_from_here.b.c:d",
    )


@pytest.mark.parametrize(
    "text", ["a.b", "a.b.c", ":c", "a:", "a:b:c", "a b:c", "..a:b", "a.:b", "a:b.c"]
)
@pytest.mark.parametrize("what", ["config", "load"])
def test_text_of_another_form_is_listed_and_refused(site: Install, what: str, text: str) -> None:
    offered = offering(f"plugin('odd', {what}={text!r})", "plugin('mine')")
    registry = discover([site("odd-package", offered)])
    assert registry.names("task") == ("mine",)
    with pytest.raises(PluginError, match="task 'odd' of odd-package 1.0: ") as caught:
        registry.get("task", "odd")
    assert f'{what} {text!r} is not of the form "package.module:attribute"' in str(caught.value)


@pytest.mark.parametrize(
    "old", ["config=lambda: dict", "load=dict", "config=dict, load=dict, api=1", "api=1"]
)
def test_contract_version_1_is_refused_with_the_change_that_it_needs(
    site: Install, old: str
) -> None:
    registry = discover([site("old-package", offering(f"plugin('old', {old})", "plugin('mine')"))])
    assert registry.names("task") == ("mine",)
    with pytest.raises(PluginError) as caught:
        registry.get("task", "old")
    for said in (
        "task 'old' of old-package 1.0: written for contract version 1; this stempilot has 2",
        'Plugin.config and Plugin.load became text, "package.module:attribute"',
        "Task.hints became goal",
        "Task.plan became targets(state, action, standing)",
        "Backend.capabilities became offers",
    ):
        assert said in str(caught.value)


def test_built_in_plugins_are_found_through_the_same_entry_points() -> None:
    registry = discover(only="")
    assert "bf-disk-centering" in registry.names("task")
    assert "simulator" in registry.names("backend")
    assert "sac" in registry.names("agent")
    assert broken(registry) == []


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import no_such_vendor_library", "No module named 'no_such_vendor_library'"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit(3)"),
        ("def broken(:", "SyntaxError"),
        (GOOD.replace("stempilot_tasks", "stempilot_task"), "unknown hook 'stempilot_task'"),
        (offering("'focusing'"), "'focusing' is offered; it must be a stempilot.Plugin record"),
        (offering("plugin(3)"), "name"),
        (offering("plugin('a', api='1')"), "api"),
        (GOOD.replace('[plugin("focusing")]', "3"), "'int' object is not iterable"),
        (GOOD.replace('[plugin("focusing")]', "1 / 0"), "ZeroDivisionError"),
        (LISTS.replace("tasks", "task"), "unknown list 'task' of plug-ins; did you mean tasks"),
        (LISTS + "backends = 3", "'int' object is not iterable"),
        (LISTS + "backends = ['desk']", "'desk' is offered; it must be a stempilot.Plugin record"),
        ("", "offers nothing; give it a list of Plugin records: backends, tasks, agents, emul"),
    ],
)
def test_broken_packages_are_listed_and_break_nothing_else(
    site: Install, source: str, problem: str
) -> None:
    points = [site("a-broken-one", source, version="0.3"), site("good-plugins", GOOD)]
    registry = discover(points)
    assert registry.names("task") == ("focusing",)
    (entry,) = broken(registry)
    assert (entry.kind, entry.name) == (None, "a-broken-one")
    assert (entry.distribution, entry.version) == ("a-broken-one", "0.3")
    assert problem in entry.problem
    assert entry.trace.startswith("Traceback")
    with pytest.raises(PluginError) as caught:
        registry.get("task", "a-broken-one")
    for said in ("a-broken-one 0.3", problem, "Traceback"):
        assert said in str(caught.value)


def test_ctrl_c_while_a_package_is_imported_is_not_its_fault(site: Install) -> None:
    with pytest.raises(KeyboardInterrupt):
        discover([site("slow-one", "raise KeyboardInterrupt")])


def test_an_entry_point_without_its_module_is_listed() -> None:
    registry = discover([EntryPoint("gone", "no_such_module_here", "stempilot")])
    (entry,) = registry.entries
    assert (entry.distribution, entry.version) == ("(unknown)", "")
    assert "no_such_module_here" in entry.problem


def test_another_contract_version_is_listed_and_refused(site: Install) -> None:
    source = offering("plugin('old', api=0)", "plugin('new', api=3)", "plugin('mine')")
    registry = discover([site("versions", source)])
    assert registry.names("task") == ("mine",)
    with pytest.raises(PluginError, match="this stempilot has 2; install a newer stempilot$"):
        registry.get("task", "new")
    assert registry.entry("task", "old").plugin is not None


def test_a_record_that_names_no_version_stays_of_the_second(
    site: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stempilot.plugins.registry.API", 3)
    source = offering("plugin('old')", "plugin('new', api=3)")
    registry = discover([site("versions", source)])
    assert registry.names("task") == ("new",)
    with pytest.raises(PluginError, match="written for contract version 2; this stempilot has 3"):
        registry.get("task", "old")


def test_a_name_offered_by_two_strangers_is_refused_and_both_are_named(site: Install) -> None:
    registry = discover([site("one", GOOD, version="1.1"), site("two", GOOD, version="2.2")])
    assert registry.names("task") == ()
    first, second = registry.of_kind("task")
    assert "offered by two 2.2; uninstall one of them" in first.problem
    assert "offered by one 1.1; uninstall one of them" in second.problem
    with pytest.raises(PluginError, match=r"of one 1\.1: the name 'focusing' is also offered by"):
        registry.get("task", "focusing")


def test_the_same_name_in_two_kinds_is_no_conflict(site: Install) -> None:
    registry = discover([site("both", GOOD.replace("hill-climber", "focusing"))])
    assert registry.get("task", "focusing") is not registry.get("agent", "focusing")


@pytest.mark.parametrize("point", ["stranger", "stempilot-agents", "a-stranger"])
def test_a_built_in_name_stays_usable_and_the_stranger_is_refused(
    site: Install, point: str
) -> None:
    own = site("stempilot", GOOD, point="stempilot-agents")
    strange = site("stranger", GOOD, point=point)
    for points in ([own, strange], [strange, own]):
        registry = discover(points, only=None)
        assert registry.names("task") == ("focusing",)
        assert registry.entry("task", "focusing").distribution == "stempilot"
        assert registry.get("task", "focusing").name == "focusing"
        assert {entry.distribution for entry in broken(registry)} == {"stranger"}
        assert "offered by stempilot 1.0" in broken(registry)[0].problem


def test_unknown_names_come_with_the_nearest_ones(site: Install) -> None:
    registry = discover([site("good-plugins", GOOD), site("broken", "1 / 0")])
    with pytest.raises(PluginError, match="no task is called 'focussing'; did you mean focusing"):
        registry.get("task", "focussing")
    with pytest.raises(PluginError, match="no task is called 'xyz'; known: focusing") as caught:
        registry.get("task", "xyz")
    assert "entry points that failed to load: broken" in str(caught.value)
    assert "see `stempilot plugins`" in str(caught.value)


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (None, {"own", "first", "second"}),
        ("", {"own"}),
        ("x-first", {"own", "first"}),
        (" x-second , x-first,", {"own", "first", "second"}),
        ("stempilot-tasks", {"own"}),
        (" ,", {"own"}),
    ],
)
def test_the_variable_chooses_what_is_loaded_beside_the_built_in_ones(
    site: Install, monkeypatch: pytest.MonkeyPatch, only: str | None, found: set[str]
) -> None:
    points = [
        site("stempilot", offering("plugin('own')"), point="stempilot-tasks"),
        site("x-first", offering("plugin('first')")),
        site("x-second", offering("plugin('second')")),
    ]
    monkeypatch.delenv("STEMPILOT_PLUGINS", raising=False)
    if only is not None:
        monkeypatch.setenv("STEMPILOT_PLUGINS", only)
    assert set(discover(points).names("task")) == found
    assert set(discover(points, only=only).names("task")) == found


def test_a_misspelt_name_in_the_variable_is_refused(
    site: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [site("x-first", offering("plugin('first')"))]
    monkeypatch.setenv("STEMPILOT_PLUGINS", "x-frist")
    with pytest.raises(PluginError, match="STEMPILOT_PLUGINS names 'x-frist'.*mean x-first?"):
        discover(points)
    with pytest.raises(PluginError, match=r"names 'qq'.*built-in ones alone\); known: x-first"):
        discover(points, only="qq")


def test_an_argument_goes_before_the_variable(
    site: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMPILOT_PLUGINS", "")
    points = [site("x-first", offering("plugin('first')"))]
    assert discover(points, only="x-first").names("task") == ("first",)


def test_installed_entry_points_are_walked(site: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEMPILOT_PLUGINS", raising=False)
    site("found-on-the-path", offering("plugin('from-the-path')"))
    assert "from-the-path" in discover().names("task")
    assert "bf-disk-centering" in discover().names("task")


def test_a_plug_in_may_be_the_default_of_its_kind() -> None:
    registry = toy_registry()
    assert registry.default("backend") == "simulator"
    with pytest.raises(PluginError, match="no agent is the default one; name one of exact, learn"):
        registry.default("agent")
