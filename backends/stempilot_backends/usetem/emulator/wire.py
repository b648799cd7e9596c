"""The server on its socket: one connection at a time, one call for each, XML-RPC over HTTP/1.0."""

import io
import logging
import os
import socket
import struct
import threading
import time
import xmlrpc.client
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from xml.parsers.expat import ExpatError
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

from stempilot import EmulatorError
from stempilot.faults import Effect, Fault
from stempilot_backends.usetem.emulator.bench import Bench
from stempilot_backends.usetem.emulator.methods import Methods, call_of
from stempilot_backends.usetem.emulator.struck import FaultDesk

PATH = "/temscript"
_POLL_S = 0.02
_BACKLOG = 5
_NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
_LOG = logging.getLogger(__name__)


class WireServer(SimpleXMLRPCDispatcher):
    """Listens, and answers one call at a time in a thread of its own.

    Args:
        methods: what can be called.
        bench: the microscope behind them.
        desk: the faults.
        stopping: set when all waits must end.
    """

    def __init__(
        self, methods: Methods, bench: Bench, desk: FaultDesk, stopping: threading.Event
    ) -> None:
        super().__init__(allow_none=True, use_builtin_types=True)
        self.logRequests = False
        self._methods, self._bench, self._desk = methods, bench, desk
        self._stopping = stopping
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._address = ("", 0)
        self._silence_s = self._silent_until_s = 0.0
        self._competitors: dict[Any, tuple[threading.Timer, socket.socket]] = {}
        self._clock_error_s = 0.0
        self._faults: deque[Sequence[Fault]] = deque()
        self._cut: Effect | None = None
        self.register_introspection_functions()
        self.register_multicall_functions()
        for name, function in methods.plain.items():
            self.register_function(function, name)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._address[1]

    def start(self, host: str, port: int) -> None:
        """Begin to listen; raises `EmulatorError` where that is not possible."""
        try:
            self._listener = _bound((host, port))
            self._listener.listen(_BACKLOG)
        except OSError as error:
            msg = f"cannot listen on {host}:{port}: {error.strerror}; choose another --port"
            raise EmulatorError(msg) from error
        self._address = self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._serve, name="usetem-emulator", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and break off the call that is being answered; ``stopping`` is set."""
        connection = self._connection
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._listener is not None:
            self._listener.close()
        for timer, competitor in self._competitors.values():
            timer.cancel()
            if timer.is_alive():
                timer.join()
            competitor.close()

    def date_s(self) -> float:
        """Return the server's idea of the time."""
        return time.time() + self._clock_error_s

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._listen_again()
            accepted = self._accept()
            if accepted is not None:
                self._answer(*accepted)
                self._fall_silent()

    def _accept(self) -> tuple[socket.socket, Any] | None:
        if self._silent_until_s or self._listener is None:
            self._stopping.wait(_POLL_S)
            return None
        self._listener.settimeout(_POLL_S)
        try:
            return self._listener.accept()
        except TimeoutError:
            return None

    def _answer(self, connection: socket.socket, address: Any) -> None:
        self._connection, self._cut = connection, None
        with connection:
            if self._stopping.is_set():
                return
            if address in self._competitors:
                self._competitors[address][0].start()
            try:
                _Answer(connection, address, self, self._send)
            except OSError as error:
                # As on any server: a client that went away is no reason to stop serving others.
                _LOG.debug("a client went away: %s", error)
        self._connection = None

    def _send(self, connection: socket.socket, reply: bytes) -> None:
        if self._cut in {"reset-before", "reset-after"}:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        elif self._cut == "half-reply":
            connection.sendall(reply[: len(reply) // 2])
        else:
            connection.sendall(reply)

    def _marshaled_dispatch(self, data: Any, dispatch_method: Any = None, path: Any = None) -> Any:
        # The base class is declared to return text; it returns bytes.
        del dispatch_method
        struck = [self._desk.strike(call_of(name, params)) for name, params in _calls(data)]
        faults = list(dict.fromkeys(fault for one in struck for fault in one))
        self._faults = deque(struck)
        self._bench.take_latency()
        for fault in faults:
            self._before_call(fault)
        if self._cut == "reset-before":
            return b""
        reply = super()._marshaled_dispatch(data, None, path)
        for fault in faults:
            self._after_call(fault)
        return reply

    def _dispatch(self, method: str, params: Any) -> Any:
        if method.startswith("system."):
            return super()._dispatch(method, params)
        faults = self._faults.popleft() if self._faults else ()
        if not self._methods.knows(method):
            return super()._dispatch(method, params)
        return self._methods.call(method, params, faults)

    def _before_call(self, fault: Fault) -> None:
        if fault.effect == "latency":
            self._stopping.wait(fault.seconds)
        elif fault.effect == "clock-jump":
            self._clock_error_s += fault.seconds
        elif fault.effect in {"reset-before", "reset-after", "half-reply"}:
            self._cut = fault.effect
        else:
            self._bench.suffer(fault)

    def _after_call(self, fault: Fault) -> None:
        if fault.effect == "restart":
            self._bench.remove_cameras(by="operator")
        if fault.effect in {"refuse", "restart"} and self._listener is not None:
            # Bound again without listening, so that the port stays taken meanwhile.
            self._listener.close()
            self._listener = _bound(self._address)
            self._silence_s = fault.seconds
        elif fault.effect == "competitor":
            competitor = socket.create_connection(self._address)
            # Begins when it is accepted, which is when others begin to wait.
            timer = threading.Timer(fault.seconds, competitor.close)
            self._competitors[competitor.getsockname()] = (timer, competitor)

    def _fall_silent(self) -> None:
        # Only now: sending a frame takes longer than a short absence.
        if self._silence_s:
            self._silent_until_s = time.monotonic() + self._silence_s
            self._silence_s = 0.0

    def _listen_again(self) -> None:
        if self._silent_until_s and time.monotonic() >= self._silent_until_s:
            self._silent_until_s = 0.0
            if self._listener is not None:
                self._listener.listen(_BACKLOG)


class _Answer(SimpleXMLRPCRequestHandler):
    """One connection: reads a call, keeps the reply back, and lets the server send it or not."""

    rpc_paths = (PATH,)

    def __init__(
        self,
        connection: socket.socket,
        address: Any,
        server: WireServer,
        send: Callable[[socket.socket, bytes], None],
    ) -> None:
        self._reply = io.BytesIO()
        self._wire, self._send = server, send
        super().__init__(connection, address, server)  # type: ignore[arg-type]

    def setup(self) -> None:
        super().setup()
        self.wfile.close()
        self.wfile = self._reply

    def finish(self) -> None:
        self._send(self.connection, self._reply.getvalue())
        self.rfile.close()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self._wire.date_s() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.debug(format, *args)


def _bound(address: tuple[str, int]) -> socket.socket:
    """Return a socket that is bound and does not listen: who connects is refused."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    if os.name != "nt":  # where it would let two servers share a port
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _calls(data: bytes) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield the calls of a request, those in a multicall one by one; none if it is not valid."""
    try:
        params, method = xmlrpc.client.loads(data, use_builtin_types=True)
    except (ExpatError, xmlrpc.client.Error, ValueError, TypeError):
        return
    if method != "system.multicall":
        yield str(method), params
        return
    inner = params[0] if params and isinstance(params[0], list) else []
    for call in inner:
        if isinstance(call, dict) and isinstance(call.get("params"), list):
            yield str(call.get("methodName")), call["params"]
