"""Matplotlib as it comes, whatever the user has set for their own figures."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def _nothing_set() -> Iterator[None]:
    """Hide what would make the import of matplotlib read the user's settings, or fail over them."""
    hidden = {name: os.environ.pop(name, None) for name in ("MPLBACKEND", "MATPLOTLIBRC")}
    # Found before the user's own file, and empty, on every system; Windows has no file `nul`.
    os.environ["MATPLOTLIBRC"] = str(Path(__file__).parents[1] / "py.typed")
    # The one in the working folder comes before all others.
    in_folder = Path("matplotlibrc").is_file()
    try:
        with contextlib.chdir(Path(__file__).parent) if in_folder else contextlib.nullcontext():
            yield
    finally:
        del os.environ["MATPLOTLIBRC"]
        os.environ.update({name: value for name, value in hidden.items() if value is not None})


# Whoever imports matplotlib first decides what it reads.
with _nothing_set() if "matplotlib" not in sys.modules else contextlib.nullcontext():
    import matplotlib as mpl


@contextlib.contextmanager
def defaults() -> Iterator[None]:
    """Draw with matplotlib's own defaults in the block: no rc file, no style."""
    plain: Any = dict(mpl.rcParamsDefault)
    # The user's own figures may have windows of it already.
    del plain["backend"]
    with mpl.rc_context(plain):
        yield
