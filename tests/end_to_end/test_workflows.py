"""The workflows that are examples, on the simulator and the emulator."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.wire.virtual import BACKEND, themis

from stempilot.contract.backend import Opening
from stempilot.errors import HandsOffError
from stempilot.instrument.envelope_file import read_envelope, write_envelope
from stempilot.plugins.parts import part
from stempilot.plugins.registry import discover
from stempilot.runs.plans import Extras
from stempilot.workflow.file import read_workflow
from stempilot.workflow.log import read_log
from stempilot.workflow.plans import WorkflowPlan, check_workflow, plan_workflow
from stempilot.workflow.recorded import run_workflow

FOLDER = Path(__file__).parents[2] / "examples" / "workflows"
FILES = sorted(FOLDER.glob("*.toml"))
NEW = {"read-disk", "read-response", "stigmator", "stem-focus"}
LIGHT_A = 1e-10
PIXEL_MRAD = [[6, 0.565], [15, 0.565 * 0.16 / 1.2]]
complete = pytest.mark.skipif(
    not set(discover().names("task")) >= NEW, reason="not all of its tasks are installed"
)


def planned(
    name: str, folder: Path, *, on: str = "simulator", envelope: Any = None, **settings: Any
) -> WorkflowPlan:
    extras = Extras(seed=3, out=folder / "flow", envelope=envelope)
    return plan_workflow(
        discover(),
        read_workflow(FOLDER / name),
        backend=on,
        settings=settings,
        extras=extras,
        file=name,
    )


@contextmanager
def on_emulator(name: str, folder: Path, **options: Any) -> Iterator[tuple[WorkflowPlan, Any]]:
    """Yield a workflow on a virtual Themis, and what does something at it as an operator would."""
    with themis(seed=4, **options) as (emulator, url):
        door = dict(emulator.endpoints())["rehearsal"]
        settings: dict[str, Any] = {"url": url, "pixel_mrad": PIXEL_MRAD}
        settings |= {"stigmator": True} if "stigmator" in options else {}
        made = part(discover(), "backend", BACKEND, settings).load(Opening())
        write_envelope(folder / "e.toml", BACKEND, made.offers())

        def operate(**values: Any) -> None:
            body = json.dumps(values).encode()
            with urllib.request.urlopen(f"{door}/instrument", body, timeout=20):  # noqa: S310
                pass

        envelope = read_envelope(folder / "e.toml")
        yield planned(name, folder, on=BACKEND, envelope=envelope, backend=settings), operate


def slept(times: int, then: Callable[[], None]) -> Callable[[float], None]:
    """Return what passes the time between repetitions, and does something at the last."""
    left = [times]

    def sleep(seconds: float) -> None:
        assert 0 < seconds <= 600
        left[0] -= 1
        if left[0] == 0:
            then()

    return sleep


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_a_workflow(file: Path) -> None:
    assert read_workflow(file).steps


def test_keep_centred_passes_its_check(tmp_path: Path) -> None:
    assert [row["who"] for row in check_workflow(planned("keep-centred.toml", tmp_path))] == [
        "adaptive"
    ]


def test_keep_centred_repeats_until_it_is_interrupted(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_workflow(planned("keep-centred.toml", tmp_path), sleep=slept(2, interrupt))
    events = [line["event"] for line in read_log(tmp_path / "flow")]
    assert events == ["began", "done", "repeated", "began", "done"]


def test_keep_centred_ends_where_somebody_turns_the_knob(tmp_path: Path) -> None:
    with on_emulator("keep-centred.toml", tmp_path) as (plan, operate):
        turned = slept(2, lambda: operate(diffraction_shift=[0.01, 0.01]))
        with pytest.raises(HandsOffError, match="diffraction_shift reads"):
            run_workflow(plan, sleep=turned)
    assert [line["event"] for line in read_log(tmp_path / "flow")][-1] == "stopped"


@complete
def test_morning_alignment_on_the_simulator(tmp_path: Path) -> None:
    plan = planned("morning-alignment.toml", tmp_path, backend={"probe_current_a": LIGHT_A})
    backend: Any = plan.make_backend()

    def operates(question: str) -> bool:
        if question.startswith("film-in"):
            backend.operate(film="in", semi_angle_rad=0.03, camera_length_m=1.2)
        else:
            backend.operate(film="out", semi_angle_rad=0.0173, camera_length_m=0.16)
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkflowPlan, "make_backend", lambda _: backend)
        result = run_workflow(plan, operator=operates)
    assert result["success"], result["reason"]
    assert result["steps"] == 8


@complete
@pytest.mark.slow
def test_the_script_plays_the_morning_on_the_simulator() -> None:
    words = [sys.executable, str(FOLDER / "rehearse.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "success"
    assert "centre-again done" in done.stdout
    assert "read-response.response_xx = " in done.stdout


@complete
@pytest.mark.slow
@pytest.mark.long
def test_morning_alignment_on_the_emulator(tmp_path: Path) -> None:
    name, options = "morning-alignment.toml", {"stigmator": "repaired", "probe_current_a": LIGHT_A}
    with on_emulator(name, tmp_path, **options) as (plan, operate):

        def operates(question: str) -> bool:
            film = question.startswith("film-in")
            angle, length = (0.03, 15) if film else (0.0173, 6)
            operate(
                film="in" if film else "out", semi_angle_rad=angle, camera_length_index=[length]
            )
            return True

        result = run_workflow(plan, operator=operates)
    assert result["success"], result["reason"]
    assert result["steps"] == 8
