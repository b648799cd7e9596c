"""Kills workflows at random moments against the emulator: does --resume finish, with all in place?

    python -m tests.soak.workflows --kills 100 --seed 1
    python -m tests.soak.workflows --kills 100 --seed 1 --morning
    python -m tests.soak.workflows --boundaries --morning

The second plays examples/workflows/morning-alignment.toml with a scripted operator. The workflow of
the first centres coarsely, has an operator turn the knob, fails a step, which is skipped, and
centres finely. Each kill draws a signal and a moment; the third kills as soon as a step has begun
or ended, each of them once with KILL and once with INT. Then the workflow is gone on with, as the
messages say: restored where it is told to be, and resumed. It must come to its end, the knobs must
stand where the last steps brought them, and the audit must show that each step that failed was put
back before the next one began. Needs POSIX; see `tests.soak.kills`.
"""

import argparse
import json
import random
import re
import shlex
import shutil
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

from attrs import define
from tests.soak.kills import BACKEND, SHIFT, TOLERANCE_RAD, Forked, Lab, imported, lab, told

from stempilot.files import read_json
from stempilot.instrument.audit import read_audit
from stempilot.record.run_dir import RunDir
from stempilot.workflow.log import STEPS, read_log

BLOWS = ("KILL", "INT", "TERM", "INT twice")
FILE = """
[[steps]]
name = "coarse"
task = "bf-disk-centering"
agent = "adaptive"
options = { tolerance_px = 20.0 }

[[steps]]
name = "turn"
operator = "turn the knob a little"
states = { screen = "down" }

[[steps]]
name = "lost"
task = "bf-disk-centering"
agent = "random"
options = { step_limit = 3, tolerance_px = 0.01 }
retries = 1
on_failure = "skip"

[[steps]]
name = "fine"
task = "bf-disk-centering"
agent = "adaptive"
options = { goal_px = [60.0, -40.0] }
"""
TURNED_RAD = 0.003
EMULATOR_SEED = 4
"""Its disk starts well inside the frame; that of some seeds is cut, so that no step can begin."""
PATIENCE_S = 600.0
_DONE, _NOT_BACK, _MOST_TRIES = 0, 5, 6
_LOOK_EVERY_S = 0.002


MORNING = Path(__file__).parents[2] / "examples" / "workflows" / "morning-alignment.toml"
STEPS_OF_MORNING = {
    "film-in": {"film": "in", "semi_angle_rad": 0.03, "camera_length_index": [15]},
    "film-out": {"film": "out", "semi_angle_rad": 0.0173, "camera_length_index": [6]},
}
EMULATOR_OF_MORNING = ("emulator.stigmator=repaired", "emulator.probe_current_a=1e-10")
BACKEND_OF_MORNING = {"stigmator": True, "pixel_mrad": [[6, 0.565], [15, 0.0753]]}


_TOLERANCES = {"stem_defocus": 1e-10}


class Blow(NamedTuple):
    """A kill: its signal, and after how many seconds or at how many lines of the log."""

    name: str
    after_s: float = 0.0
    lines: int = 0

    def strike(self, process: Forked, out: Path) -> None:
        """Wait for the moment, and kill."""
        time.sleep(self.after_s)
        while self.lines and process.poll() is None and _lines(out) < self.lines:
            time.sleep(_LOOK_EVERY_S)
        process.suffer(self.name)


def _lines(out: Path) -> int:
    return (out / STEPS).read_bytes().count(b"\n") if (out / STEPS).exists() else 0


