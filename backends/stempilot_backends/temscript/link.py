"""Calls to a temscript server: one connection, made again after it broke, and clear errors."""

import http.client
from collections.abc import Callable
from typing import Any

from stempilot import BackendError, PluginError


def connect(address: tuple[str, int], timeout_s: float) -> Any:
    """Return temscript's own client, speaking JSON: its other transport unpickles.

    Raises:
        PluginError: temscript is not installed.
    """
    try:
        from temscript import RemoteMicroscope  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        msg = 'temscript is not installed; `pip install "stempilot[temscript]"` brings it'
        raise PluginError(msg) from error
    return RemoteMicroscope(address, transport="JSON", timeout=timeout_s)


class Link:
    """The connection to a server.

    A call is sent once: http.client does not repeat one whose connection broke. After any failure
    the next call makes a new connection.

    Args:
        address: host and port.
        timeout_s: longest silence within a call.
        dial: makes the client.
    """

    def __init__(
        self,
        address: tuple[str, int],
        timeout_s: float,
        dial: Callable[[tuple[str, int], float], Any] = connect,
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._dial = dial
        self._client: Any = None

    def call(self, method: str, *arguments: Any) -> Any:
        """Return what a method of the microscope returns.

        Raises:
            BackendError: the server cannot be reached, is silent for too long, refuses, or
                answers what cannot be understood.
        """
        try:
            if self._client is None:
                self._client = self._dial(self._address, self._timeout_s)
            return getattr(self._client, method)(*arguments)
        except (OSError, http.client.HTTPException) as error:
            self.hang_up()
            where = "{}:{}".format(*self._address)
            msg = (
                f"{method}: the temscript server at {where} did not answer within "
                f"{self._timeout_s:g} s or broke the connection: {error!r}; is it running?"
            )
            raise BackendError(msg) from error
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            self.hang_up()
            msg = f"{method}{arguments}: the microscope refused or answered nonsense: {error!r}"
            raise BackendError(msg) from error

    def hang_up(self) -> None:
        """Close the connection; the next call makes a new one."""
        client, self._client = self._client, None
        connection = getattr(client, "_conn", None)
        if connection is not None:
            connection.close()
