"""Kills workflows at random moments against the emulator: does --resume finish, with all in place?

    python -m tests.soak.workflows --kills 100 --seed 1

The workflow centres coarsely, has an operator turn the knob, fails a step, which is skipped, and
centres finely. Each kill draws a signal and a moment. Then the workflow is gone on with, as the
messages say: restored where it is told to be, and resumed. It must come to its end, the knob must
stand where the last step brought it, and the audit must show that each step that failed was put
back before the next one began. Needs POSIX; see `tests.soak.kills`.
"""

import argparse
import random
import re
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.soak.kills import BACKEND, SHIFT, TOLERANCE_RAD, Lab, imported, lab, told

from stempilot.files import read_json
from stempilot.instrument.audit import read_audit
from stempilot.record.run_dir import RunDir
from stempilot.workflow.log import read_log

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
_DONE, _NOT_BACK, _MOST_TRIES = 0, 5, 6


def begun(made: Lab, out: Path) -> list[str]:
    """Return the words that begin a workflow."""
    on = ["--backend", BACKEND, "--set", f"backend.url={made.url}", "--envelope", "e.toml"]
    return ["workflow", "run", "flow.toml", *on, "--yes", "--out", str(out), "--json"]


def gone_on_with(out: Path) -> list[str]:
    """Return the words that go on with it."""
    return ["workflow", "run", "flow.toml", "--resume", str(out), "--yes", "--json"]


def finish(made: Lab, out: Path) -> str:
    """Go on as the messages say until it is done; return what is wrong."""
    words = gone_on_with(out) if (out / "workflow.json").exists() else begun(made, out)
    (made.folder / "next.txt").unlink(missing_ok=True)
    for _ in range(_MOST_TRIES):
        if (out / "workflow.json").exists() and read_json(out / "workflow.json")[
            "status"
        ] == "done":
            # It was struck while it printed its result.
            return wrong_in(made, out)
        process = made.start("", made.folder / "next", words)
        code = process.wait()
        if code == _DONE:
            return wrong_in(made, out)
        found = re.search(r"`stempilot (restore [^`]+)`", process.said())
        if code != _NOT_BACK or found is None:
            return f"exit {code}: {process.said()}"
        process = made.start("", made.folder / "printed", shlex.split(found[1]))
        if process.wait() != _DONE:
            return f"{found[1]}: {process.said()}"
        (made.folder / "next.txt").unlink()
    return "it was refused again and again"


def wrong_in(made: Lab, out: Path) -> str:
    """Return what of a finished workflow is not as it must be."""
    lines = read_log(out)
    last: tuple[float, ...] = ()
    for begun_line, ended, *following in zip(lines, lines[1:], [*lines[2:], {}], strict=False):
        if begun_line["event"] != "began" or ended.get("n") != begun_line["n"]:
            continue
        run = out / begun_line.get("run", "")
        baseline = RunDir(run).baseline() if "run" in begun_line else None
        if baseline is None:
            continue
        writes = list(read_audit(run))
        last = tuple(writes[-1]["read_back"]) if writes else baseline.knobs[SHIFT]
        if ended["event"] != "failed":
            continue
        if not near(last, baseline.knobs[SHIFT]):
            return f"{run} failed and was left at {last}"
        after = out / following[0].get("run", "") if following[0].get("run") else None
        later = list(read_audit(after)) if after else []
        if later and writes[-1]["at_s"] + writes[-1]["duration_s"] > later[0]["at_s"]:
            return f"{run} was put back after {after} began"
    stands = made.position()
    return "" if near(stands, last) else f"it stands at {stands}, not at {last}"


def near(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Return whether two places are the same."""
    return all(abs(a - b) <= TOLERANCE_RAD for a, b in zip(one, other, strict=True))


def operated(made: Lab) -> Callable[[str], bool]:
    """Return an operator who does what the step says; the commands inherit it."""

    def turns(question: str) -> bool:
        x, y = made.position()
        made.turn((x + TURNED_RAD, y - TURNED_RAD))
        return True

    return turns


def kill(count: int, seed: int, say: Callable[[str], None]) -> list[str]:
    """Kill so many workflows; return what went wrong."""
    command: Any = import_module("stempilot.cli.workflow")
    imported()
    say(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    wrong: list[str] = []
    tally: Counter[str] = Counter()
    before, reports = command.ask_at_terminal, command.write_report_of
    with lab(seed % 1000) as made:
        command.ask_at_terminal, command.write_report_of = operated(made), lambda run: None
        try:
            Path("flow.toml").write_text(FILE)
            since_s = time.monotonic()
            process = made.start("", Path("rehearsal"), begun(made, Path("rehearsal")))
            if process.wait() != _DONE or (said := wrong_in(made, Path("rehearsal"))):
                return [f"the rehearsal failed: {process.said()} {said}"]
            lasts_s = time.monotonic() - since_s
            say(f"the workflow lasts {lasts_s:.1f} s")
            for number in range(count):
                made.turn((0.012, -0.021))
                out, name = Path(f"{number:04d}"), chance.choice(BLOWS)
                after_s = chance.uniform(0.0, 1.05 * lasts_s)
                process = made.start("", out.with_name(f"{out.name}-first"), begun(made, out))
                time.sleep(after_s)
                process.suffer(name)
                code = process.wait()
                tally.update([name, "ended before" if code == _DONE else "struck"])
                said = finish(made, out) if code != _DONE else wrong_in(made, out)
                if said:
                    wrong.append(f"kill {number} of seed {seed}, {name} at {after_s:.2f} s: {said}")
                    say(wrong[-1])
                    shutil.rmtree(made.folder / "locks", ignore_errors=True)
                shutil.rmtree(out, ignore_errors=True)
                if number % 10 == 9:
                    say(f"{number + 1} kills, {len(wrong)} wrong; {dict(tally)}")
        finally:
            command.ask_at_terminal, command.write_report_of = before, reports
    say(f"{count} kills, {len(wrong)} wrong; {dict(tally)}")
    return wrong


def main() -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="Kill workflows at random moments.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    return 1 if kill(given.kills, given.seed, told) else 0


if __name__ == "__main__":
    sys.exit(main())