@define
class Flow:
    """A workflow in a lab."""

    made: Lab
    options: dict[str, Any]

    def begun(self, out: Path) -> list[str]:
        """Return the words that begin it."""
        chosen = {"url": self.made.url, **self.options}
        words = [f"backend.{name}={json.dumps(value)}" for name, value in chosen.items()]
        on = [each for word in words for each in ("--set", word)]
        on += ["--backend", BACKEND, "--envelope", "e.toml"]
        return ["workflow", "run", "flow.toml", *on, "--yes", "--out", str(out), "--json"]

    def knobs(self) -> dict[str, tuple[float, ...]]:
        """Return where all knobs truly stand."""
        with urllib.request.urlopen(f"{self.made.door}/instrument", timeout=20) as answer:  # noqa: S310
            return {name: tuple(value) for name, value in json.load(answer)["knobs"].items()}

    def operate(self, **values: Any) -> None:
        """Do something at the instrument as an operator would."""
        body = json.dumps(values).encode()
        with urllib.request.urlopen(f"{self.made.door}/instrument", body, timeout=20):  # noqa: S310
            pass

    def operator(self, question: str) -> bool:
        """Do what a step says; the commands inherit it."""
        values = STEPS_OF_MORNING.get(question.partition(":")[0])
        if values is None:
            x, y = self.made.position()
            values = {SHIFT: [x + TURNED_RAD, y - TURNED_RAD]}
        self.operate(**values)
        return True

    def finish(self, out: Path) -> str:
        """Go on as the messages say until it is done; return what is wrong."""
        said = self.made.folder / "next.txt"
        for _ in range(_MOST_TRIES):
            begun = (out / "workflow.json").exists()
            if begun and read_json(out / "workflow.json")["status"] == "done":
                return self.wrong_in(out)
            said.unlink(missing_ok=True)
            more = ["workflow", "run", "flow.toml", "--resume", str(out), "--yes", "--json"]
            process = self.made.start("", said.with_suffix(""), more if begun else self.begun(out))
            code = process.wait(PATIENCE_S)
            if code == _DONE:
                continue
            found = re.search(r"`stempilot (restore [^`]+)`", process.said())
            if code != _NOT_BACK or found is None:
                return f"exit {code}: {process.said()}"
            process = self.made.start("", self.made.folder / "printed", shlex.split(found[1]))
            if process.wait(PATIENCE_S) != _DONE:
                return f"{found[1]}: {process.said()}"
        return "it was refused again and again"

    def wrong_in(self, out: Path) -> str:
        """Return what of a finished workflow is not as it must be."""
        lines, ends = read_log(out), dict[str, tuple[float, ...]]()
        for number, (begun, ended) in enumerate(pairwise(lines)):
            if begun["event"] != "began" or ended.get("n") != begun["n"]:
                continue
            run = out / str(begun.get("run"))
            baseline = RunDir(run).baseline() if "run" in begun else None
            if baseline is None:
                # Whatever an operator may have turned is no longer known.
                ends = {} if "run" not in begun else ends
                continue
            writes = list(read_audit(run))
            # A write that a blow cut short may have nothing that was read back; more follow it.
            heard = [each for each in writes if each["read_back"] is not None]
            after = baseline.knobs | {each["knob"]: tuple(each["read_back"]) for each in heard}
            ends |= after
            if ended["event"] != "failed":
                continue
            if not near(after, baseline.knobs):
                return f"{run} failed and was left at {after}"
            following = lines[number + 2].get("run") if number + 2 < len(lines) else None
            later = list(read_audit(out / following)) if following else []
            if writes and later and _end_s(writes[-1]) > later[0]["at_s"]:
                return f"{run} was put back after {following} began"
        stands = self.knobs()
        return "" if near(ends, stands) else f"it stands at {stands}, not at {ends}"


def _end_s(write: dict[str, Any]) -> float:
    return float(write["at_s"] + write["duration_s"])


def near(wanted: Mapping[str, Sequence[float]], found: Mapping[str, Sequence[float]]) -> bool:
    """Return whether knobs stand where they are wanted."""
    return all(
        abs(a - b) <= _TOLERANCES.get(knob, TOLERANCE_RAD)
        for knob, value in wanted.items()
        for a, b in zip(value, found[knob], strict=True)
    )


