"""The virtual Themis: a bench, the server in front of it, and a door at the back for rehearsals."""

import threading
from collections.abc import Mapping
from typing import Any

from stempilot import Emulator, KnobValue
from stempilot.faults import Fault
from stempilot_backends.usetem.emulator.bench import Bench, Command
from stempilot_backends.usetem.emulator.config import EmulatorConfig
from stempilot_backends.usetem.emulator.methods import STIGMATOR, Methods
from stempilot_backends.usetem.emulator.rehearsal import RehearsalServer
from stempilot_backends.usetem.emulator.struck import FaultDesk
from stempilot_backends.usetem.emulator.wire import PATH, WireServer


class ThemisEmulator(Emulator):
    """A USETEM server of a Themis that is not there. It is `stempilot.testing.Faulty`.

    Args:
        config: its options.
        seed: which instrument it is, and all its noise.
    """

    def __init__(self, config: EmulatorConfig, seed: int) -> None:
        self._config = config
        self._stopping = threading.Event()
        self._desk = FaultDesk()
        self._bench = Bench(config, seed, self._stopping.wait)
        repaired = (STIGMATOR,) if config.stigmator == "repaired" else ()
        methods = Methods(self._bench, repaired)
        self._wire = WireServer(methods, self._bench, self._desk, self._stopping)
        self._rehearsal = RehearsalServer(self._bench, self._desk)

    def start(self, host: str, port: int) -> str:
        """Begin to answer on the port, and on loopback for rehearsals."""
        self._bench.warm_up()
        self._rehearsal.start(self._config.rehearsal_port)
        self._wire.start(host, port)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._wire.port}{PATH}"

    def close(self) -> None:
        """Stop answering."""
        self._stopping.set()
        self._wire.close()
        self._rehearsal.close()

    def endpoints(self) -> Mapping[str, str]:
        """Return where faults are injected and the truth is told."""
        return {"rehearsal": self._rehearsal.url}

    def inject(self, fault: Fault) -> None:
        """Let a fault strike from now on."""
        self._desk.inject(fault)

    def clear(self) -> None:
        """Take all faults away; beam, screen, valves and blanker are as the options say."""
        self._desk.clear()
        self._bench.as_configured()

    def struck(self) -> dict[str, int]:
        """Return how many calls each fault has struck, by name."""
        return self._desk.struck()

    def position(self, knob: str) -> KnobValue:
        """Return where a knob stands, whatever is read back."""
        return self._bench.position(knob)

    def turn(self, knob: str, by: KnobValue) -> None:
        """Turn a knob as an operator would, by so much per component."""
        self._bench.turn(knob, by)

    def operate(self, **changes: Any) -> None:
        """Change by hand what no call changes, as an operator would; see `Simulator.operate`."""
        self._bench.operate(**changes)

    def log(self) -> tuple[Command, ...]:
        """Return the commands that took effect, the oldest first."""
        return self._bench.log()

    def look(self) -> dict[str, Any]:
        """Return all there is to know, the truth included, as plain JSON values."""
        return self._bench.look()
