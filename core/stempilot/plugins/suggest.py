"""Suggests the nearest known names for an unknown one."""

import difflib
from collections.abc import Iterable


def meant(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return a question with the nearest of the known names, or all of them where none is near.

    Args:
        name: what was written.
        known: what could have been.
        prefix: stands before each name in the question.
    """
    choices = list(known)
    near = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(prefix + item for item in near)}?"
    return f"known: {', '.join(choices)}"
