"""Offers the built-in backends."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from stempilot.hookspecs import Plugin, hookimpl

if TYPE_CHECKING:
    from stempilot.backend import Backend, Opening


def _simulator_config() -> type[Any]:
    from stempilot_backends.simulator.config import SimulatorConfig

    return SimulatorConfig


def _load_simulator(config: Any, opening: "Opening") -> "Backend":
    from stempilot_backends.simulator.backend import Simulator

    return Simulator(config, opening)


@hookimpl
def stempilot_backends() -> Iterable[Plugin]:
    """Offer the simulator."""
    return [
        Plugin(
            name="simulator",
            summary="a column with a 1040 x 1040 FluCam, drawn as noisy pixels",
            config=_simulator_config,
            load=_load_simulator,
        )
    ]
