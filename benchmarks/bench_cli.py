"""How long ``stempilot --help`` and ``stempilot plugins`` take, over importing typer and rich."""

import resource
import subprocess
import sys

ROUNDS = 7
CODE = "from stempilot.cli import main; main()"


def cpu_s(code: str, *words: str) -> float:
    """Return the CPU time of one fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Return the best CPU times over alternating rounds, in seconds, and their ratios."""
    runs = {
        "import typer, rich": ("import typer, rich",),
        "stempilot --help": (CODE, "--help"),
        "stempilot plugins": (CODE, "plugins"),
    }
    best = {name: min(cpu_s(*run) for _ in range(rounds)) for name, run in runs.items()}
    yardstick = best["import typer, rich"]
    return {
        **{f"{name} [s]": value for name, value in best.items()},
        "help share": best["stempilot --help"] / yardstick,
        "plugins share": best["stempilot plugins"] / yardstick,
    }
