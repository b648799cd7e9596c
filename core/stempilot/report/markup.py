"""HTML from values: text is escaped wherever it is not already HTML."""

from collections.abc import Sequence
from html import escape

_VOID = frozenset({"meta", "img", "hr"})


class Html(str):
    """Text that is HTML already and must not be escaped again."""

    __slots__ = ()


def html(*parts: str) -> Html:
    """Return the parts one after the other, plain text escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def tag(name: str, /, *children: str, **attributes: str) -> Html:
    """Return an element.

    Args:
        name: its name.
        children: `Html` as it is, plain text escaped.
        attributes: escaped; ``class_`` stands for ``class``.
    """
    written = "".join(
        f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items() if value
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{html(*children)}</{name}>")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Html:
    """Return a table that scrolls by itself where the page is narrow."""
    header = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    body = (tag("tr", *(tag("td", cell) for cell in row)) for row in rows)
    return tag(
        "div",
        tag("table", tag("thead", header), tag("tbody", *body)),
        class_="scroll",
    )