def kill(
    count: int,
    seed: int,
    say: Callable[[str], None],
    *,
    morning: bool = False,
    boundaries: bool = False,
) -> list[str]:
    """Kill so many workflows, or one at each boundary of a step; return what went wrong."""
    command: Any = import_module("stempilot.cli.workflow")
    imported()
    say(f"seed {seed}")
    before, reports = command.ask_at_terminal, command.write_report_of
    emulator = [word for each in EMULATOR_OF_MORNING for word in ("--set", each)]
    options = BACKEND_OF_MORNING if morning else {}
    with lab(EMULATOR_SEED, *(emulator if morning else ()), **options) as made:
        flow = Flow(made, options)
        command.ask_at_terminal, command.write_report_of = flow.operator, lambda run: None
        try:
            Path("flow.toml").write_text(MORNING.read_text("utf-8") if morning else FILE)
            home = flow.knobs()
            # What is done for the first time takes longer.
            for out in (Path("rehearsal"), Path("rehearsed")):
                lasts_s, lines, found = _rehearsed(flow, out, home)
                if found:
                    return [f"the rehearsal: {found}"]
            say(f"the workflow lasts {lasts_s:.1f} s")
            if boundaries:
                each = product(("KILL", "INT"), range(1, lines + 1))
                return _kills(flow, home, (Blow(name, lines=line) for name, line in each), say)
            return _kills(flow, home, _drawn(seed, lasts_s), say, count)
        finally:
            command.ask_at_terminal, command.write_report_of = before, reports


def _drawn(seed: int, lasts_s: float) -> Iterator[Blow]:
    chance = random.Random(seed)  # noqa: S311 - no secrets
    while True:
        yield Blow(chance.choice(BLOWS), after_s=chance.uniform(0.0, lasts_s))


def _set_up(flow: Flow, home: Mapping[str, Sequence[float]]) -> None:
    """Turn everything as it was at first."""
    film = STEPS_OF_MORNING["film-out"] if flow.options else {}
    flow.operate(**film, **{knob: list(at) for knob, at in home.items() if knob not in film})


def _rehearsed(
    flow: Flow, out: Path, home: Mapping[str, Sequence[float]]
) -> tuple[float, int, str]:
    """Return how long the workflow lasts, the lines of its log, and what is wrong."""
    _set_up(flow, home)
    since_s = time.monotonic()
    process = flow.made.start("", out, flow.begun(out))
    code = process.wait(PATIENCE_S)
    lasts_s = time.monotonic() - since_s
    wrong = flow.wrong_in(out) if code == _DONE else f"exit {code}: {process.said()}"
    return lasts_s, _lines(out), wrong


def _kills(
    flow: Flow,
    home: Mapping[str, Sequence[float]],
    blows: Iterable[Blow],
    say: Callable[[str], None],
    count: int | None = None,
) -> list[str]:
    """Kill until so many blows struck; one that came after the end is none."""
    wrong: list[str] = []
    tally: Counter[str] = Counter()
    for number, blow in enumerate(blows):
        if count is not None and tally["struck"] >= count:
            break
        _set_up(flow, home)
        out = Path(f"{number:04d}")
        process = flow.made.start("", out.with_name(f"{out.name}-first"), flow.begun(out))
        blow.strike(process, out)
        process.wait(PATIENCE_S)
        tally.update([blow.name, "too late" if process.code == _DONE else "struck"])
        if found := flow.finish(out):
            wrong.append(f"kill {number}, {blow}: {found}")
            say(wrong[-1])
            shutil.rmtree(flow.made.folder / "locks", ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
        if number % 10 == 9:
            say(f"{number + 1} kills, {len(wrong)} wrong; {dict(tally)}")
    say(f"{len(wrong)} wrong; {dict(tally)}")
    return wrong


def main() -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="Kill workflows at random moments.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--morning", action="store_true", help="play the example of a morning")
    parser.add_argument("--boundaries", action="store_true", help="kill where steps begin and end")
    given = parser.parse_args()
    wrong = kill(given.kills, given.seed, told, morning=given.morning, boundaries=given.boundaries)
    told("\n".join(wrong) or "nothing is wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
