"""The door at the back: faults, the operator's hands and the truth, as JSON on loopback.

A port of its own, so that no client of the instrument can meet it, and that a server which does not
answer does not keep it from answering.
"""

import json
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from attrs import asdict

from stempilot import BackendError, ConfigError, EmulatorError, build, meant, plain
from stempilot.faults import FAULTS, Fault
from stempilot_backends.usetem.emulator.bench import Bench
from stempilot_backends.usetem.emulator.comerror import COMError
from stempilot_backends.usetem.emulator.struck import FaultDesk

PATH = "/rehearsal"
_HOST = "127.0.0.1"
_LARGEST = 65536
_PATIENCE_S = 2.0
_POLL_S = 0.02
_SWITCHES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "screen": ("screen", {"up": "up", "down": "down"}),
    "valves": ("valves", {"open": "open", "closed": "closed"}),
    "beam_blanker": ("blanked", {"open": False, "blanked": True}),
    "projection": ("diffracting", {"diffraction": True, "imaging": False}),
}
_FILM = ("in", "out")


class RehearsalServer:
    """Serves one emulator's back door in a thread of its own.

    Args:
        bench: the microscope.
        desk: the faults.
    """

    def __init__(self, bench: Bench, desk: FaultDesk) -> None:
        self._bench, self._desk = bench, desk
        self._server: HTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    def start(self, port: int) -> None:
        """Begin to listen on loopback; raises `EmulatorError` where that is not possible."""
        door = self

        class Knock(_Knock):
            routes = door.routes()

        try:
            self._server = _Listener((_HOST, port), Knock)
        except OSError as error:
            msg = f"cannot listen on {_HOST}:{port}: {error.strerror}; set emulator.rehearsal_port"
            raise EmulatorError(msg) from error
        self.url = f"http://{_HOST}:{self._server.server_port}{PATH}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="usetem-rehearsal", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    def routes(self) -> "Routes":
        """Return what is done for each method and path."""
        return {
            ("GET", PATH): lambda _: {"paths": sorted({path for _, path in self.routes()})},
            ("GET", f"{PATH}/faults"): self._show_faults,
            ("POST", f"{PATH}/faults"): self._inject,
            ("DELETE", f"{PATH}/faults"): self._clear,
            ("GET", f"{PATH}/instrument"): lambda _: self._bench.look(),
            ("POST", f"{PATH}/instrument"): self._operate,
            ("GET", f"{PATH}/log"): lambda _: {"log": [asdict(one) for one in self._bench.log()]},
        }

    def _show_faults(self, _: Any) -> dict[str, Any]:
        return {
            "known": [plain(fault) for fault in FAULTS],
            "waiting": list(self._desk.waiting()),
            "struck": self._desk.struck(),
        }

    def _inject(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Inject a fault of the table, by its name and what is to be different, or a new one."""
        known = {fault.name: plain(fault) for fault in FAULTS}
        name = str(values.get("name", "unnamed"))
        if name not in known and "effect" not in values:
            msg = f"no fault is called {name!r}; {meant(name, known)} (a new one needs an effect)"
            raise ConfigError(msg)
        beside = {"name": name, "summary": ""}
        fault = build(Fault, {**beside, **known.get(name, {}), **values}, section="fault")
        self._desk.inject(fault)
        return {"injected": plain(fault)}

    def _clear(self, _: Any) -> dict[str, Any]:
        self._desk.clear()
        self._bench.as_configured()
        return {"waiting": []}

    def _operate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn knobs to where they are told, set switches, and change film and aperture by hand."""
        states, by_hand = {}, {}
        knobs = self._bench.look()["knobs"]
        for name, value in values.items():
            if name in knobs:
                wanted = tuple(float(item) for item in value)
                self._bench.write(name, wanted, by="operator")
            elif name in _SWITCHES and value in _SWITCHES[name][1]:
                states[_SWITCHES[name][0]] = _SWITCHES[name][1][value]
            elif (name == "film" and value in _FILM) or name == "semi_angle_rad":
                by_hand[name] = value if name == "film" else float(value)
            else:
                choices = {switch: list(choice) for switch, (_, choice) in _SWITCHES.items()}
                choices["film"] = list(_FILM)
                msg = f"{name} = {value!r} is unknown; knobs: {', '.join(knobs)}; or {choices}"
                raise ValueError(msg)
        if by_hand:
            self._bench.operate(**by_hand)
        self._bench.switch(by="operator", **states)
        return self._bench.look()


Routes = Mapping[tuple[str, str], Callable[[Any], dict[str, Any]]]


class _Listener(HTTPServer):
    """Says nothing of a client that hung up before it was answered."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Knock(BaseHTTPRequestHandler):
    """One request; what it cannot make sense of is answered with 400 and the reason."""

    routes: Routes
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        self._reply()

    def do_POST(self) -> None:
        self._reply()

    def do_DELETE(self) -> None:
        self._reply()

    def _reply(self) -> None:
        route = self.routes.get((self.command, self.path))
        if route is None:
            self._say(404, {"error": f"no {self.command} {self.path}; see GET {PATH}"})
            return
        try:
            self._say(200, route(self._body()))
        except (BackendError, ConfigError, COMError, TypeError, ValueError) as error:
            self._say(400, {"error": str(error)})

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length", 0))
        if not 0 <= length <= _LARGEST:
            msg = f"the request has {length} bytes, at most {_LARGEST} are read"
            raise ValueError(msg)
        content = json.loads(self.rfile.read(length) or b"{}")
        if not isinstance(content, dict):
            msg = f"{content!r} is not a JSON object"
            raise TypeError(msg)
        return content

    def _say(self, code: int, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        del format, args
