"""Compiles functions of plug-ins, and keeps the result on disk where that can be done."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _Kept:
    """Numba's cache, whose loss disturbs nothing: a damaged file, a full disk, no permission."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        """Do all else as numba does."""
        return getattr(self._cache, name)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what is kept; nothing where it cannot be read, and it is then thrown away."""
        try:
            return self._cache.load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - a half-written pickle raises anything
            with contextlib.suppress(Exception):
                self._cache.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, where that can be done."""
        with contextlib.suppress(Exception):
            self._cache.save_overload(sig, data)


def compiled(function: F, **options: Any) -> F:
    """Return a function that numba compiles when it is first called.

    What was compiled is kept beside the function's file, or in numba's own cache. Where it cannot
    be kept or read back, it is compiled again.

    Args:
        function: in numba's subset of Python.
        options: further ones of ``numba.njit``.
    """
    from numba import njit

    made = njit(**options)(function)
    if _has_place(function):
        with contextlib.suppress(Exception):
            made.enable_caching()
            made._cache = _Kept(made._cache)  # noqa: SLF001 - numba has no other place for it
    kept: F = made
    return kept


def _has_place(function: Callable[..., Any]) -> bool:
    """Return whether numba may look for a place: without a home it would make a folder ``~``."""
    folder = Path(function.__code__.co_filename).parent
    if "NUMBA_CACHE_DIR" in os.environ or os.access(folder, os.W_OK):
        return True
    try:
        Path.home()
    except RuntimeError:
        return False
    return True
