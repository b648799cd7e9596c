"""Studies of toys in this process."""

from pathlib import Path

import pytest
from tests.core.fakes import toy_registry
from tests.core.study.here import InThisProcess, opened

from stempilot.study import cells


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InThisProcess:
    """Return what stands in for Dask, with toys for plug-ins."""
    made = InThisProcess()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cells, "discover", toy_registry)
    monkeypatch.setattr("stempilot.study.run.opened", lambda where: opened(made))
    monkeypatch.setattr("stempilot.study.cluster._POLL_S", 0.0)
    return made
