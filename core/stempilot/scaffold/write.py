"""Writes the files of a new plug-in package, whole or not at all."""

import keyword
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from stempilot.errors import ConfigError
from stempilot.files import recording
from stempilot.plugins.registry import Registry

What = Literal["backend", "task", "agent", "package"]
"""What a package offers: one plug-in, or with ``package`` one of each kind."""

KINDS = ("backend", "task", "agent")
LONGEST = 40
"""Letters of a name; paths on Windows are short."""

_COMMON = ("pyproject.toml", "README.md", "src/my_demo/__init__.py", "src/my_demo/hooks.py")
_WINDOWS = re.compile(r"con|prn|aux|nul|(com|lpt)\d")
"""Names that no file may have on Windows."""


def new_package(what: What, name: str, folder: Path, registry: Registry) -> Path:
    """Write a package that keeps its contracts as it stands, and return its folder.

    Args:
        what: what it offers.
        name: of the package and of its plug-ins.
        folder: the folder to make.
        registry: what is installed, of which no name may be taken again.

    Raises:
        ConfigError: the name cannot be used, or the folder exists.
        RecordError: the folder cannot be written; nothing of it is left.
    """
    _require_usable(name, registry)
    if os.path.lexists(folder):
        msg = f"{folder} exists, and nothing is overwritten; choose another --out"
        raise ConfigError(msg)
    with recording():
        folder.parent.mkdir(parents=True, exist_ok=True)
    with recording(), tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as beside:
        whole = Path(beside, name)
        for path, text in package_files(what, name).items():
            place = whole / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8", newline="\n")
        whole.rename(folder)
    return folder


def package_files(what: What, name: str) -> Mapping[str, str]:
    """Return the files of a package, text by path.

    The template is a package ``my-demo`` with a plug-in of each kind, which is renamed.
    """
    kinds = KINDS if what == "package" else (what,)
    own = [path for kind in kinds for path in (f"src/my_demo/{kind}.py", f"tests/test_{kind}.py")]
    texts = {path: _of_kinds(kinds, _template(path)) for path in _COMMON}
    texts |= {path: _template(path) for path in own} | {"src/my_demo/py.typed": ""}
    return {_renamed(path, name): _renamed(text, name) for path, text in texts.items()}


def _template(path: str) -> str:
    return files("stempilot.scaffold").joinpath("template", path).read_text(encoding="utf-8")


def _of_kinds(kinds: tuple[str, ...], text: str) -> str:
    """Return the paragraphs for these kinds; those of one kind begin with its name."""
    others = tuple(kind for kind in KINDS if kind not in kinds)
    paragraphs = text.split("\n\n")
    return "\n\n".join(p for p in paragraphs if not p.lower().startswith(others)).rstrip() + "\n"


def _renamed(text: str, name: str) -> str:
    module = name.replace("-", "_")
    title = "".join(part.capitalize() for part in name.split("-"))
    return text.replace("my-demo", name).replace("my_demo", module).replace("MyDemo", title)


def _require_usable(name: str, registry: Registry) -> None:
    module = name.replace("-", "_")
    taken = [e for e in registry.entries if e.name == name]
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > LONGEST:
        why = f"is not of at most {LONGEST} small letters and digits in words joined by hyphens"
    elif keyword.iskeyword(module) or keyword.issoftkeyword(module):
        why = "is a word of Python"
    elif _WINDOWS.fullmatch(name):
        why = "is no name for a file on Windows"
    elif taken:
        why = f"is a plug-in of {taken[0].distribution} {taken[0].version} already"
    elif module in sys.stdlib_module_names or find_spec(module) is not None:
        why = f"is taken: another package has a module {module}"
    else:
        return
    msg = f"the name {name!r} {why}; choose another, for example my-task"
    raise ConfigError(msg)
