"""One HTTP exchange with the server: one connection, one deadline, nothing ever sent twice.

The server speaks HTTP/1.0 and closes after each reply. The deadline covers connecting, sending and
the whole reply, so that one which trickles in or never ends is given up in time.
"""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from typing import Self
from urllib.parse import urlsplit

from attrs import frozen

from stempilot import BackendError

DEFAULT_PORT = 8001
_HEAD_LIMIT = 16 * 1024
"""Bytes of status line and headers that are read; the server sends about 150."""
_CHUNK = 64 * 1024
_LONG = 64 * 1024
"""Bytes from which on a reply is put into memory that is kept."""
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?")
_NOT_FOUND = 404
_OK = 200


class NotSentError(BackendError):
    """No connection came about, so the server has not seen the call."""


class DroppedError(BackendError):
    """The connection broke after the call was sent: it may or may not have taken effect."""


@frozen
class Endpoint:
    """Where the server is.

    Attributes:
        host: name or address.
        port: TCP port.
        path: path of the XML-RPC service.
    """

    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the endpoint of ``http://HOST:PORT/PATH``.

        Raises:
            ValueError: another scheme, no host, no path, or more than these.
        """
        parts = urlsplit(url)
        if parts.scheme == "https":
            msg = f"{url!r}: the server has no TLS; use http:// through an SSH tunnel"
            raise ValueError(msg)
        extra = parts.username or parts.password or parts.query or parts.fragment
        plain = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme != "http" or not parts.hostname or len(parts.path) <= 1 or extra:
            plain = False
        if not plain:
            msg = (
                f"{url!r} is not http://HOST:PORT/PATH, for example http://127.0.0.1:8001/temscript"
            )
            raise ValueError(msg)
        return cls(str(parts.hostname), parts.port or DEFAULT_PORT, parts.path)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{self.path}"


class Deadline:
    """A moment by which something must be over.

    Args:
        allowed_s: time from now to the deadline.

    Attributes:
        allowed_s: the same.
    """

    def __init__(self, allowed_s: float) -> None:
        self.allowed_s = allowed_s
        self._end_s = time.monotonic() + allowed_s

    def left_s(self) -> float:
        """Return the time that is left.

        Raises:
            TimeoutError: none is.
        """
        left = self._end_s - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def exchange(
    endpoint: Endpoint,
    body: bytes,
    *,
    deadline: Deadline,
    connect_s: float,
    max_bytes: int,
    room: bytearray,
) -> bytearray:
    """POST a body and return the body of the reply.

    Args:
        endpoint: the server.
        body: an XML document.
        deadline: end of the whole exchange.
        connect_s: longest time for connecting to one address of the host.
        max_bytes: longest body of a reply that is taken.
        room: what long replies are put into, so that a frame needs no new memory; it is returned
            then, and whoever passes it again gives up the reply before.

    Raises:
        NotSentError: no connection.
        DroppedError: the connection broke before the reply was complete.
        BackendError: the deadline passed, or the reply is not one of an XML-RPC server.
    """
    try:
        with _connected(endpoint, deadline, connect_s) as connection:
            connection.settimeout(deadline.left_s())
            connection.sendall(_request(endpoint, body))
            return _reply(connection, endpoint, deadline, max_bytes, room)
    except TimeoutError as error:
        msg = (
            f"{endpoint} did not complete its reply within {deadline.allowed_s:g} s; another "
            "client may be holding the server, which serves one at a time"
        )
        raise BackendError(msg) from error
    except OSError as error:
        msg = f"{endpoint} broke the connection: {_reason(error)}"
        raise DroppedError(msg) from error


@contextlib.contextmanager
def _connected(endpoint: Endpoint, deadline: Deadline, connect_s: float) -> Iterator[socket.socket]:
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        msg = f"the host of {endpoint} is not known: {error}; correct backend.url"
        raise BackendError(msg) from error
    with contextlib.ExitStack() as stack:
        refusals = []
        for family, kind, protocol, _, address in found:
            connection = stack.enter_context(socket.socket(family, kind, protocol))
            connection.settimeout(min(connect_s, deadline.left_s()))
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                refusals.append(f"{address[0]}: {_reason(error)}")
            else:
                break
        else:
            msg = (
                f"cannot connect to {endpoint} ({'; '.join(refusals)}); is the USETEM server "
                "running, and the SSH tunnel up?"
            )
            raise NotSentError(msg)
        yield connection


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _request(endpoint: Endpoint, body: bytes) -> bytes:
    # Without Accept-Encoding the server does not compress; for frames that would cost twice the
    # time. One piece, so that it leaves in one packet where it fits.
    head = (
        f"POST {endpoint.path} HTTP/1.0\r\n"
        f"Host: {endpoint.host}:{endpoint.port}\r\n"
        "User-Agent: stempilot\r\n"
        "Content-Type: text/xml\r\n"
        "Accept-Encoding: identity\r\n"
        f"Content-Length: {len(body)}\r\n"
        "\r\n"
    )
    return head.encode("ascii") + body


def _reply(
    connection: socket.socket,
    endpoint: Endpoint,
    deadline: Deadline,
    max_bytes: int,
    room: bytearray,
) -> bytearray:
    buffer = bytearray()
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if len(buffer) > _HEAD_LIMIT:
            msg = f"{endpoint} sends headers without end; is it a USETEM server?"
            raise BackendError(msg)
        buffer += _received(connection, deadline, "before its reply began")
    length = _content_length(bytes(buffer[:end]), endpoint, max_bytes)
    del buffer[: end + 4]
    if length is None:
        return _until_closed(connection, buffer, deadline, max_bytes)
    if length < _LONG:
        room = bytearray()
    return _exactly(connection, buffer, deadline, length, room)


def _received(connection: socket.socket, deadline: Deadline, when: str) -> bytes:
    connection.settimeout(deadline.left_s())
    chunk = connection.recv(_CHUNK)
    if not chunk:
        msg = f"the server closed the connection {when}"
        raise DroppedError(msg)
    return chunk


def _content_length(head: bytes, endpoint: Endpoint, max_bytes: int) -> int | None:
    """Return the promised length of the body, ``None`` where the reply does not say.

    Raises:
        BackendError: an HTTP error, an encoding that was not asked for, or too long a body.
    """
    status, *lines = head.split(b"\r\n")
    matched = _STATUS.fullmatch(status)
    if matched is None:
        msg = f"{endpoint} answers {status[:60]!r}; that is not HTTP"
        raise BackendError(msg)
    if (code := int(matched[1])) != _OK:
        hint = "; a USETEM server serves /temscript" if code == _NOT_FOUND else ""
        msg = f"{endpoint} answers with HTTP status {code}{hint}"
        raise BackendError(msg)
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    for header in (b"transfer-encoding", b"content-encoding"):
        if headers.get(header, b"identity").lower() != b"identity":
            msg = f"{endpoint} replies with {header.decode()}, which was not asked for"
            raise BackendError(msg)
    promised = headers.get(b"content-length")
    if promised is None:
        return None
    if not re.fullmatch(rb"\d{1,18}", promised):
        msg = f"{endpoint} promises {promised[:40]!r} bytes, which is no length"
        raise BackendError(msg)
    _check_length(int(promised), max_bytes)
    return int(promised)


def _check_length(length: int, max_bytes: int) -> None:
    if length > max_bytes:
        msg = (
            f"the reply is longer than the {max_bytes} bytes that its call can need; if other "
            "devices are in the server's list, raise backend.max_devices or have them removed"
        )
        raise BackendError(msg)


def _until_closed(
    connection: socket.socket, body: bytearray, deadline: Deadline, max_bytes: int
) -> bytearray:
    while True:
        _check_length(len(body), max_bytes)
        connection.settimeout(deadline.left_s())
        chunk = connection.recv(_CHUNK)
        if not chunk:
            return body
        body += chunk


def _exactly(
    connection: socket.socket, begun: bytearray, deadline: Deadline, length: int, body: bytearray
) -> bytearray:
    if len(begun) > length:
        msg = f"the reply goes on after the {length} bytes that it promised"
        raise BackendError(msg)
    del body[length:]
    body.extend(bytes(length - len(body)))
    body[: len(begun)] = begun
    got = len(begun)
    with memoryview(body) as view:
        while got < length:
            connection.settimeout(deadline.left_s())
            count = connection.recv_into(view[got:])
            if not count:
                msg = f"the reply broke off after {got} of {length} bytes"
                raise DroppedError(msg)
            got += count
    return body
