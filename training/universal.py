"""Trains the network of agent `universal` from nothing and writes its weights.

``python -m training.universal --seed 1 --out universal.safetensors``
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from benchmarks.universal.conditions import groups
from benchmarks.universal.instruments import SimulatedInstruments
from safetensors.numpy import save_file

import stempilot
from training.imitation import Imitation
from training.learning import Lessons, train
from training.practice import Practice
from training.regret import Improvement


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, and write the file."""
    parser = argparse.ArgumentParser(prog="python -m training.universal", description=__doc__)
    parser.add_argument("--seed", type=int, required=True, help="of everything that is drawn")
    parser.add_argument("--out", type=Path, required=True, help="file of weights to write")
    parser.add_argument("--instruments", type=int, default=128, help="of each of 29 shares")
    parser.add_argument("--rounds", type=int, default=Imitation().rounds, help="of imitation")
    parser.add_argument("--iterations", type=int, default=Improvement().iterations, help="of PPO")
    options = parser.parse_args(arguments)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    began = time.monotonic()

    def report(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    lessons = Lessons(
        imitation=Imitation(rounds=options.rounds),
        improvement=Improvement(iterations=options.iterations),
    )
    practice = Practice(
        SimulatedInstruments(groups(options.instruments, options.seed), options.seed)
    )
    arrays = train(practice, lessons, options.seed, report)
    about = {
        "command": f"python -m training.universal --seed {options.seed} --instruments "
        f"{options.instruments} --rounds {options.rounds} --iterations {options.iterations} --out "
        f"{options.out.name}",
        "seed": str(options.seed),
        "stempilot": stempilot.__version__,
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    save_file(arrays, options.out, metadata=about)
    report(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
