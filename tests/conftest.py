"""What holds for all tests: signals, colours, locks of their own, no pauses at restores."""

import os
import signal
from collections.abc import Iterator

import pytest

from stempilot.instrument import putting_back as savepoint
from stempilot.instrument.lock import FOLDER_VARIABLE

# Whoever starts the tests in the background (nohup, a service) lets them inherit that these are
# ignored; the tests and the processes that they start are about what happens when they are not.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Services that run tests set these, and typer, which reads them once, then writes colours into
# what the tests read.
for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def own_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test find what a run of another one left unfinished."""
    folder = os.path.join(os.environ[FOLDER_VARIABLE], str(abs(hash(request.node.nodeid))))  # noqa: PTH118
    monkeypatch.setenv(FOLDER_VARIABLE, folder)


@pytest.fixture(autouse=True, scope="session")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep away from the locks of the user and of other test processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("locks")))
        patch.setattr(savepoint, "PAUSES_S", (0.0, 0.0))
        yield
