import importlib.util
import re
from pathlib import Path

import pytest

import stempilot

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", ["options.md", pytest.param("cli.md", marks=pytest.mark.slow)])
def test_generated_pages_are_up_to_date(page):
    expected = generator().PAGES[page]()
    assert (DOCS / page).read_text(encoding="utf-8") == expected, "run python docs/generate.py"


@pytest.mark.parametrize("place", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_table_of_packages_is_up_to_date(place):
    page = ROOT / place
    assert page.read_text(encoding="utf-8") == generator().with_table(page), (
        "run python docs/generate.py"
    )
    table = generator().packages_table()
    assert "`core/stempilot/instrument/`" in table
    assert "|  |" not in table, "a package without a docstring"


def test_every_option_of_a_built_in_is_described():
    rows = re.findall(r"^\| `(\S+)` \| .*? \| (.*) \|$", (DOCS / "options.md").read_text(), re.M)
    assert len(rows) > 60
    assert [name for name, text in rows if not text.strip()] == []


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        elsewhere = target.startswith("https://")
        assert elsewhere or (page.parent / target).exists(), target


def test_the_defaults_that_are_worked_out_are_shown():
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert "Timesteps to train in all. (default: 20000)" in text
    assert "Run directory to make. (default: runs/...)" in text


def test_the_readme_leads_to_every_page():
    targets = re.findall(r"\]\(docs/([^)#/]+\.md)\)", (ROOT / "README.md").read_text("utf-8"))
    assert {page.name for page in DOCS.glob("*.md")} == set(targets)


def test_every_public_name_has_a_docstring():
    for name in stempilot.__all__:
        value = getattr(stempilot, name)
        assert name == "API" or getattr(value, "__doc__", None), name


def test_each_hook_has_a_heading_with_its_signature():
    text = (DOCS / "plugins.md").read_text(encoding="utf-8")
    for kind in ("backends", "tasks", "agents", "emulators"):
        assert f"## `stempilot_{kind}() -> Iterable[Plugin]`" in text


def test_each_optional_protocol_is_a_public_name():
    rows = re.findall(r"^\| \w+ \| `(\w+)` \|", (DOCS / "plugins.md").read_text("utf-8"), re.M)
    assert len(rows) > 10
    assert set(rows) <= set(stempilot.__all__)


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "examples/stempilot-example/README.md", *sorted(DOCS.glob("*.md"))],
    ids=lambda page: f"{page.parent.name}/{page.name}",
)
def test_commands_can_be_typed_into_any_shell(page):
    text = page.read_text("utf-8")
    lines = re.findall(r"^(?:\$ )?((?:stempilot|python|py|pip) .*)$", text, re.M)
    assert [line for line in lines if "'" in line or line.endswith("\\")] == [], (
        "sh alone takes that"
    )
    bare = re.findall(r"--set [^\s\"'`]*[\[{(].*", text)
    assert bare == [], "some shells read brackets themselves"
