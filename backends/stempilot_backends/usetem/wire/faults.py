"""Fault strings of the server, made readable.

They are ``<class 'NAME'>:message``, and for COM errors ``(hresult, text, details)`` is the message
(wire facts, Faults).
"""

import re
from typing import Any

from stempilot import BackendError

_LONGEST = 300
_FAULT = re.compile(r"<class '([\w.]{1,100})'>:(.*)", re.DOTALL)
_COM = re.compile(r"\((-?\d{1,12}),\s*(.*)\)", re.DOTALL)


class ServerFaultError(BackendError):
    """The server received the call, and answered that it failed.

    Attributes:
        method: what was called.
        kind: name of the exception class on the server; empty where the fault does not say.
    """

    def __init__(self, message: str, *, method: str, kind: str) -> None:
        self.method = method
        self.kind = kind
        super().__init__(message)


def fault(method: str, text: Any) -> ServerFaultError:
    """Return the error of a fault string; not raised."""
    matched = _FAULT.fullmatch(text) if isinstance(text, str) else None
    kind, said = (matched[1], matched[2]) if matched else ("", text)
    name = kind.rpartition(".")[2]
    com = _COM.fullmatch(said) if name == "COMError" else None
    if com:
        code = int(com[1]) & 0xFFFFFFFF
        name, said = f"COM error 0x{code:08X}", com[2]
    spoken = f"{name}: {_printable(said)}" if name else _printable(said)
    return ServerFaultError(f"{method} failed on the server: {spoken}", method=method, kind=kind)


def _printable(text: Any) -> str:
    """Return text without control characters, cut to a length that fits a message."""
    shown = text if isinstance(text, str) else type(text).__name__
    cut = shown[:_LONGEST] + ("…" if len(shown) > _LONGEST else "")
    return "".join(character if character.isprintable() else " " for character in cut)
