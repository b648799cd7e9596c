"""The contract of an emulator: something that stands in for an instrument's server.

People rehearse on it, and tests drive a backend against it, without an instrument. It answers as
the instrument would; what the instrument could not tell or do (the truth, faults) goes another way.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from stempilot.errors import StempilotError


class EmulatorError(StempilotError):
    """An emulator cannot listen where it was told to."""

    exit_code = 4


class Emulator(ABC):
    """Stands in for an instrument's server.

    Life cycle: construction is cheap and opens nothing; `start` once; `close` at the end. Nothing
    is shared between two of them.
    """

    @abstractmethod
    def start(self, host: str, port: int) -> str:
        """Begin to answer, in the background, and return the address that clients are given.

        Called once. Returns when clients can connect.

        Args:
            host: the interface to listen on.
            port: the port to listen on; 0 takes any free one, which the address then names.

        Raises:
            EmulatorError: it cannot listen there.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop answering, at once; harmless when repeated and before `start`."""

    def endpoints(self) -> Mapping[str, str]:
        """Return further addresses by name, for example where faults are injected.

        Called after `start`. They are for people and tests; no client of the instrument knows them.
        """
        return {}

    def __enter__(self) -> Self:
        """Return the emulator; it is not started."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the emulator."""
        self.close()
