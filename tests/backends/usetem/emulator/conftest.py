"""Virtual Themis microscopes on loopback, and plain ways to talk to them."""

import http.client
import json
import socket
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import field, frozen

from stempilot.plugins import options as config
from stempilot_backends.usetem.emulator.config import EmulatorConfig
from stempilot_backends.usetem.emulator.emulator import ThemisEmulator

PATIENCE_S = 10.0


class Patient(xmlrpc.client.Transport):
    """The standard transport, with a deadline, without its second attempt and without gzip."""

    accept_gzip_encoding = False

    def __init__(self, timeout_s: float) -> None:
        super().__init__(use_builtin_types=True)
        self.timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        # Kept as the base class keeps it, which closes it after a failure.
        connection = http.client.HTTPConnection(host, timeout=self.timeout_s)
        self._connection = host, connection
        return connection

    def request(self, *args: Any, **kwargs: Any) -> Any:
        return self.single_request(*args, **kwargs)


@frozen
class Themis:
    """A started emulator and its address."""

    emulator: ThemisEmulator
    url: str
    rehearsal: str = field(default="")

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def proxy(self, timeout_s: float = PATIENCE_S) -> Any:
        return xmlrpc.client.ServerProxy(self.url, transport=Patient(timeout_s), allow_none=True)

    def raw(self, request: bytes, timeout_s: float = PATIENCE_S) -> bytes:
        """Return all that the server sends until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(request)
            received = b""
            while part := connection.recv(1 << 20):
                received += part
        return received

    def post(self, method: str, *params: Any, path: str = "/temscript", more: str = "") -> bytes:
        body = xmlrpc.client.dumps(params, method, allow_none=True).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        return self.raw(head.encode() + body)

    def ask(self, verb: str, path: str, content: Any = None) -> tuple[int, Any]:
        """Speak to the back door; return the status and what it says."""
        where = urlsplit(self.rehearsal)
        door = http.client.HTTPConnection(str(where.hostname), where.port, timeout=PATIENCE_S)
        try:
            door.request(verb, path, None if content is None else json.dumps(content))
            reply = door.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            door.close()


Start = Callable[..., Themis]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return what starts an emulator with some options; all are closed at the end."""
    with ExitStack() as started:

        def one(seed: int = 0, **options: Any) -> Themis:
            values = {"realtime": False, **options}
            made = config.build(EmulatorConfig, values, section="emulator")
            emulator = started.enter_context(ThemisEmulator(made, seed))
            url = emulator.start("127.0.0.1", 0)
            return Themis(emulator, url, emulator.endpoints()["rehearsal"])

        yield one


@pytest.fixture
def themis(start: Start) -> Themis:
    return start()
