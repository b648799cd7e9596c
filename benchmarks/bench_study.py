"""What a study loses to sending its cells about, and what the whole of the paper would cost.

    python -m benchmarks.bench_study

Yardstick: the same cells in two processes at once, one after the other in each, without a cluster,
once before the study and once after it, so that a machine whose speed changes counts less.

- ``throughput``: timesteps a second of a study with two workers, its start included, over the mean
  of those sums of two processes (at least 0.9).
- ``after over before``: how far the yardstick itself changed. Away from 1 nothing here is certain.
- ``hours on two cores``, ``hours on 64 workers``: the paper's 1,500 trainings of 20,000 timesteps
  at the study's speed, if workers do not slow each other down.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

STUDY = """
task = "bf-disk-centering"
backend = "simulator"
agent = "sac"
settings.task.preset = "paper"
settings.backend.preset = "paper"
settings.agent.preset = "paper"
settings.run.evaluate = false
steps = {steps}
seeds = {seeds}
"""
STEPS, CELLS, WORKERS = 5_000, 6, 2
PAPER = 1_500 * 20_000

_ALONE = """
import sys, time
from pathlib import Path
import torch
import stempilot
from stempilot.plugins.options import plain
from stempilot.study.cells import key_of, run_cell
from stempilot.study.file import cells_of, read_study
torch.set_num_threads(1)
registry = stempilot.discover()
cells = [cell for _, cell in cells_of(read_study(Path(sys.argv[1])), registry)]
began_s = time.perf_counter()
for cell in cells:
    key = key_of(registry, cell)
    place = Path(sys.argv[2]) / key
    done = run_cell(plain(cell), key, str(place))
    assert done["status"] == "done", done
print(time.perf_counter() - began_s)
"""


def measure(folder: Path) -> dict[str, float]:
    """Return the figures of a study and of processes without one, all in a folder."""
    before_per_s = processes(folder / "before")
    study = written(folder / "study.toml", CELLS)
    words = [sys.executable, "-m", "stempilot", "study", "run", str(study)]
    words += ["--workers", str(WORKERS), "--out", str(folder / "study")]
    began_s = time.perf_counter()
    subprocess.run(words, capture_output=True, text=True, check=True)
    study_per_s = STEPS * CELLS / (time.perf_counter() - began_s)
    after_per_s = processes(folder / "after")
    hours = PAPER / study_per_s / 3600
    return {
        "timesteps a second, two processes before": before_per_s,
        "timesteps a second, study": study_per_s,
        "timesteps a second, two processes after": after_per_s,
        "throughput": 2 * study_per_s / (before_per_s + after_per_s),
        "after over before": after_per_s / before_per_s,
        "hours on two cores": hours,
        "hours on 64 workers": hours * WORKERS / 64,
    }


def processes(folder: Path) -> float:
    """Return the timesteps a second of processes that run at once, each with its own cells."""
    folder.mkdir()
    cells = CELLS // WORKERS
    study = written(folder / "study.toml", cells)
    started = []
    for number in range(WORKERS):
        place = folder / str(number)
        place.mkdir()
        words = [sys.executable, "-c", _ALONE, str(study), str(place)]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
    took_s = [float(process.communicate()[0].split()[-1]) for process in started]
    return sum(STEPS * cells / one_s for one_s in took_s)


def written(file: Path, cells: int) -> Path:
    """Write a study of so many cells."""
    file.write_text(STUDY.format(steps=STEPS, seeds=list(range(1, cells + 1))), "utf-8")
    return file


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for name, value in measure(Path(made)).items():
            print(f"{name}: {value:.4g}")
