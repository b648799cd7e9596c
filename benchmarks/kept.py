"""Figures that were measured once and are kept in a file, so that a benchmark goes on with them."""

import json
from pathlib import Path
from typing import Any


def kept(file: Path, asked: Any) -> dict[str, Any] | None:
    """Return what `keep` wrote; ``None`` where there is nothing, or what was asked differs."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found if found.get("asked") == json.loads(json.dumps(asked)) else None


def keep(file: Path, content: dict[str, Any]) -> None:
    """Write a file so that it exists either complete or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    beside.replace(file)
