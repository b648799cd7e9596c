"""A run that lasts: ``python -m tests.soak.long_run --minutes 120``.

An evaluation through the emulator of a Themis without latency, in processes of their own. Memory,
descriptors and files are counted every `EVERY` lines of events; once the first quarter is over they
must be flat: not one more descriptor or file, and at most `MOST_KIB` of memory per 1,000 lines,
which is what an evaluation remembers of its episodes for the figures at the end.

Linux only: it reads ``/proc``.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from attrs import frozen
from tests.wire.virtual import BACKEND, TASK, envelope

from stempilot.plugins.registry import discover
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, plan_run
from stempilot.runs.progress import Progress

MOST_KIB = {"run_kib": 256.0, "emulator_kib": 1024.0}
"""The emulator fills a log of its last 100,000 commands, to be rehearsed by."""

EVERY = 100
EPISODES = 10_000_000


@frozen(kw_only=True)
class Sample:
    """What the run and the emulator have after so many timesteps."""

    timesteps: int
    run_kib: float
    emulator_kib: float
    descriptors: int
    files: int


def resident_kib(process: int | str) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


@contextlib.contextmanager
def emulator() -> Iterator[tuple[int, str]]:
    """Yield process and address of an emulator that does not wait for anything."""
    words = "-m stempilot emulate usetem-themis --port 0 --json --set emulator.realtime=false"
    with subprocess.Popen(
        [sys.executable, *words.split()], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            lines = ""
            assert process.stdout is not None
            while "}" not in lines:
                lines += process.stdout.readline()
            yield process.pid, json.loads(lines)["url"]
        finally:
            process.terminate()


def soak(minutes: float, folder: Path, *, most: int = EPISODES) -> list[Sample]:
    """Run for so long, or so many episodes, and return what was counted."""
    samples: list[Sample] = []
    with emulator() as (process, url):

        def count(_: Progress) -> None:
            timesteps = lines_of(run / "events.jsonl")
            if timesteps < EVERY * len(samples):
                return
            samples.append(
                Sample(
                    timesteps=timesteps,
                    run_kib=resident_kib("self"),
                    emulator_kib=resident_kib(process),
                    descriptors=len(list(Path("/proc/self/fd").iterdir())),
                    files=sum(1 for _ in run.rglob("*")),
                )
            )
            sys.stdout.write(f"{samples[-1]}\n")
            sys.stdout.flush()

        run = folder / "run"
        lines_of = Lines()
        plan = plan_run(
            discover(),
            task=TASK,
            agent="adaptive",
            backend=BACKEND,
            episodes=most,
            settings={"backend": {"url": url, "pixel_mrad": [[6, 0.565]]}},
            extras=Extras(seed=1, out=run, envelope=envelope(), minutes=minutes),
        )
        result = execute(plan, on_progress=count)
        sys.stdout.write(f"{result['episodes']} episodes, success {result['success_rate']}\n")
    return samples


class Lines:
    """Counts the lines of a file that grows, reading each byte once."""

    def __init__(self) -> None:
        self._read = self._count = 0

    def __call__(self, path: Path) -> int:
        with path.open("rb") as file:
            file.seek(self._read)
            while block := file.read(2**20):
                self._read += len(block)
                self._count += block.count(b"\n")
        return self._count


def growths(samples: list[Sample]) -> dict[str, float]:
    """Return how much each count grows per 1,000 lines once the first quarter is over.

    It is the median step between the lowest counts of up to ten stretches: neither frames that are
    held for a moment nor what is compiled once for a rare frame is a leak.
    """
    late = samples[len(samples) // 4 :]
    size = max(1, len(late) // 10)
    stretches = [late[first : first + size] for first in range(0, len(late) - size + 1, size)]
    lines = size * (late[-1].timesteps - late[0].timesteps) / max(1, len(late) - 1)
    found = {}
    for name in ("run_kib", "emulator_kib", "descriptors", "files"):
        lowest = [min(getattr(sample, name) for sample in stretch) for stretch in stretches]
        found[name] = float(np.median(np.diff(lowest))) * 1_000 / lines
    return found


def problems(samples: list[Sample]) -> list[str]:
    """Return what was not flat."""
    found = growths(samples)
    late = samples[len(samples) // 4 :]
    wrong = [
        f"{name} grew by {found[name]:.1f} KiB per 1,000 timesteps"
        for name, most in MOST_KIB.items()
        if found[name] > most
    ]
    return wrong + [
        f"{name} grew from {getattr(late[0], name)} to {getattr(late[-1], name)}"
        for name in ("descriptors", "files")
        if getattr(late[-1], name) > getattr(late[0], name)
    ]


def main() -> None:
    """Run, and tell what grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = soak(asked.minutes, Path(folder))
    if len(samples) < 4:
        sys.exit(f"too short to tell: fewer than {3 * EVERY} lines of events")
    wrong = problems(samples)
    sys.stdout.write(f"{samples[-1].timesteps} lines of events; per 1,000: {growths(samples)}\n")
    sys.stdout.write("".join(f"{one}\n" for one in wrong) or "flat\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
