"""What readings measured stands in an envelope file, and only what they did measure here."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from stempilot.contract.backend import Backend, Opening, Suggested
from stempilot.contract.names import CAMERA_LENGTH_INDEX, DIFFRACTION_SHIFT, FLUCAM
from stempilot.errors import IncompatibleError, RunDirError
from stempilot.instrument.envelope_draft import Measured
from stempilot.instrument.envelope_file import (
    parse_envelope,
    plain_envelope,
    read_envelope,
    write_envelope,
)
from stempilot.plugins.parts import part
from stempilot.plugins.registry import discover
from stempilot.record.run_dir import RunDir
from stempilot.runs.execute import execute
from stempilot.runs.measured import measured
from stempilot.runs.plans import Extras, plan_run

NAME = "simulator"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("readings")
    settings = {"task": {"semi_angle_mrad": 17.06}}
    for task in ("read-disk", "read-response"):
        chosen = settings if task == "read-disk" else {}
        extras = Extras(seed=3, out=folder / task)
        plan = plan_run(discover(only=""), task=task, backend=NAME, settings=chosen, extras=extras)
        assert execute(plan)["success"]
    return {task: folder / task for task in ("read-disk", "read-response")}


@pytest.fixture
def instrument() -> Iterator[Backend]:
    loaded: Backend = part(discover(only=""), "backend", NAME, {}).load(Opening(seed=3))
    with loaded:
        yield loaded


def test_what_was_measured_is_written_and_read(
    runs: dict[str, Path], instrument: Backend, tmp_path: Path
) -> None:
    found = measured(list(runs.values()), instrument, NAME)
    with_it, without = tmp_path / "with.toml", tmp_path / "without.toml"
    write_envelope(with_it, NAME, instrument.offers(), None, found)
    write_envelope(without, NAME, instrument.offers())
    envelope, plain = read_envelope(with_it), read_envelope(without)
    assert envelope.knobs == plain.knobs, "bounds, steps and resolution are no wider"
    assert (envelope.writes_per_s, envelope.max_writes) == (plain.writes_per_s, plain.max_writes)
    assert envelope.pixel_mrad[FLUCAM][6] == pytest.approx(0.565, abs=0.004)
    response = envelope.response[DIFFRACTION_SHIFT]
    told = json.loads((runs["read-response"] / "result.json").read_text())["products"]
    assert response.px_per_unit[0][1] == told["response_xy"]["value"]
    assert response.uncertainty[1][0] == told["response_yx"]["uncertainty"]
    assert response.camera_length_index == 6
    assert response.measured in with_it.read_text()
    assert f"measured {response.measured} by read-disk" in with_it.read_text()
    assert "mrad." in with_it.read_text(), "the uncertainty of the angle"
    assert parse_envelope(plain_envelope(envelope), "again") == envelope
    assert found.response[DIFFRACTION_SHIFT][0] == response


def test_a_resolution_is_neither_finer_than_offered_nor_wider_than_guessed(
    instrument: Backend, tmp_path: Path
) -> None:
    offers = evolve(instrument.offers(), simulated=False)
    knob = offers.knobs[DIFFRACTION_SHIFT]
    for number, spread in enumerate((1e-12, 1e-3)):
        found = Suggested(value=(spread, spread), because="seen.")
        path = tmp_path / f"{number}.toml"
        write_envelope(path, NAME, offers, None, Measured(resolution={DIFFRACTION_SHIFT: found}))
        assert read_envelope(path).knobs[DIFFRACTION_SHIFT].spec == knob
        assert "# seen." in path.read_text()


def changed(run: Path, to: Path, file: str, **entries: Any) -> Path:
    shutil.copytree(run, to)
    content = json.loads((to / file).read_text())
    (to / file).write_text(json.dumps({**content, **entries}))
    return to


@pytest.mark.parametrize(
    ("file", "entries", "said"),
    [
        ("record.json", {"agent": "adaptive"}, "which is no reading"),
        ("record.json", {"status": "failed", "reason": "the camera"}, r"did not succeed \(the cam"),
        ("result.json", {"success": False, "reason": "no disk"}, r"did not succeed \(no disk\)"),
    ],
)
def test_what_measured_nothing_is_refused(
    runs: dict[str, Path],
    instrument: Backend,
    tmp_path: Path,
    file: str,
    entries: dict[str, Any],
    said: str,
) -> None:
    run = changed(runs["read-disk"], tmp_path / "run", file, **entries)
    with pytest.raises(RunDirError, match=said):
        measured([run], instrument, NAME)


def test_a_reading_of_another_instrument_or_camera_length_is_refused(
    runs: dict[str, Path], instrument: Backend, tmp_path: Path
) -> None:
    run = runs["read-disk"]
    with pytest.raises(IncompatibleError, match="this one is another"):
        measured([run], instrument, "another")
    identity = {**RunDir(run).identity(), "instrument": "0"}
    other = changed(run, tmp_path / "other", "baseline.json", identity=identity)
    with pytest.raises(IncompatibleError, match="repeat the reading here"):
        measured([other], instrument, NAME)
    instrument.write(CAMERA_LENGTH_INDEX, (4.0,))
    with pytest.raises(IncompatibleError, match="at camera_length_index 6.* stands at 4"):
        measured([run], instrument, NAME)


def test_a_reading_that_kept_no_frame_does_not_say_its_camera_length(
    runs: dict[str, Path], instrument: Backend, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["read-disk"], run)
    events = (run / "events.jsonl").read_text()
    (run / "events.jsonl").write_text(events.replace('"seen"', '"unseen"'))
    with pytest.raises(RunDirError, match="--frames none"):
        measured([run], instrument, NAME)
