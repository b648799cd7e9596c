"""A small USETEM server written from the wire facts, and one that misbehaves byte by byte."""

import contextlib
import os
import pickle
import socket
import struct
import threading
import time
from xmlrpc.client import Binary
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

import numpy as np

from stempilot.contract.backend import Opening
from stempilot.plugins import options as config
from stempilot_backends.usetem.client.backend import UsetemThemis
from stempilot_backends.usetem.client.config import UsetemThemisConfig

ROWS, COLS = 48, 40
SHIFT, LENGTH = "projection.diffractionShift", "projection.cameraLengthIndex"
ACQUIRE, ADD = "acquisition.acquireImages", "acquisition.addCameraByName"
REMOVE = "acquisition.removeAcqDeviceByName"
ComError = type("COMError", (Exception,), {"__module__": "_ctypes"})


class Column:
    """What the server's methods work on. Change its attributes to change the instrument."""

    def __init__(self):
        self.values = {
            SHIFT: [0.01, -0.02],
            LENGTH: 6,
            "projection.mode": 2,
            "illumination.STEMDefocus": -2e-6,
            "illumination.beamShift": [1e-7, 2e-7],
            "mode": 1,
        }
        self.screen, self.blanked, self.valves, self.current = 3, False, True, 1e-11
        self.cameras = {"BM-Flucam": (ROWS, COLS)}
        self.devices = []
        self.calls = []
        self.round_trips = 0
        self.ahead = {}
        self.rng = np.random.default_rng(0)
        self.protocol = 4
        self.frame = None
        self.dispatch_lock = threading.Lock()

    def _dispatch(self, method, params):
        self.calls.append((method, tuple(params)))
        if method in self.ahead:
            return self.ahead[method](*params)
        if method in self.values:
            return self.set_or_get(method, *params)
        named = method.replace(".", "_")
        if method == "configInfo" or not hasattr(self, named):
            raise Exception(f'method "{method}" is not supported')  # noqa: TRY002
        return getattr(self, named)(*params)

    def set_or_get(self, method, *params):
        now = self.values[method]
        if not params:
            return now
        (value,) = params
        if type(value) is not type(now):
            raise TypeError(f"{value!r} for {method}")
        self.values[method] = value
        return None

    def camera_mainScreenPosition(self):  # noqa: N802
        return self.screen

    def camera_screenCurrent(self):  # noqa: N802
        return self.current

    def illumination_isBeamBlanked(self, *params):  # noqa: N802
        if not params:
            return self.blanked
        if isinstance(params[0], bool):
            self.blanked = params[0]
        return None

    def vacuum_columnValvesOpen(self):  # noqa: N802
        return self.valves

    def isSTEMAvailable(self):  # noqa: N802
        return True

    def acquisition_addCameraByName(self, name):  # noqa: N802
        if name not in self.cameras:
            raise ComError(-2147024809, "The parameter is incorrect.", (None, None, None, 0, None))
        self.devices.append(name)

    def acquisition_removeAcqDeviceByName(self, name):  # noqa: N802
        self.devices.remove(name)

    def acquisition_acquireImages(self):  # noqa: N802
        arrays = [self.exposure(self.cameras[name]) for name in self.devices]
        return Binary(pickle.dumps(arrays, self.protocol))

    def exposure(self, shape):
        if self.frame is not None:
            return self.frame
        image = self.rng.poisson(100, shape).astype(np.int32)
        return np.asfortranarray(image.T)

    def count(self, method):
        return sum(name == method for name, _ in self.calls)


class Handler(SimpleXMLRPCRequestHandler):
    rpc_paths = ("/temscript",)

    def do_POST(self):  # noqa: N802
        self.server.column.round_trips += 1
        self.server.requests.append(dict(self.headers))
        super().do_POST()


@contextlib.contextmanager
def serving(column=None):
    """Yield the column and the URL of a server that speaks for it."""
    column = column or Column()
    server = SimpleXMLRPCServer(("127.0.0.1", 0), Handler, logRequests=False, allow_none=True)
    server.column, server.requests = column, []
    column.requests = server.requests
    server.register_instance(column)
    server.register_multicall_functions()
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield column, f"http://127.0.0.1:{server.server_address[1]}/temscript"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def misbehaving(*scripts):
    """Yield the URL of a server that runs a script on each connection, the last one from then on.

    A script is called with the connection and what was asked. A thread of its own runs each.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    over = threading.Event()
    threads, seen = [], []

    def run(script, connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(2)
            asked = received(connection)
            seen.append(asked)
            script(connection, asked)

    def serve():
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                script = scripts[min(len(threads), len(scripts) - 1)]
                threads.append(threading.Thread(target=run, args=(script, connection)))
                threads[-1].start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/temscript", seen
    finally:
        over.set()
        thread.join()
        listener.close()
        for one in threads:
            one.join()


def received(connection):
    """Return the body of a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += connection.recv(65536)
    return body


def http(body, length=None, status="200 OK", extra=""):
    """Return a reply."""
    promised = len(body) if length is None else length
    head = (
        f"HTTP/1.0 {status}\r\nContent-Type: text/xml\r\n{extra}Content-Length: {promised}\r\n\r\n"
    )
    return head.encode() + body


def xml(value):
    """Return a reply's document around the XML of a value."""
    reply = f"<params><param><value>{value}</value></param></params>"
    return f"<?xml version='1.0'?><methodResponse>{reply}</methodResponse>".encode()


def reset(connection, _=None):
    """Break the connection as a server that dies does."""
    now = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)


def sending(data):
    """Return a script that answers with these bytes."""
    return lambda connection, _: connection.sendall(data)


def options(url, **given):
    """Return validated options, with short waits and small frames."""
    values = {
        "url": url,
        "frame_shape": [ROWS, COLS],
        "call_timeout_s": 3.0,
        "frame_timeout_s": 3.0,
        "retry_wait_s": 0.01,
        "readback_s": 0.05,
        **given,
    }
    return config.build(UsetemThemisConfig, values, section="backend")


def backend(url, purpose="train", **given):
    """Return a client that is not opened."""
    return UsetemThemis(options(url, **given), Opening(purpose=purpose))


@contextlib.contextmanager
def takes_at_most(seconds):
    """Check that the block ends in time."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def registry():
    """Return a table of tests by what they are about, and a decorator that enters one."""
    table = {}

    def entering(*names):
        def enter(function):
            for name in names:
                assert name not in table
                table[name] = function
            return function

        return enter

    return table, entering
