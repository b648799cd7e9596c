"""A distribution whose metadata are damaged fails nothing but itself."""

from importlib import metadata
from pathlib import Path

import pytest
from tests.core.fakes import install

from stempilot.cli import main
from stempilot.plugins.installed import readable_only
from stempilot.plugins.registry import Registry, discover

NO_VALUE = b"[console_scripts]\nthis is no entry point\n"
LATIN = b"[gymnasium.envs]\n\xe9t\xe9 = a:b\n"
OWN = b"[stempilot]\nthis is no entry point\n"
LISTS = "from stempilot import Plugin\ntasks = [Plugin('focusing', '', config='a:B', load='a:b')]"


def damage(folder: Path, points: bytes, name: str = "unrelated") -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_bytes(b"Metadata-Version: 2.1\nName: " + name.encode() + b"\n")
    (info / "entry_points.txt").write_bytes(points)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on the path."""
    made = tmp_path / "site"
    made.mkdir()
    monkeypatch.syspath_prepend(made)
    return made


@pytest.mark.parametrize("points", [NO_VALUE, LATIN], ids=["no value", "no utf-8"])
def test_what_is_unrelated_is_passed_over(folder: Path, points: bytes) -> None:
    damage(folder, points)
    with pytest.raises((TypeError, UnicodeDecodeError)):
        metadata.entry_points(group="stempilot")
    registry = discover()
    assert "exact" not in registry.names("agent")
    assert registry.names("backend")
    assert "unrelated" not in {entry.name for entry in registry.entries}


def test_what_may_be_a_plug_in_is_listed_as_broken(folder: Path) -> None:
    damage(folder, OWN, "optics")
    (entry,) = [entry for entry in discover().entries if entry.name == "optics"]
    assert not entry.usable
    assert "its metadata cannot be read: TypeError" in entry.problem


def test_a_plug_in_without_readable_metadata_is_listed_as_broken(folder: Path) -> None:
    install(folder, "optics", LISTS)
    (folder / "optics-1.0.dist-info" / "METADATA").write_bytes(b"Name: \xe9\n")
    (entry,) = [entry for entry in discover().entries if entry.name == "optics"]
    assert "its metadata cannot be read" in entry.problem


def test_the_standard_library_is_as_before_afterwards() -> None:
    before = metadata.distributions
    with pytest.raises(KeyError), readable_only():
        assert metadata.distributions is not before
        raise KeyError
    assert metadata.distributions is before


def test_libraries_that_look_for_entry_points_work_in_every_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder, LATIN)
    found: list[object] = []

    def as_torch_does(*_: object) -> Registry:
        found.append(metadata.entry_points(group="torch.backends"))
        return Registry(())

    monkeypatch.setattr("stempilot.plugins.registry.discover", as_torch_does)
    monkeypatch.setattr("sys.argv", ["stempilot", "plugins", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, len(found)) == (0, 1), capsys.readouterr().err
