"""Calls to the server: single ones and several in one round trip, sent again only where harmless.

A call that never reached the server is always sent again, a call whose connection broke only where
the caller says how often: reading, or setting an absolute value, twice is the same as once.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any, Final

from attrs import field, frozen

from stempilot import BackendError
from stempilot_backends.usetem.client.config import UsetemThemisConfig
from stempilot_backends.usetem.wire import marshal
from stempilot_backends.usetem.wire.faults import ServerFaultError, fault
from stempilot_backends.usetem.wire.transport import (
    Deadline,
    DroppedError,
    Endpoint,
    NotSentError,
    exchange,
)
from stempilot_backends.usetem.wire.values import wrong

MULTICALL: Final = "system.multicall"
_log = logging.getLogger(__name__)


@frozen
class Call:
    """One call of a method with plain Python arguments."""

    method: str
    arguments: tuple[Any, ...] = ()


@frozen
class Answer:
    """The result of one call of several.

    Attributes:
        method: what was called.
        fault: the fault, or ``None``.
    """

    method: str
    fault: ServerFaultError | None = None
    _value: Any = field(default=None, alias="value", repr=False)

    def value(self) -> Any:
        """Return what the method returned.

        Raises:
            ServerFaultError: it failed on the server.
        """
        if self.fault is not None:
            raise self.fault
        return self._value


@frozen(kw_only=True)
class Limits:
    """Limits of an exchange.

    Attributes:
        seconds: deadline of the exchange, all attempts together.
        max_bytes: longest reply.
        resends: how often a call is sent again whose connection broke.
    """

    seconds: float
    max_bytes: int
    resends: int


class Server:
    """The server at ``config.url``. It holds no connection: each call makes its own.

    Args:
        config: addresses, deadlines and retries.
    """

    def __init__(self, config: UsetemThemisConfig) -> None:
        self.endpoint = Endpoint.parse(config.url)
        self._config = config
        self._room = bytearray()
        self.short = Limits(
            seconds=config.call_timeout_s,
            max_bytes=marshal.MAX_XML_BYTES,
            resends=config.retries,
        )

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method that may be called twice, and return its value.

        Raises:
            ServerFaultError: it failed on the server.
            BackendError: the server cannot be reached or did not answer properly in time.
        """
        value, _ = self._converse(Call(method, arguments), self.short)
        return value

    def multicall(self, calls: Sequence[Call], limits: Limits | None = None) -> list[Answer]:
        """Make several calls in one round trip, in order; a fault does not stop those after it.

        A binary value comes as bytes.

        Args:
            calls: what to call.
            limits: by default those of calls that may be made twice and return short values.

        Raises:
            BackendError: the server cannot be reached or did not answer properly in time.
        """
        batch = [{"methodName": call.method, "params": list(call.arguments)} for call in calls]
        found, binary = self._converse(Call(MULTICALL, (batch,)), limits or self.short)
        if not isinstance(found, list) or len(found) != len(calls):
            raise wrong(MULTICALL, found, f"an array of {len(calls)} results")
        return [
            _answer(call.method, result, binary) for call, result in zip(calls, found, strict=True)
        ]

    def _converse(self, call: Call, limits: Limits) -> tuple[Any, bytes | None]:
        """Send a call, again where that is allowed, and return its value and binary value."""
        body = marshal.request(call.method, call.arguments)
        deadline = Deadline(limits.seconds)
        wait_s, drops = self._config.retry_wait_s, 0
        for attempt in range(self._config.retries + 1):
            try:
                reply = exchange(
                    self.endpoint,
                    body,
                    deadline=deadline,
                    connect_s=self._config.connect_timeout_s,
                    max_bytes=limits.max_bytes,
                    room=self._room,
                )
                return marshal.reply(reply, call.method)
            except (NotSentError, DroppedError) as error:
                drops += isinstance(error, DroppedError)
                if attempt == self._config.retries or drops > limits.resends:
                    raise
                self._pause(wait_s, deadline, error)
                _log.warning("%s: %s; sending it again", call.method, error)
                wait_s *= 2
        msg = f"{call.method} was not sent"
        raise BackendError(msg)

    def _pause(self, wait_s: float, deadline: Deadline, error: BackendError) -> None:
        """Wait before another attempt; give up where the deadline comes first."""
        try:
            left_s = deadline.left_s()
        except TimeoutError:
            left_s = 0.0
        if left_s <= wait_s:
            raise error
        time.sleep(wait_s)


def _answer(method: str, result: Any, binary: bytes | None) -> Answer:
    if isinstance(result, dict) and "faultString" in result:
        return Answer(method, fault(method, result["faultString"]))
    if not isinstance(result, list) or len(result) != 1:
        raise wrong(f"{MULTICALL} of {method}", result, "an array of one value")
    value = result[0]
    return Answer(method, value=binary if value == b"" and binary is not None else value)
