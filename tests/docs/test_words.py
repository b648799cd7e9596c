"""Pages are written in the words of the house, and what they name exists."""

import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/decisions").glob("*.md")),
]
BANNED = re.compile(
    r"\b(anew|nobody|somebody|what is said|journal|negotiat\w*|savepoint\.\w+"
    r"|budget of timesteps)\b",
    re.I,
)
BANNED_IN_CODE = re.compile(r"\b(anew|nobody|somebody|negotiat\w*)\b", re.I)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_a_word_that_the_house_left(page):
    text = page.read_text("utf-8")
    lines = [f"{n}: {line}" for n, line in enumerate(text.splitlines(), 1) if BANNED.search(line)]
    assert lines == []


@pytest.mark.parametrize(
    "root", ["core", "tasks", "backends", "agents", "training", "examples", "benchmarks"]
)
def test_no_message_or_docstring_has_one_either(root):
    found = [
        f"{path.relative_to(ROOT)}:{n}: {line}"
        for path in (ROOT / root).rglob("*.py")
        for n, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if BANNED_IN_CODE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(("page", "least"), [("architecture.md", 15), ("safety.md", 10)])
def test_what_a_page_names_exists(page, least):
    text = (ROOT / "docs" / page).read_text("utf-8")
    named = set(re.findall(r"`(stempilot\w*(?:\.\w+)+)`", text))
    assert len(named) >= least
    for name in named:
        pkgutil.resolve_name(name)


def test_each_way_takes_at_most_ten_hops():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    ways = re.findall(r"^## The way of (.*?)\n(.*?)(?=^## |^The contracts)", text, re.M | re.S)
    assert [name for name, _ in ways] == ["a frame", "an action", "a command line", "a Ctrl-C"]
    for name, way in ways:
        hops = re.findall(r"^(\d+)\. `stempilot", way, re.M)
        assert hops == [str(n + 1) for n in range(len(hops))], name
        assert 5 <= len(hops) <= 10, name


def test_the_glossary_explains_the_words_of_learning():
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    defined = re.findall(r"^\| ([^|]+) \| ", text, re.M)
    assert sorted(set(defined) - {"word"}) == sorted(name for name in defined if name != "word")
    learning = {"agent", "policy", "episode", "timestep", "oracle", "seed", "replay buffer"}
    assert learning | {"converged", "envelope", "baseline", "diffraction shift", "FluCam"} <= {
        *defined
    }


@pytest.mark.parametrize(("name", "most"), [("report.png", 200_000), ("learning.gif", 600_000)])
def test_the_readme_shows_a_small_picture(name, most):
    assert f"](docs/pictures/{name})" in (ROOT / "README.md").read_text("utf-8")
    assert (ROOT / "docs/pictures" / name).stat().st_size < most
