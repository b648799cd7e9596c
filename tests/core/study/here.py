"""Studies of toys, and stand-ins for Dask."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stempilot.files import write_json
from stempilot.record.owner import HOLDER

STUDY = """
title = "toys"
task = "centring"
agent = "learner"
steps = 30
episodes = 3
seeds = [1, 2]
[settings.run]
evaluate = false
[grid]
"task.tolerance" = [0.1, 0.2]
"""


def study_file(folder: Path, text: str = STUDY) -> Path:
    path = folder / "toys.toml"
    path.write_text(text, encoding="utf-8")
    return path


class Answer:
    """What became of a cell that was carried out when it was submitted."""

    def __init__(self, result: Any, *, status: str = "finished") -> None:
        self.status = "error" if isinstance(result, Exception) else status
        self._result = result

    def exception(self) -> Exception | None:
        return self._result if self.status == "error" else None

    def result(self) -> Any:
        return self._result


class InThisProcess:
    """A client that carries out each cell when it is submitted.

    Attributes:
        sent: what was submitted.
        answers: given for the next cells instead of carrying them out.
    """

    dashboard_link = "none"

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.answers: list[Any] = []

    def nthreads(self) -> dict[str, int]:
        return {"here": 1, "there": 1}

    def submit(self, call: Any, *arguments: Any, pure: bool) -> Answer:
        assert not pure
        self.sent.append(arguments)
        answer = self.answers.pop(0) if self.answers else None
        return Answer(call(*arguments)) if answer is None else answer


@contextlib.contextmanager
def opened(client: InThisProcess) -> Iterator[InThisProcess]:
    yield client


def stub(values: dict[str, Any], key: str, place: str) -> dict[str, Any]:
    """Stand in for `run_cell` in a worker: does what the cell's seed says."""
    folder, seed = Path(place), values["seed"]
    folder.mkdir(parents=True, exist_ok=True)
    tries = len(list(folder.glob("try-*")))
    (folder / f"try-{tries}").write_text(str(os.getpid()))
    if seed == 666 or (seed == 66 and tries == 0):
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == 88 and tries == 0:
        (folder / HOLDER).touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    if seed == 77 and tries == 0:
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s and not (folder.parent.parent / "stop").exists():
            time.sleep(0.05)
        (folder / "stopped").touch()
    reason = "bad luck" if seed == 13 else ""
    result = {"status": "failed" if reason else "done", "reason": reason}
    write_json(folder / "cell.json", {**result, "threads": os.environ.get("OMP_NUM_THREADS")})
    return result
