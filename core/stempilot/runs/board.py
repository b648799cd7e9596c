"""TensorBoard's event files of a training: an extra on which nothing depends."""

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stempilot.errors import ConfigError
from stempilot.files import own_folder

TENSORBOARD = "tensorboard"
_log = logging.getLogger(__name__)


def require_tensorboard() -> None:
    """Check that the package is there.

    Raises:
        ConfigError: it is not; with how to install it.
    """
    if find_spec(TENSORBOARD) is None:
        msg = (
            'run.tensorboard needs the package tensorboard: pip install "stempilot[tensorboard]", '
            "or leave the option out"
        )
        raise ConfigError(msg)


class Board:
    """Writes figures into the folder ``tensorboard`` of a run directory.

    Args:
        run: the run directory.
    """

    def __init__(self, run: Path) -> None:
        from tensorboard.summary import Writer

        self._writer: Any = Writer(str(own_folder(run / TENSORBOARD)))

    def show(self, figures: Mapping[str, float | None], timestep: int) -> None:
        """Add figures by name, for example ``episodes/reward``; the run goes on without them."""
        try:
            for name, value in figures.items():
                if self._writer is not None and value is not None:
                    self._writer.add_scalar(name, value, timestep)
        except OSError as error:
            _log.warning("TensorBoard gets no further figures: %s", error)
            self._writer = None

    def close(self) -> None:
        """Write out what is pending."""
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except OSError as error:
            _log.warning("TensorBoard misses the last figures: %s", error)
