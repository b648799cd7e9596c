"""What a machine has of what runs need: the checks of ``stempilot doctor`` that need no plug-in.

Each check yields findings, and may raise: `examine` makes a finding of that too. What they use of
stempilot they import themselves, so that one that cannot be imported spoils one check.
"""

import locale
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal

from attrs import frozen

from stempilot.errors import StempilotError

State = Literal["ok", "note", "problem"]
Check = Callable[[], Iterable["Finding"]]

_LEAST_FREE_B = 1e9
_MOST_SKEW_S = 2.0
_VARIABLES = re.compile(
    "STEMPILOT_.*|NUMBA_CACHE_DIR|MPLBACKEND|MPLCONFIGDIR|MATPLOTLIBRC|PYTHONIOENCODING|PYTHONUTF8"
    "|LANG|LC_ALL"
)


@frozen
class Finding:
    """What a check found.

    Attributes:
        what: what was looked at.
        found: what was found.
        state: whether that is fine, worth knowing, or in the way of runs.
        advice: the next step; empty where there is none.
    """

    what: str
    found: str
    state: State = "ok"
    advice: str = ""


def examine(checks: Sequence[tuple[str, Check]]) -> list[Finding]:
    """Return what all checks find; one that fails is a problem, and the others go on."""
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings.extend(check())
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is there to find what is broken
            findings.append(Finding(name, _said(error), "problem"))
    return findings


def _said(error: BaseException) -> str:
    """Return an error as people read it; those of stempilot are sentences already."""
    known = isinstance(error, StempilotError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def python() -> Iterator[Finding]:
    """Yield which Python this is, on which system, and how it writes text."""
    yield Finding("python", f"{platform.python_version()}, {sys.executable}")
    system = f"{platform.platform()}, {platform.machine()}, {os.cpu_count()} processors"
    yield Finding("platform", system)
    stdout = getattr(sys.__stdout__, "encoding", None)
    files = sys.getfilesystemencoding()
    yield Finding("encoding", f"stdout {stdout}, files {files}, locale {locale.getencoding()}")
    chosen = {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}
    said = ", ".join(f"{name}={value}" for name, value in sorted(chosen.items()))
    yield Finding("environment", said or "no variable that matters is set")


def packages() -> Iterator[Finding]:
    """Yield the versions of stempilot and of what it needs."""
    yield Finding("stempilot", f"{metadata.version('stempilot')}, {Path(__file__).parents[1]}")
    needed = [one for one in metadata.requires("stempilot") or () if "extra ==" not in one]
    found: list[str] = []
    for requirement in sorted(needed, key=str.lower):
        name = re.split(r"[^A-Za-z0-9._-]", requirement)[0]
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            yield Finding(name, "not installed", "problem", f"pip install {name}")
    yield Finding("packages", ", ".join(found))


def plugins() -> Iterator[Finding]:
    """Yield which packages offer plug-ins, and which metadata cannot be read; imports none."""
    from stempilot.contract.plugin import PROJECT
    from stempilot.plugins.installed import readable_only

    with readable_only() as damaged:
        points = list(metadata.entry_points(group=PROJECT))
    by_package: dict[str, list[str]] = {}
    for point in points:
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
        by_package.setdefault(package, []).append(point.name)
    for package, names in by_package.items():
        yield Finding("plug-ins", f"{package}: {', '.join(sorted(names))}")
    if not by_package:
        yield Finding("plug-ins", "none", "problem", "install stempilot again")
    for each in damaged:
        state: State = "problem" if each.offers else "note"
        said = f"{each.path} cannot be read: {each.reason}"
        yield Finding("metadata", said, state, "install that package again, or remove the folder")


def places(runs: Path) -> Iterator[Finding]:
    """Yield whether runs can write where they write.

    Args:
        runs: where run directories are made.
    """
    from stempilot.instrument.lock import FOLDER_VARIABLE, lock_folder

    advice = "make it writable, or give another --out"
    yield _place("working folder", Path.cwd, advice)
    yield _place("run directories", lambda: runs, advice)
    yield _place(
        "lock folder", lock_folder, f"make it writable, or set {FOLDER_VARIABLE} to another"
    )
    yield _place("temporary files", lambda: Path(tempfile.gettempdir()), "set TMPDIR to another")


def _place(what: str, where: Callable[[], Path], advice: str) -> Finding:
    try:
        path = where()
        free_b = _free_b(path)
    except Exception as error:  # noqa: BLE001 - a folder that is gone, no home, no permission
        return Finding(what, _said(error), "problem", advice)
    said = f"{path}, writable, {free_b / 1e9:.1f} GB free"
    if free_b < _LEAST_FREE_B:
        return Finding(what, said, "problem", "free some space")
    return Finding(what, said)


def _free_b(path: Path) -> int:
    """Return the free space where a path is or would be made; raises where nothing can be."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    with tempfile.NamedTemporaryFile(dir=there):
        return shutil.disk_usage(there).free


def caches() -> Iterator[Finding]:
    """Yield whether what is computed once can be kept: it is slower without, and works."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    beside = Path(__file__).parents[1]
    yield _cache("compiled code", [Path(chosen)] if chosen else [beside], "NUMBA_CACHE_DIR")
    chosen = os.environ.get("MPLCONFIGDIR")
    yield _cache("fonts of reports", [Path(chosen)] if chosen else [], "MPLCONFIGDIR")


def _cache(what: str, places: Sequence[Path], variable: str) -> Finding:
    candidates: list[Callable[[], Path]] = [lambda: places[0], lambda: Path.home() / ".cache"]
    for place in candidates:
        try:
            path = place()
            _free_b(path)
        except Exception:  # noqa: BLE001, S112 - then the next one
            continue
        return Finding(what, f"can be kept below {path}")
    said = "cannot be kept, so that each start takes longer"
    return Finding(what, said, "note", f"set {variable} to a folder that can be written to")


def clock() -> Iterator[Finding]:
    """Yield what time it is here, and how far the clock of the working folder's disk is off."""
    now = time.time()
    shown = datetime.fromtimestamp(now, UTC).astimezone().isoformat(timespec="seconds")
    installed = Path(__file__).stat().st_mtime
    if now < installed:
        yield Finding("clock", f"{shown}, before this file was installed", "problem", "set it")
    else:
        yield Finding("clock", shown)
    with tempfile.NamedTemporaryFile(dir=Path.cwd()) as file:
        skew_s = Path(file.name).stat().st_mtime - time.time()
    if abs(skew_s) > _MOST_SKEW_S:
        said = f"files of the working folder are stamped {skew_s:+.0f} s off"
        yield Finding("clock", said, "note", "the file server's clock differs: set both")
