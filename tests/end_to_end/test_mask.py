"""The mask that the command makes is the one that the task takes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from stempilot.plugins.options import build
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

CODE = "import sys; sys.argv[0] = 'stempilot'; from stempilot.cli import main; main()"
DARK = ("--set=backend.probe_current_a=1e-18", "--set=backend.hot_pixels=40")


def test_a_mask_of_a_simulated_camera_is_taken_by_the_task(tmp_path: Path) -> None:
    words = ("mask", "dark", "--backend", "simulator", *DARK, "--out", "mask.npy")
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    mask = np.load(tmp_path / "mask.npy")
    assert 35 <= mask.sum() <= 40  # two may share a place
    task = BfDiskCentering(
        build(BfDiskCenteringConfig, {"mask": str(tmp_path / "mask.npy")}, section="task")
    )
    assert task.config.mask is not None
