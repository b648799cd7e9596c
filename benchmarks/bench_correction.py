"""What everything above the wire adds to a correction on a virtual Themis.

The bare loop only writes the diffraction shift and fetches a frame (int32, 1040 x 1040) from the
emulator, in a process of its own. A correction does that too, and reads back, checks, finds the
disk, decides and records: it is a timestep of ``stempilot run --agent adaptive``. Without latency
the difference tells what is added (at most 10 ms); at the paper's 170 ms the rates tell what is
left (at least 0.95).
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import stempilot
from stempilot.contract.backend import Opening
from stempilot.instrument.envelope import open_envelope
from stempilot.record.figures import PAPER_PER_S
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, plan_run
from stempilot_backends.usetem.client.backend import UsetemThemis
from stempilot_backends.usetem.client.camera import Camera
from stempilot_backends.usetem.client.config import UsetemThemisConfig
from stempilot_backends.usetem.client.server import Server

BACKEND, SHIFT = "usetem-themis", "projection.diffractionShift"
ROUNDS, EPISODES, CORRECTIONS = 5, 4, 20


@contextmanager
def emulator(*settings: str) -> Iterator[str]:
    """Start a virtual Themis in a process of its own; yield its address."""
    words = [sys.executable, "-m", "stempilot", "emulate", BACKEND, "--port", "0", "--seed", "5"]
    words += [word for setting in settings for word in ("--set", setting)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield next(line.split()[1] for line in process.stdout if line.startswith("url"))
        finally:
            process.terminate()


def bare_loop(url: str) -> list[float]:
    """Return the times of so many rounds of nothing but a write and a frame, in seconds."""
    config = UsetemThemisConfig(url=url)
    server = Server(config)
    camera = Camera(config, server)
    camera.put_up()
    times = []
    for number in range(CORRECTIONS + 1):
        started = time.perf_counter()
        server.call(SHIFT, [1e-3 * (number % 2), 0.0])
        camera.fetch()
        times.append(time.perf_counter() - started)
    server.call(SHIFT, [0.0, 0.0])
    camera.take_down()
    return times[1:]


def corrections(url: str, out: Path) -> dict[str, Any]:
    """Return the pace of an evaluation of ``adaptive``."""
    offers = UsetemThemis(UsetemThemisConfig(url=url), Opening()).offers()
    plan = plan_run(
        stempilot.discover(),
        task="bf-disk-centering",
        agent="adaptive",
        backend=BACKEND,
        episodes=EPISODES,
        settings={"backend": {"url": url}},
        extras=Extras(seed=1, out=out, envelope=open_envelope(BACKEND, offers)),
    )
    return execute(plan)


def both(folder: Path, *settings: str) -> dict[str, float]:
    """Return medians over rounds: cycles in seconds, rates per second, and what is added.

    Each round has a bare loop before and after its evaluation, because machines change their pace.
    """
    rounds = []
    with emulator(*settings) as url:
        for number in range(ROUNDS):
            before = bare_loop(url)
            run = corrections(url, folder / str(number))
            bare = before + bare_loop(url)
            rounds.append(
                {
                    "bare_s": float(np.median(bare)),
                    "bare_per_s": len(bare) / sum(bare),
                    "correction_s": run["cycle_s_median"],
                    "correction_p95_s": run["cycle_s_p95"],
                    "corrections_per_s": run["corrections_per_s"],
                    "added_s": run["cycle_s_median"] - float(np.median(bare)),
                    "share": run["corrections_per_s"] * sum(bare) / len(bare),
                }
            )
    return {name: float(np.median([each[name] for each in rounds])) for name in rounds[0]}


def measure(folder: Path) -> dict[str, float]:
    """Return what is added in milliseconds, and rates at 170 ms beside the paper's."""
    at_once = both(folder / "at-once", "emulator.realtime=false")
    paced = both(folder / "paced")
    return {
        "bare loop without latency [ms]": 1e3 * at_once["bare_s"],
        "correction without latency [ms]": 1e3 * at_once["correction_s"],
        "added to a bare correction [ms]": 1e3 * at_once["added_s"],
        "bare loop at 170 ms [1/s]": paced["bare_per_s"],
        "corrections at 170 ms [1/s]": paced["corrections_per_s"],
        "the paper's corrections [1/s]": PAPER_PER_S,
        "cycle at 170 ms, median [ms]": 1e3 * paced["correction_s"],
        "cycle at 170 ms, 95 % within [ms]": 1e3 * paced["correction_p95_s"],
        "share of the bare rate": paced["share"],
    }
