"""Errors as Windows COM reports them; the real codes of a Themis are unknown."""

from typing import Final

INVALID_ARGUMENT: Final = -2147024809
"""E_INVALIDARG."""

UNEXPECTED: Final = -2147418113
"""E_UNEXPECTED."""

FAIL: Final = -2147467259
"""E_FAIL."""


class COMError(Exception):
    """A call that the microscope's scripting interface refused: code, text and details.

    It is printed as Python's own class of that name, which exists on Windows only.
    """

    def __init__(self, hresult: int, text: str) -> None:
        super().__init__(hresult, text, (text, None, None, 0, None))


COMError.__module__ = "_ctypes"
