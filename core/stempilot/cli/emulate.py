"""``stempilot emulate``."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from stempilot.cli import options as o, render

_POLL_S = 0.1


def emulate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of an emulator.")],
    host: Annotated[
        str, typer.Option("--host", help="Interface to listen on. There is no password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any.")] = 8001,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which instrument it is.")] = 0,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="TOML file with a section emulator."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="emulator.KEY=VALUE", help="An option; may be repeated."),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Stand in for an instrument's server, to rehearse without one, until Ctrl-C.

    Its options are in section emulator, for example --set emulator.preset=random.
    """
    from stempilot.contract.emulator import Emulator
    from stempilot.instrument.signals import stop_requests
    from stempilot.plugins.options import read_settings
    from stempilot.plugins.parts import part
    from stempilot.plugins.registry import discover

    values = read_settings(config, settings or (), sections=("emulator",))["emulator"]
    made = part(discover(), "emulator", name, values)
    emulator: Emulator = made.load(seed)
    with stop_requests() as stop_asked, emulator:
        url = emulator.start(host, port)
        told = {"url": url, "pid": os.getpid(), **emulator.endpoints()}
        render.result(told, json_wanted=as_json)
        while not stop_asked():
            time.sleep(_POLL_S)
