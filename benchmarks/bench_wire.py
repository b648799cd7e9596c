"""Time of a frame over the USETEM wire, against Python's stock XML-RPC client in the same run.

A server in a process of its own hands out one int32 frame of 1040 x 1040, pickled and marshalled
again for each call, as the real one does. The stock client is left as it is (so it asks for gzip),
and its time ends with the pickle in hand; ours ends with the pixels. A second figure is what the
backend adds to a bare loop that only writes and fetches.

Run it as ``python benchmarks/bench_wire.py``.
"""

import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from xmlrpc.client import Binary, ServerProxy
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

import numpy as np

from stempilot.contract.backend import Opening
from stempilot_backends.usetem.client.backend import UsetemThemis
from stempilot_backends.usetem.client.camera import Camera
from stempilot_backends.usetem.client.config import UsetemThemisConfig
from stempilot_backends.usetem.client.server import Server

SIDE_PX = 1040
REPETITIONS = 15
SHIFT = "projection.diffractionShift"


class Themis:
    """As much of the server as the figures need; each exposure turns the frame by a row."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        noise = 60 + rng.poisson(30, (SIDE_PX, SIDE_PX)).astype(np.int32)
        self.frame = np.asfortranarray(noise)
        self.shift: object = [0.0, 0.0]

    def _dispatch(self, method: str, params: list[object]) -> object:
        if method == SHIFT and params:
            self.shift = params[0]
            return None
        if method.endswith("acquireImages"):
            self.frame[:, 0] += 1
            return Binary(pickle.dumps([self.frame], 4))
        answers = {
            SHIFT: self.shift,
            "projection.cameraLengthIndex": 6,
            "camera.mainScreenPosition": 3,
            "vacuum.columnValvesOpen": True,
            "illumination.isBeamBlanked": False,
            "projection.mode": 2,
            "isSTEMAvailable": True,
            "camera.screenCurrent": 1e-11,
        }
        return answers.get(method)


def serve() -> None:
    """Print the port, then serve until killed."""

    class Handler(SimpleXMLRPCRequestHandler):
        rpc_paths = ("/temscript",)

    server = SimpleXMLRPCServer(("127.0.0.1", 0), Handler, logRequests=False, allow_none=True)
    server.register_instance(Themis())
    server.register_multicall_functions()
    print(server.server_address[1], flush=True)
    server.serve_forever()


def measure(repetitions: int = REPETITIONS) -> dict[str, float]:
    """Return medians in milliseconds and their ratio; all contenders take turns."""
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="ascii") as process:
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{int(process.stdout.readline())}/temscript"
            figures = _medians(url, repetitions)
        finally:
            process.kill()
    frame = figures["frame, this client [ms]"]
    return {
        **figures,
        "over the stock client": frame / figures["frame, stock client [ms]"],
        "over the stock client without gzip": frame / figures["frame, stock without gzip [ms]"],
        "added to a bare correction [ms]": figures["correction [ms]"] - figures["bare loop [ms]"],
    }


def _medians(url: str, repetitions: int) -> dict[str, float]:
    config = UsetemThemisConfig(url=url)
    server = Server(config)
    camera = Camera(config, server)
    plain = ServerProxy(url, allow_none=True)
    plain("transport").accept_gzip_encoding = False
    with UsetemThemis(config, Opening()) as backend:
        contenders: dict[str, Callable[[], object]] = {
            "frame, stock client [ms]": ServerProxy(url).acquisition.acquireImages,
            "frame, stock without gzip [ms]": plain.acquisition.acquireImages,
            "frame, this client [ms]": camera.fetch,
            "shift read [ms]": lambda: server.call(SHIFT),
            "bare loop [ms]": lambda: (server.call(SHIFT, [0.0, 0.0]), camera.fetch()),
            "correction [ms]": lambda: correction(backend),
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for repetition in range(repetitions + 1):
            for name, contender in contenders.items():
                start = time.perf_counter()
                contender()
                if repetition:
                    times[name].append(time.perf_counter() - start)
    return {name: 1e3 * float(np.median(found)) for name, found in times.items()}


def correction(backend: UsetemThemis) -> None:
    """Do what one timestep of centring asks of the backend."""
    x, y = backend.read("diffraction_shift")
    backend.write("diffraction_shift", (1e-3 - x, y))
    backend.read("diffraction_shift")
    backend.acquire("flucam")
    backend.read("diffraction_shift")
    backend.read("camera_length_index")
    backend.state("screen")
    backend.state("beam_blanker")


def main() -> None:
    """Print the figures."""
    for name, value in measure().items():
        print(f"{name:36} {value:10.3f}")


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
