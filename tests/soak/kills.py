"""Kills commands at random moments against the emulator: is the instrument home afterwards?

    python -m tests.soak.kills --kills 500 --seed 1

Each kill draws a command (train, run, relearn, resume, restore), a signal and a moment, from before
the first write to after the last one. Then the next run is started. Either the instrument is home
and it begins, or it refuses and prints a command, which is carried out, after which the instrument
is home and the run begins. No run directory may be unreadable, and no lock may keep a free
instrument busy.

Commands are forked from a process that has imported all they need, so that the moments fall on what
they do and not on imports. Needs POSIX.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from attrs import define, field

from stempilot.errors import StempilotError
from stempilot.instrument.envelope_file import write_envelope
from stempilot.instrument.lock import FOLDER_VARIABLE
from stempilot.plugins.parts import part
from stempilot.plugins.registry import discover
from stempilot.record.run_dir import RunDir
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, plan_train

TASK, BACKEND, SHIFT = "bf-disk-centering", "usetem-themis", "diffraction_shift"
HOME = (0.012, -0.021)
TOLERANCE_RAD = 2e-5
PATIENCE_S = 90.0
MAIN = "from stempilot.cli import main; main()"
COMMANDS = ("train", "run", "relearn", "resume", "restore")
BLOWS = ("KILL", "TERM", "INT", "INT twice", "HUP", "USR1", "USR2", "QUIT", "STOP then CONT")
STEPS = 6
_NOT_BACK, _INTERRUPTED = 5, 130
SMALL = ("--set", "agent.learning_starts=2", "--set", "agent.hidden_sizes=[8]")
BRIEF = ("--set", "run.max_timesteps=1", "--frames", "none")
SHORT = ("--set", "run.max_timesteps=3")


class Blow(NamedTuple):
    """One kill: what, with what, and when."""

    command: str
    name: str
    after_s: float


class Outcome(NamedTuple):
    """What came of a kill: whether a restore was needed, and what is wrong."""

    restored: bool
    wrong: str


@define
class Lab:
    """An emulator, a folder and the processes in it."""

    folder: Path
    url: str
    door: str
    lasts_s: dict[str, float] = field(factory=dict)
    count: int = 0

    def position(self) -> tuple[float, ...]:
        """Return where the knob truly stands."""
        with urllib.request.urlopen(f"{self.door}/instrument", timeout=20) as answer:  # noqa: S310
            return tuple(json.load(answer)["knobs"][SHIFT])

    def turn(self, place: tuple[float, ...]) -> None:
        """Turn the knob as an operator would."""
        body = json.dumps({SHIFT: list(place)}).encode()
        with urllib.request.urlopen(f"{self.door}/instrument", body, timeout=20):  # noqa: S310
            pass

    def is_home(self) -> bool:
        """Return whether the knob stands where it began."""
        return all(abs(a - b) <= TOLERANCE_RAD for a, b in zip(self.position(), HOME, strict=True))

    def words(self, command: str, out: Path) -> list[str]:
        """Return a command line that ends at home."""
        on = ["--backend", BACKEND, "--set", f"backend.url={self.url}", "--envelope", "e.toml"]
        new = [*on, "--yes", "--out", str(out), "--json"]
        learn = [*new, *SHORT, "--steps", str(STEPS), "--set", "run.checkpoint_every=3"]
        return {
            "train": ["train", TASK, "--agent", "sac", *SMALL, *learn],
            "relearn": ["relearn", "trained", *learn],
            "resume": ["train", "--resume", str(out), "--steps", "12", "--yes", "--json"],
            "run": ["run", TASK, "--agent", "random", *new, "--episodes", "2", *SHORT],
            "restore": ["restore", str(out), "--json"],
            "next": ["run", TASK, "--agent", "adaptive", "--put-back", *new, *BRIEF],
        }[command]

    def prepared(self, command: str) -> Path:
        """Return the run directory that a command is about, made where it must be there."""
        self.count += 1
        out = self.folder / f"{self.count:04d}-{command}"
        if command == "resume":
            shutil.copytree("trained", out)
        if command == "restore":
            process = self.start("train", out)
            self.until(lambda: not self.is_home() or process.poll() is not None)
            process.strike(signal.SIGKILL)
            process.wait()
            # Far away, so that the way home takes many steps.
            self.turn((HOME[0] + 0.2, HOME[1] - 0.2))
        return out

    def start(self, command: str, out: Path, words: list[str] | None = None) -> "Forked":
        """Start a command in a process of its own."""
        return Forked.of(words or self.words(command, out), out.with_suffix(".txt"))

    def until(self, what: Callable[[], bool]) -> None:
        """Wait until something holds."""
        end_s = time.monotonic() + PATIENCE_S
        while not what():
            if time.monotonic() > end_s:
                msg = "waited in vain"
                raise TimeoutError(msg)
            time.sleep(0.002)

    def rehearse(self) -> None:
        """Let each command come to its end once, to know how long it lasts."""
        for command in ("train", "run", "relearn", "resume", "restore"):
            out = self.prepared(command)
            since_s = time.monotonic()
            process = self.start(command, out)
            code = process.wait()
            self.lasts_s[command] = time.monotonic() - since_s
            if code != 0 or not self.is_home():
                msg = f"{command} ended with {code} at {self.position()}: {process.said()}"
                raise RuntimeError(msg)
            if command == "train":
                shutil.copytree(out, "trained")

    def strike(self, blow: Blow) -> Outcome:
        """Kill a command, and see what the next run finds."""
        out = self.prepared(blow.command)
        process = self.start(blow.command, out)
        time.sleep(blow.after_s)
        process.suffer(blow.name)
        code = process.wait()
        if code is None:
            return Outcome(False, f"it did not end: {process.said()}")
        # 5 says that it is not home; so does a restore that was interrupted. What a signal ended at
        # once could say nothing.
        said = code < 0 or code == _NOT_BACK or (blow.command == "restore" and code == _INTERRUPTED)
        if not said and not self.is_home():
            return Outcome(False, f"exit {code} at {self.position()}: {process.said()}")
        return self.next_run(out)

    def next_run(self, out: Path) -> Outcome:
        """Start the next run, and do what it says."""
        wrong = unreadable(out)
        began, said = self.attempt()
        if began:
            return Outcome(False, wrong or self.displaced("the next run began"))
        found = re.search(r"`stempilot (restore [^`]+)`", said)
        if found is None:
            return Outcome(False, f"the next run printed no command: {said}")
        process = self.start("", self.folder / "printed", shlex.split(found[1]))
        code = process.wait()
        if code != 0:
            return Outcome(True, f"{found[1]}: exit {code}: {process.said()}")
        wrong = wrong or self.displaced(found[1])
        began, said = self.attempt()
        return Outcome(True, wrong or ("" if began else f"still refused: {said}"))

    def attempt(self) -> tuple[bool, str]:
        """Return whether a plain run begins, and what it said."""
        self.count += 1
        process = self.start("next", self.folder / f"{self.count:04d}-next")
        # The task may fail in so short a run; what matters is that it began and ended.
        return process.wait() in {0, 1}, process.said()

    def displaced(self, after: str) -> str:
        """Return what is wrong where the knob is not home."""
        return "" if self.is_home() else f"after {after} it stands at {self.position()}"


@define
class Forked:
    """A command in a process that was forked from this one."""

    pid: int
    file: Path
    code: int | None = None

    @classmethod
    def of(cls, words: list[str], file: Path) -> "Forked":
        """Start the command line; what it prints goes into a file."""
        sys.stdout.flush()
        sys.stderr.flush()
        code = 1
        # Nothing must strike the child before it is the command, or it would end as this process.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return cls(pid, file)
        try:
            code = _child(words, file)
        finally:
            os._exit(code)

    def poll(self) -> int | None:
        """Return the exit code once there is one; negative for a signal."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, patience_s: float = PATIENCE_S) -> int | None:
        """Return the exit code; ``None`` if the process does not end, which then is killed."""
        end_s = time.monotonic() + patience_s
        while self.poll() is None and time.monotonic() < end_s:
            time.sleep(0.005)
        if self.code is None:
            self.strike(signal.SIGKILL)
            os.waitpid(self.pid, 0)
        return self.code

    def strike(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def suffer(self, name: str) -> None:
        """Send what a kill is called."""
        if name == "INT twice":
            self.strike(signal.SIGINT)
            time.sleep(0.02)
            self.strike(signal.SIGINT)
        elif name == "STOP then CONT":
            self.strike(signal.SIGSTOP)
            time.sleep(0.3)
            self.strike(signal.SIGCONT)
        else:
            self.strike(getattr(signal, f"SIG{name}"))

    def said(self) -> str:
        """Return the end of what it printed."""
        return self.file.read_text(errors="replace")[-3000:] if self.file.exists() else ""


def _child(words: list[str], file: Path) -> int:
    """Be the command; return its exit code."""
    from stempilot.cli import main

    for name in ("HUP", "TERM", "USR1", "USR2", "QUIT", "XCPU"):
        signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with file.open("ab") as output:
        for number in (1, 2):
            os.dup2(output.fileno(), number)
    # Not those of whoever forked this, such as pytest's.
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = ["stempilot", *words]
    code: Any = 0
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        main()
    except SystemExit as ended:
        code = ended.code or 0
    except KeyboardInterrupt:
        code = 130
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    return code if isinstance(code, int) else 1


def unreadable(out: Path) -> str:
    """Return what of a run directory cannot be read."""
    if not (out / "record.json").exists():
        return "" if not (out / "baseline.json").exists() else f"{out} has no record"
    try:
        run = RunDir.open(out)
        run.baseline()
        if run.progress() is not None:
            run.agent_folder()
    except StempilotError as error:
        return str(error)
    return ""


@contextlib.contextmanager
def lab(seed: int, *options: str, **backend: Any) -> Iterator[Lab]:
    """Set up an emulator and a folder, which becomes the working folder, with locks of its own.

    Args:
        seed: of the emulator.
        options: more of its command line.
        backend: options of the backend that the envelope is written for.
    """
    before, locks = Path.cwd(), os.environ.get(FOLDER_VARIABLE)
    emulate = ("emulate", BACKEND, "--port", "0", "--seed", str(seed), "--json")
    quick = ("--set", "emulator.realtime=false")
    with (
        tempfile.TemporaryDirectory(prefix="kills-") as folder,
        subprocess.Popen(
            [sys.executable, "-c", MAIN, *emulate, *quick, *options], stdout=-1
        ) as server,
    ):
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            os.environ[FOLDER_VARIABLE] = str(Path(folder, "locks"))
            os.chdir(folder)
            made = Lab(Path(folder), told["url"], told["rehearsal"])
            chosen = {"url": made.url, **backend}
            loaded = part(discover(), "backend", BACKEND, chosen).load(_opening())
            # A careful site lists the one knob; where others are moved, it is all that is offered.
            suggestion = None if backend else loaded.suggest_envelope()
            write_envelope(Path("e.toml"), BACKEND, loaded.offers(), suggestion)
            careful = Path("e.toml").read_text()
            Path("e.toml").write_text(
                careful.replace("writes_per_s = 25.0", "writes_per_s = 250.0")
            )
            made.turn(HOME)
            yield made
        finally:
            os.chdir(before)
            os.environ.pop(FOLDER_VARIABLE)
            if locks is not None:
                os.environ[FOLDER_VARIABLE] = locks
            server.terminate()


def _opening() -> Any:
    from stempilot.contract.backend import Opening

    return Opening()


def imported() -> None:
    """Import all that the commands need, once for all of them."""
    import torch

    torch.set_num_threads(1)
    small = {"learning_starts": 1, "hidden_sizes": [8]}
    quick = {"run": {"max_timesteps": 2, "evaluate": False}, "agent": small}
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_train(
            discover(),
            task=TASK,
            agent="sac",
            steps=3,
            settings=quick,
            extras=Extras(out=Path(folder, "run")),
        )
        execute(plan)


def drawn(chance: random.Random, lasts_s: dict[str, float], commands: list[str]) -> Blow:
    """Return a kill that has not been."""
    command = chance.choice(commands)
    return Blow(command, chance.choice(BLOWS), chance.uniform(0.0, 1.05 * lasts_s[command]))


def kill(count: int, seed: int, commands: list[str], say: Callable[[str], None]) -> list[str]:
    """Kill so many times; return what went wrong."""
    imported()
    say(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    wrong: list[str] = []
    tally: Counter[str] = Counter()
    with lab(seed % 1000) as made:
        made.rehearse()
        say("  ".join(f"{name} {lasts:.1f} s" for name, lasts in made.lasts_s.items()))
        for number in range(count):
            blow = drawn(chance, made.lasts_s, commands)
            outcome = made.strike(blow)
            tally.update([blow.command, blow.name])
            tally["needed restore"] += outcome.restored
            if outcome.wrong:
                said = f"kill {number} of seed {seed}, {blow}: {outcome.wrong}"
                wrong.append(said)
                say(said)
                made.turn(HOME)
                shutil.rmtree(made.folder / "locks", ignore_errors=True)
            for path in made.folder.glob("[0-9]*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if number % 50 == 49:
                say(f"{number + 1} kills, {len(wrong)} wrong; {dict(tally)}")
    say(f"{count} kills, {len(wrong)} wrong; {dict(tally)}")
    return wrong


def told(text: str) -> None:
    """Print a line at once, so that it can be watched."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="Kill commands at random moments.")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--commands", default=",".join(COMMANDS))
    given = parser.parse_args()
    wrong = kill(given.kills, given.seed, given.commands.split(","), told)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
