"""Where a run comes from: versions, command line, source revision."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("stempilot", "gymnasium", "numpy", "stable-baselines3", "torch")


def provenance() -> dict[str, Any]:
    """Return what ``record.json`` says of the software, without importing any of it."""
    return {
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
        "git_commit": _commit(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of the packages that decide what a run gives; ``None`` for no package."""
    return {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the revision of the source tree that stempilot runs from, if it is one."""
    folder = Path(__file__).resolve().parent
    if "site-packages" in folder.parts:
        return None
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
