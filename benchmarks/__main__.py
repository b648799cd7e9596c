"""Runs all benchmarks and prints their ratios beside what they are to stay within."""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    bench_batch,
    bench_cli,
    bench_correction,
    bench_locating,
    bench_meanwhile,
    bench_reading,
    bench_ronchigram,
    bench_study,
    bench_training,
    bench_update,
    bench_wire,
)

console = Console()


def main() -> None:
    """Print the figures of each benchmark."""
    console.print("frames: a convolution takes so many times a frame with locating (at least 15)")
    show(bench_locating.measure())
    console.print("drawing a Ronchigram over its own Fourier transforms (at most 1.5)")
    show(bench_ronchigram.measure())
    console.print("measuring a Ronchigram takes so many Fourier transforms of its size (at most 4)")
    show(bench_reading.measure())
    console.print("framework share (at most 0.06) and throughput share (at least 0.75)")
    show(bench_training.measure())
    console.print(
        "4,096 instruments at once, over as many CartPoles (share at least 0.3, of films 0.2)"
    )
    show(bench_batch.measure())
    console.print("a frame over the wire, over the stock client (at most 0.6)")
    show(bench_wire.measure())
    console.print("corrections on a virtual Themis (at most 10 ms added; share at least 0.95)")
    with tempfile.TemporaryDirectory() as folder:
        show(bench_correction.measure(Path(folder)))
    console.print("timesteps at 170 ms with 20 updates each, over without any (at least 0.95)")
    with tempfile.TemporaryDirectory() as folder:
        show(bench_meanwhile.measure(Path(folder)))
    console.print("command line: over importing typer and rich (at most 3)")
    show(bench_cli.measure())
    console.print("an update of sac-rapid, over one of Stable-Baselines3's SAC (at most 0.7)")
    show(bench_update.measure())
    console.print("a study with two workers, over two plain processes (throughput at least 0.9)")
    with tempfile.TemporaryDirectory() as folder:
        show(bench_study.measure(Path(folder)))


def show(figures: dict[str, float]) -> None:
    """Print figures as a table."""
    table = Table("what", "figure")
    for name, value in figures.items():
        table.add_row(name, f"{value:.4g}")
    console.print(table)


if __name__ == "__main__":
    main()
