"""Suggests the nearest known names for an unknown one."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return a question with the nearest of the known names; nothing where none is near.

    Args:
        name: what was written.
        known: what could have been.
        prefix: stands before each name in the question.
    """
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(prefix + item for item in near)}?" if near else ""


def meant(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return that question, or all of the known names where none is near."""
    choices = list(known)
    return nearest(name, choices, prefix) or f"known: {', '.join(choices)}"


def listed(what: str, name: str, known: Iterable[str]) -> str:
    """Return a sentence that ends with all known names, followed by that question."""
    choices = list(known)
    question = nearest(name, choices)
    said = f"{what} {', '.join(choices) or 'none'}"
    return f"{said}; {question}" if question else said
