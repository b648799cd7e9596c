"""What `stempilot new` writes, and which names it takes."""

import ast
import tomllib
from pathlib import Path

import pytest
from tests.core.fakes import toy_registry

from stempilot.errors import ConfigError, RecordError
from stempilot.plugins.registry import Registry
from stempilot.scaffold.write import KINDS, new_package, package_files

NONE = Registry(())


@pytest.mark.parametrize("what", [*KINDS, "package"])
def test_a_package_has_what_its_kind_needs_and_nothing_else(what, tmp_path: Path) -> None:
    folder = new_package(what, "beam-finder", tmp_path / "made", NONE)
    kinds = KINDS if what == "package" else (what,)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "pyproject.toml",
        "README.md",
        *(f"src/beam_finder/{name}" for name in ("__init__.py", "hooks.py", "py.typed")),
        *(f"src/beam_finder/{kind}.py" for kind in kinds),
        *(f"tests/test_{kind}.py" for kind in kinds),
    }
    hooks: dict[str, object] = {}
    exec((folder / "src/beam_finder/hooks.py").read_text(), hooks)  # noqa: S102
    assert {f"{kind}s" for kind in KINDS if f"{kind}s" in hooks} == {f"{k}s" for k in kinds}
    readme = (folder / "README.md").read_text()
    assert {kind for kind in KINDS if f"{kind}.py" in readme} == set(kinds)
    assert list(tmp_path.iterdir()) == [folder]


def test_everything_is_renamed_and_can_be_read(tmp_path: Path) -> None:
    files = package_files("package", "beam-finder")
    for path, text in files.items():
        assert not any(word in path + text for word in ("my-demo", "my_demo", "MyDemo")), path
        if path.endswith(".py"):
            ast.parse(text)
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == "beam-finder"
    assert project["entry-points"] == {"stempilot": {"beam-finder": "beam_finder.hooks"}}
    assert "class BeamFinderTask(Task[" in files["src/beam_finder/task.py"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "small letters"),
        ("Demo", "small letters"),
        ("my_task", "small letters"),
        ("2demo", "small letters"),
        ("demo-", "small letters"),
        ("a--b", "small letters"),
        ("../demo", "small letters"),
        ("d\N{LATIN SMALL LETTER E WITH ACUTE}mo", "small letters"),
        ("a" * 41, "at most 40"),
        ("class", "a word of Python"),
        ("match", "a word of Python"),
        ("nul", "Windows"),
        ("com1", "Windows"),
        ("json", "another package has a module json"),
        ("stempilot", "another package has a module stempilot"),
        ("learner", "is a plug-in of toys 1.0 already"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(name, why, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        new_package("task", name, tmp_path / "made", toy_registry())
    assert repr(name) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["a folder", "a file", "a link"])
def test_nothing_is_overwritten(kind, tmp_path: Path) -> None:
    place = tmp_path / "demo"
    if kind == "a folder":
        place.mkdir()
    elif kind == "a file":
        place.write_text("mine")
    else:
        try:
            place.symlink_to(tmp_path / "nowhere")
        except OSError:
            pytest.skip("this system allows no links")
    with pytest.raises(ConfigError, match="exists, and nothing is overwritten"):
        new_package("task", "demo", place, NONE)
    assert list(tmp_path.iterdir()) == [place]


def test_nothing_is_left_of_a_package_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(self: Path, text: str, **_: object) -> int:
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(self)
        return len(text)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(RecordError, match="No space left"):
        new_package("package", "demo", tmp_path / "demo", NONE)
    assert list(tmp_path.iterdir()) == []
