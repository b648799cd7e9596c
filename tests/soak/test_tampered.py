"""A sample of the tampered run folders; all of them: ``python -m tests.soak.tampered``."""

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(os.name == "nt", reason="it forks")
def test_a_sample_of_tampered_folders_does_no_harm() -> None:
    words = [sys.executable, "-m", "tests.soak.tampered", "--count", "10", "--seed", "5000"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 cases from seed 5000: 0 failed" in done.stdout
