from pathlib import Path

import pytest
from tests.core.report.toy import simulate, write_finals, write_run


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Return a short training with final frames and evaluations."""
    events = simulate(400, lambda t: min(0.9, t / 200))
    rising = [{"timestep": t, "episodes": 100, "successes": t // 4} for t in range(10, 401, 10)]
    folder = write_run(tmp_path / "run", events, evaluations=rising, steps=400)
    write_finals(folder, [(20.0, 30.0), (-100.0, 200.0)], side=260)
    return folder


@pytest.fixture
def evaluated(tmp_path: Path) -> Path:
    """Return an evaluation with final frames."""
    events = simulate(10_000, lambda _: 0.97, episodes=12)
    folder = write_run(tmp_path / "run", events, command="run", episodes=12)
    write_finals(folder, [(20.0, 30.0)], side=260)
    return folder
