"""What is installed, also where the metadata of some distribution cannot be read."""

import contextlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import frozen

from stempilot.contract.plugin import PROJECT

_ALL = metadata.distributions


@frozen
class Damaged:
    """A distribution whose metadata cannot be read.

    Attributes:
        path: its folder of metadata.
        reason: what is wrong.
        offers: whether it may offer plug-ins of stempilot.
    """

    path: Path
    reason: str
    offers: bool


@contextlib.contextmanager
def readable_only() -> Iterator[list[Damaged]]:
    """Let this process pass over distributions whose metadata cannot be read, inside the block.

    One of them, of whatever package, would fail everything that looks for entry points, which
    torch and numba do when they are imported.

    Yields:
        Those that were passed over so far.
    """
    damaged: list[Damaged] = []
    found: dict[Path, Damaged] = {}

    def readable(**context: Any) -> Iterator[metadata.Distribution]:
        for each in _ALL(**context):
            reason = _reason(each)
            if not reason:
                yield each
            else:
                path = Path(str(getattr(each, "_path", each)))
                found[path] = Damaged(path, reason, _may_offer(path))
                damaged[:] = found.values()

    before, metadata.distributions = metadata.distributions, readable
    try:
        yield damaged
    finally:
        metadata.distributions = before


def _reason(distribution: metadata.Distribution) -> str:
    """Return why the metadata cannot be read; empty where they can."""
    try:
        offers = any(point.group == PROJECT for point in distribution.entry_points)
        if offers and not (distribution.name and distribution.version):
            return "it has no name or no version"
    except Exception as error:  # noqa: BLE001 - strangers' files may raise anything
        return f"{type(error).__name__}: {error}"
    return ""


def _may_offer(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return f"[{PROJECT}]".encode() in (path / "entry_points.txt").read_bytes()
    return False
