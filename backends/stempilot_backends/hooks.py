"""Offers the built-in backends and emulators."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from stempilot.contract.plugin import Plugin, hookimpl

if TYPE_CHECKING:
    from stempilot.contract.backend import Backend, Opening
    from stempilot.contract.emulator import Emulator


def _simulator_config() -> type[Any]:
    from stempilot_backends.simulator.options import SimulatorConfig

    return SimulatorConfig


def _load_simulator(config: Any, opening: "Opening") -> "Backend":
    from stempilot_backends.simulator.backend import Simulator

    return Simulator(config, opening)


def _temscript_config() -> type[Any]:
    from stempilot_backends.temscript.config import TemscriptConfig

    return TemscriptConfig


def _load_temscript(config: Any, opening: "Opening") -> "Backend":
    from stempilot_backends.temscript.backend import Temscript

    return Temscript(config, opening)


def _replay_config() -> type[Any]:
    from stempilot_backends.replay.config import ReplayConfig

    return ReplayConfig


def _load_replay(config: Any, opening: "Opening") -> "Backend":
    from stempilot_backends.replay.load import load_replay

    del opening  # what was recorded does not depend on what the session is for
    return load_replay(config)


def _usetem_themis_config() -> type[Any]:
    from stempilot_backends.usetem.client.config import UsetemThemisConfig

    return UsetemThemisConfig


def _load_usetem_themis(config: Any, opening: "Opening") -> "Backend":
    from stempilot_backends.usetem.client.backend import UsetemThemis

    return UsetemThemis(config, opening)


@hookimpl
def stempilot_backends() -> Iterable[Plugin]:
    """Offer the simulator and microscopes."""
    return [
        Plugin(
            name="simulator",
            summary="a column with a 1040 x 1040 FluCam, drawn as noisy pixels",
            config=_simulator_config,
            load=_load_simulator,
            default=True,
        ),
        Plugin(
            name="temscript",
            summary="a microscope behind the package temscript's server",
            config=_temscript_config,
            load=_load_temscript,
        ),
        Plugin(
            name="usetem-themis",
            summary="a microscope behind a USETEM temscript server, for example a Themis",
            config=_usetem_themis_config,
            load=_load_usetem_themis,
        ),
        Plugin(
            name="replay",
            summary="a run recorded with --frames all, played back",
            config=_replay_config,
            load=_load_replay,
        ),
    ]


def _virtual_themis_config() -> type[Any]:
    from stempilot_backends.usetem.emulator.config import EmulatorConfig

    return EmulatorConfig


def _load_virtual_themis(config: Any, seed: int) -> "Emulator":
    from stempilot_backends.usetem.emulator.emulator import ThemisEmulator

    return ThemisEmulator(config, seed)


@hookimpl
def stempilot_emulators() -> Iterable[Plugin]:
    """Offer the virtual Themis."""
    return [
        Plugin(
            name="usetem-themis",
            summary="a virtual Themis behind a USETEM server, to rehearse on",
            config=_virtual_themis_config,
            load=_load_virtual_themis,
        )
    ]
