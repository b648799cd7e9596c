"""Run folders as a hostile stranger would make them: ``python -m tests.soak.tampered``.

Each case is a copy of a sound run with one to three changes, to which a command is applied in a
process of its own. None may end with a traceback, change a byte outside of the folder, take more
than `MOST_MIB` above what the sound run takes, or wait longer than `MOST_S` beyond it. Where the
baseline was left alone, ``restore`` must put back.

POSIX only: every case is a fork of a process that has imported everything.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from stempilot import cli, report
from stempilot.files import file_hash, remove_folder
from stempilot.gym import make_env
from stempilot.plugins.registry import discover

MOST_MIB, MOST_S = 300, 10.0
IMPORTED = (
    "stempilot.report",
    "stempilot.runs.restore",
    "stempilot.runs.execute",
    "stempilot_agents.sac_rapid.agent",
    "stempilot_agents.classical.recorded",
    "stempilot_backends.replay.backend",
    "stempilot_backends.simulator.backend",
    "stempilot_tasks.bf_disk_centering.task",
)
"""What takes the time; imported before the first fork."""
TRAIN = (
    "train bf-disk-centering --agent sac-rapid --steps 12 --frames all --json "
    "--set run.evaluate=false --set run.checkpoint_every=5 --set agent.gradient_steps=1 "
    "--set agent.relearn_gradient_steps=1 --set agent.warm_up_updates=1 --out"
)
COMMANDS = {
    "report": "report {run}",
    "restore": "restore {run}",
    "resume": "train --resume {run} --steps 13",
    "policy": "run bf-disk-centering --policy {run} --episodes 1 --out {new}",
    "relearn": "relearn {run} --from-log {run} --steps 1 --out {new}",
    "replay": "run bf-disk-centering --agent recorded --backend replay --set backend.run={run} "
    "--set agent.run={run} --out {new}",
}


@frozen(kw_only=True)
class Ended:
    """How a command ended: its exit code, what it raised, and what it took."""

    code: int
    trace: str
    wall_s: float
    peak_mib: float


def warm_up() -> None:
    """Import and compile what takes the time, before the first fork."""
    for module in IMPORTED:
        import_module(module)
    env = make_env(name="bf-disk-centering", seed=1)
    discover().agent("sac-rapid", env.unwrapped.task)  # type: ignore[attr-defined]
    env.reset()
    env.step(env.action_space.sample())
    env.close()


def attempt(words: list[str], *, limit_s: float) -> Ended:
    """Carry out a command in a fork."""
    trace = Path(tempfile.mkstemp()[1])
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _in_fork(words, trace)
    while time.monotonic() - started < limit_s:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            break
        time.sleep(0.002)
    else:
        os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    told = trace.read_text(errors="replace")
    trace.unlink()
    return Ended(
        code=os.waitstatus_to_exitcode(status),
        trace=told,
        wall_s=time.monotonic() - started,
        peak_mib=usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10),
    )


def _in_fork(words: list[str], trace: Path) -> None:
    code = 70
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        sys.argv = ["stempilot", *words]
        if words[0] != "report":
            # The reports of the other commands are drawn by the same code, which takes seconds.
            report.write_report = lambda run: run / "report.html"
        cli.main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 70
    except BaseException:
        trace.write_text(traceback.format_exc(), errors="replace")
    finally:
        os._exit(code)


# --- what a stranger may do -----------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**53,
    10**40,
    1e308,
    "",
    "x" * 1_000_000,
    "../../outside/precious",
    "/dev/zero",
    "\ud800",
    "$\\frac{1}{0}$<script>",
    [],
    {},
    [[[[]]]],
    [0] * 200_000,
    {str(n): n for n in range(50_000)},
)
"""What a value may become."""


def mutated(content: Any, rng: random.Random) -> Any:
    """Return JSON content with one entry changed, removed, or put into a list."""
    inner = isinstance(content, dict | list) and len(content) > 0
    if not inner or rng.random() < 0.15:
        return rng.choice([[content], rng.choice(VALUES)])
    if isinstance(content, list):
        index = rng.randrange(len(content))
        return [*content[:index], mutated(content[index], rng), *content[index + 1 :]]
    key = rng.choice(list(content))
    rest = {name: value for name, value in content.items() if name != key}
    if rng.random() < 0.15:
        return rng.choice([rest, {**rest, "further": content[key]}])
    return {**content, key: mutated(content[key], rng)}


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


def change_json(path: Path, rng: random.Random) -> None:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, OSError):
        return
    text = as_json(mutated(content, rng))
    if rng.random() < 0.1:
        text = text.replace(b"0", rng.choice([b"NaN", b"-Infinity", b"9" * 5000, b"1e999"]), 1)
    path.write_bytes(text)


def change_line(path: Path, rng: random.Random) -> None:
    lines = path.read_bytes().splitlines()
    if not lines:
        return
    index = rng.randrange(len(lines))
    try:
        lines[index] = as_json(mutated(json.loads(lines[index]), rng))
    except ValueError:
        lines[index] = b"[" * 100_000
    path.write_bytes(b"\n".join(lines) + b"\n")


def change_bytes(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 5, 100])):
        if content:
            content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)


def cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content) + 1)])


def lengthen(path: Path, rng: random.Random) -> None:
    with path.open("ab") as file:
        file.write(rng.choice([b"\0", b"\n", b"{}\n", b"x" * 100_000, b"[],"]))


def grow(path: Path, rng: random.Random) -> None:
    """Make it as large as a file system lets it be, without taking any space."""
    with path.open("ab") as file:
        file.truncate(rng.choice([2**28, 2**30, 2**36, 2**40]))


def fill(path: Path, rng: random.Random) -> None:
    """Fill it with what takes many times its size once it is parsed."""
    unit = rng.choice([b"[],", b"{},", b"1,", b'"a",', b"[[[]]],"])
    count = 7 * 2**20 // len(unit)
    path.write_bytes(b'{"schema":1,"x":[' + unit * count + b"1]}\n")


def replace_by(
    make: Callable[[Path, random.Random], None],
) -> Callable[[Path, random.Random], None]:
    def tamper(path: Path, rng: random.Random) -> None:
        path.unlink()
        make(path, rng)

    tamper.__name__ = make.__name__
    return tamper


def link(path: Path, rng: random.Random) -> None:
    outside = next(one for one in path.parents if one.name == "case").parent / "outside"
    inside = next(one for one in path.parents if one.name == "run")
    same = outside / path.relative_to(inside)
    path.symlink_to(
        rng.choice([same, same, outside / "precious", outside / "nothing", "/dev/zero", path.name])
    )


def pipe(path: Path, rng: random.Random) -> None:
    del rng
    os.mkfifo(path)


def device(path: Path, rng: random.Random) -> None:
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, rng.choice([3, 5, 7, 8])))
    except PermissionError:
        path.symlink_to("/dev/full")


def door(path: Path, rng: random.Random) -> None:
    del rng
    before = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(before)


def folder(path: Path, rng: random.Random) -> None:
    del rng
    path.mkdir()


def nothing(path: Path, rng: random.Random) -> None:
    del path, rng


def second_name(path: Path, rng: random.Random) -> None:
    del rng
    outside = next(one for one in path.parents if one.name == "case").parent / "outside"
    path.hardlink_to(outside / "precious")


def change_array(path: Path, rng: random.Random) -> None:
    shape = rng.choice([(1, 4_000_000), (3, 3), (8192, 8191), (0, 5), (2,) * 20, (40, 799)])
    kind = rng.choice(["<u1", "<u2", "<f8", ">f4", "|b1"])
    array = np.zeros(shape, kind) if np.prod(shape) * 8 < 2**28 else np.zeros(shape, "u1")
    if array.dtype.kind == "f" and rng.random() < 0.5:
        array[...] = rng.choice([np.nan, np.inf, 1e30])
    with path.open("wb") as file:
        np.save(file, array)


def change_header(path: Path, rng: random.Random) -> None:
    """Rewrite the header of an NPY or a safetensors file."""
    content = path.read_bytes()
    old, new = rng.choice(
        [
            (b"1040", b"9999"),
            (b"'<u2'", b"'|O8'"),
            (b"(", b"(("),
            (b"False", b"exit("),
            (b'"F32"', b'"F64"'),
            (b'"F32"', b'"BF8"'),
            (b'"shape":[', b'"shape":[9'),
            (b'"data_offsets":[', b'"data_offsets":[9'),
        ]
    )
    path.write_bytes(content.replace(old, new, rng.choice([1, 5])))


ANY = (
    change_bytes,
    cut,
    lengthen,
    grow,
    *map(replace_by, (link, pipe, device, door, folder, nothing, second_name)),
)
BY_KIND: dict[str, tuple[Callable[[Path, random.Random], None], ...]] = {
    ".json": (change_json,) * 12 + (fill, fill),
    ".jsonl": (change_line,) * 12 + (fill,),
    ".npy": (change_array, change_header) * 4,
    ".safetensors": (change_header,) * 6,
}


def tamper(run: Path, rng: random.Random) -> list[str]:
    """Change a run and return what was done to it."""
    done = [tamper_once(run, rng) for _ in range(rng.choice([1, 1, 2, 3]))]
    if rng.random() < 0.8:
        make_hashes_right(run)
    return done


def tamper_once(run: Path, rng: random.Random) -> str:
    if rng.random() < 0.08:
        name = rng.choice(["plots", "frames", "agent-12"])
        remove_folder(run / name)
        if not os.path.lexists(run / name):
            replaced = rng.choice([link, pipe, nothing])
            replaced(run / name, rng)
        return f"{name}: folder replaced"
    if rng.random() < 0.08:
        name = rng.choice(["record.json", "events.jsonl", "report.html", "progress.json"])
        path = run / f".{name}.new"
        if not os.path.lexists(path):
            rng.choice([link, pipe, folder, second_name])(path, rng)
        return f"{path.name}: put there"
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and not path.is_symlink()]
    top = [path for path in files if path.parent == run or path.parent.name.startswith("agent-")]
    path = rng.choice(top if rng.random() < 0.85 else files)
    # It may be the same file as that of the sound run.
    content = path.read_bytes() if path.stat().st_size < 2**24 else b""
    path.unlink()
    path.write_bytes(content)
    how = rng.choice(ANY + BY_KIND.get(path.suffix, ()))
    how(path, rng)
    return f"{path.relative_to(run)}: {how.__name__}"


def make_hashes_right(run: Path) -> None:
    """Let ``progress.json`` vouch for what was tampered with."""
    path = run / "progress.json"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 2**24:
        return
    try:
        progress = json.loads((run / "progress.json").read_bytes())
        for name in progress["hashes"]:
            file = run / progress["agent"] / name
            if file.is_file() and file.stat().st_size < 2**28 and not file.is_symlink():
                progress["hashes"][name] = file_hash(file)
        (run / "progress.json").write_bytes(as_json(progress))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return


# --- cases ----------------------------------------------------------------------------------------


def state_of(folder: Path) -> dict[str, Any]:
    """Return all that a folder holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else path.stat().st_mode
        for path in sorted(folder.rglob("*"))
        if path.suffix != ".npy"
    } | {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.npy")}


def fresh_case(place: Path) -> Path:
    """Lay out a copy of the sound run; its frames are the same files, to save the time."""
    shutil.rmtree(place / "case", ignore_errors=True)
    run = place / "case" / "run"
    shutil.copytree(place / "sound", run, ignore=shutil.ignore_patterns("frames"))
    shutil.copytree(place / "sound" / "frames", run / "frames", copy_function=os.link)
    return run


def words_of(command: str, run: Path) -> list[str]:
    return COMMANDS[command].format(run=run, new=run.parent / "new").split()


class Soak:
    """A sound run and what each command takes with it.

    Args:
        place: an empty folder.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        warm_up()
        made = attempt([*TRAIN.split(), str(place / "sound")], limit_s=300)
        assert made.code == 0, made
        (place / "outside").mkdir()
        shutil.copytree(place / "sound", place / "outside", dirs_exist_ok=True)
        (place / "outside" / "precious").write_bytes(b"precious\n")
        self.before = state_of(place / "outside")
        self.sound = {}
        for command in COMMANDS:
            run = fresh_case(place)
            self.sound[command] = attempt(words_of(command, run), limit_s=300)
            assert self.sound[command].code in {0, 1}, (command, self.sound[command])

    def case(self, seed: int) -> tuple[str, Ended, list[str]]:
        """Carry out one case; return what it was, how it ended and what is wrong with that."""
        rng = random.Random(seed)  # noqa: S311 - chance, not secrecy
        command = rng.choice(list(COMMANDS))
        run = fresh_case(self.place)
        done = tamper(run, rng)
        sound = self.sound[command]
        ended = attempt(words_of(command, run), limit_s=sound.wall_s + MOST_S)
        wrong = []
        if ended.trace:
            wrong.append(ended.trace)
        if ended.code < 0:
            wrong.append(f"ended by signal {-ended.code} after {ended.wall_s:.1f} s")
        if ended.peak_mib > sound.peak_mib + MOST_MIB:
            wrong.append(f"took {ended.peak_mib:.0f} MiB, the sound run {sound.peak_mib:.0f} MiB")
        if state_of(self.place / "outside") != self.before:
            wrong.append("changed what lies outside")
        if set(os.listdir(self.place)) != {"case", "outside", "sound"}:  # noqa: PTH208
            wrong.append("made something outside")
        spared = not any(what.startswith("baseline.json") for what in done)
        if command == "restore" and spared and ended.code != 0:
            wrong.append(f"restore ended with {ended.code} though the baseline is sound")
        return f"seed {seed}: {command} after {'; '.join(done)}", ended, wrong


def main() -> None:
    """Carry out cases and tell how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    codes: Counter[int] = Counter()
    failed, most_mib, most_s = 0, 0.0, 0.0
    with tempfile.TemporaryDirectory() as place:
        soak = Soak(Path(place))
        for seed in range(asked.seed, asked.seed + asked.count):
            what, ended, wrong = soak.case(seed)
            sound = soak.sound[what.split()[2]]
            codes[ended.code] += 1
            most_mib = max(most_mib, ended.peak_mib - sound.peak_mib)
            most_s = max(most_s, ended.wall_s - sound.wall_s)
            failed += bool(wrong)
            if wrong:
                sys.stdout.write(f"{what}\n  " + "\n  ".join(wrong) + "\n")
            if wrong or (seed + 1 - asked.seed) % 50 == 0:
                sys.stdout.write(f"{seed + 1 - asked.seed} cases, {failed} failed\n")
                sys.stdout.flush()
    sys.stdout.write(
        f"{asked.count} cases from seed {asked.seed}: {failed} failed; exit codes {dict(codes)}; "
        f"at most {most_mib:.0f} MiB and {most_s:.1f} s more than the sound run\n"
    )
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
