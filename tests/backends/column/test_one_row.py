"""A parameter of the column is one row: whoever adds one touches no other file of the product."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import SeedSequence

import stempilot_backends
from stempilot.contract.backend import Opening
from stempilot.plugins.options import build
from stempilot_backends.column.parameters import DRAWN, ROWS
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import CONDITIONS, SimulatorConfig

PACKAGE = Path(stempilot_backends.__file__).parent
TABLE = "column/parameters.py"
NEW = """    lean: float = _row(
        0.0, -0.5, 0.5, "how far each axis leans towards the other.",
        share={share}, presets={{"random": (0.1, 0.4), "lagged": 0.3}}, changes=True, told=True,
        response=lambda lean: (1.0, lean, lean, 1.0))
    jitter_px: float = _row(
        0.0, 0.0, 50.0, "RMS displacement per axis from frame to frame, of another kind.",
        presets={{"everything": 3.0}}, told=True, spread="exposure")
"""
SEEN = """
import json, sys
import numpy as np
from attrs import fields
from numpy.random import SeedSequence
import stempilot_backends
from stempilot.contract.backend import Opening
from stempilot.errors import ConfigError
from stempilot.plugins.options import build, plain
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig
from stempilot_backends.usetem.emulator.config import EmulatorConfig

SHIFT = "diffraction_shift"


def made(**options):
    return build(SimulatorConfig, {"action_noise": 0.0, **options}, section="backend")


def opened(**options):
    simulator = Simulator(made(**options), Opening(purpose="evaluate"))
    simulator.open()
    simulator.reseed(SeedSequence(1))
    return simulator


def frames(**options):
    simulator, seen = opened(**options), []
    for move in (0.0, 0.02):
        simulator.write(SHIFT, (move, -move))
        frame = simulator.acquire("flucam").pixels.astype(float)
        lit = np.where(frame > 1000, frame, 0.0)
        rows, columns = np.indices(frame.shape) - (len(frame) - 1) / 2
        found = [(lit * columns).sum() / lit.sum(), (lit * rows).sum() / lit.sum()]
        seen.append({"found": found, "truth": simulator.truth()})
    return seen


def batch(**options):
    many = opened(**options).batch(50, {SHIFT: (0.0, 0.0)})
    many.reseed(SeedSequence(2))
    many.put(np.arange(50), many.fresh(50), np.arange(50))
    seen = []
    for move in (0.0, 0.02):
        many.write(SHIFT, np.tile((move, -move), (50, 1)))
        found = many.measure()["position_px"].tolist()
        truth = {name: np.array(values).tolist() for name, values in many.truth().items()}
        seen.append({"found": found, "truth": truth})
    return seen


def refused(**options):
    try:
        made(**options)
    except ConfigError as error:
        return str(error)


BARE = {"rotation_deg": 0.0, "start_range": 0.2}
print(json.dumps({
    "package": stempilot_backends.__file__,
    "options": {one.name: one.metadata.get("does") for one in fields(SimulatorConfig)},
    "emulator": [one.name for one in fields(EmulatorConfig)],
    "presets": {name: dict(values) for name, values in SimulatorConfig.presets.items()},
    "set": plain(made(lean=0.2, jitter_px=1.5)),
    "refused": [refused(lean=0.6), refused(jitter_px=[0.0, 1.0])],
    "plain": frames(**BARE),
    "lean": frames(lean=0.2, **BARE),
    "changed": frames(changes=[{"at_timestep": 1, "lean": 0.2}], **BARE),
    "drawn": [opened(preset=preset).truth()["lean"] for preset in ("random", "lagged")],
    "batch": batch(**BARE),
    "batch of lean": batch(lean=[0.1, 0.4], **BARE),
    "batch that jitters": batch(jitter_px=3.0, **BARE),
    "others": [opened(preset="random", lean=0.0).truth()["jacobian_px_per_rad"]],
}))
"""


def answer(backends: Path) -> dict[str, Any]:
    """Return what the probe sees with the package from a folder."""
    path = os.pathsep.join([str(backends), *filter(None, sys.path)])
    ran = subprocess.run(
        [sys.executable, "-c", SEEN],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    assert Path(told["package"]).is_relative_to(backends)
    return told


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what is seen of two rows that are added to the table, and to nothing else."""
    copy = tmp_path_factory.mktemp("backends")
    package = shutil.copytree(PACKAGE, copy / PACKAGE.name)
    table = package / TABLE
    text = table.read_text(encoding="utf-8")
    assert text.count("    # fmt: on\n") == 1
    row = NEW.format(share=len(DRAWN))
    table.write_text(text.replace("    # fmt: on\n", f"{row}    # fmt: on\n"), encoding="utf-8")
    return answer(copy)


PX_PER_RAD = 1 / 0.565e-3


def test_it_is_an_option_of_simulator_and_emulator(seen: dict[str, Any]) -> None:
    assert seen["options"]["lean"] == "how far each axis leans towards the other."
    assert {"lean", "jitter_px"} <= set(seen["emulator"])
    assert (seen["set"]["lean"], seen["set"]["jitter_px"]) == (0.2, 1.5)


def test_values_outside_its_range_are_refused(seen: dict[str, Any]) -> None:
    too_large, no_range = seen["refused"]
    assert "lean = 0.6 must lie in [-0.5, 0.5]" in too_large
    assert "jitter_px" in no_range


def test_it_is_in_the_presets(seen: dict[str, Any]) -> None:
    presets = seen["presets"]
    assert "lean" not in presets["paper"]
    assert presets["random"]["lean"] == presets["backlash"]["lean"] == [0.1, 0.4]
    assert presets["lagged"]["lean"] == 0.3
    assert [name for name in presets if "jitter_px" in presets[name]] == ["everything"]


def test_it_is_drawn_from_its_range_and_told_by_the_truth(seen: dict[str, Any]) -> None:
    (random,), (lagged,) = seen["drawn"]
    assert 0.1 < random < 0.4
    assert lagged == 0.3
    assert [frame["truth"]["lean"] for frame in seen["lean"]] == [[0.2], [0.2]]
    assert [frame["truth"]["jitter_px"] for frame in seen["lean"]] == [[0.0], [0.0]]


def test_it_is_in_the_frame_that_is_drawn(seen: dict[str, Any]) -> None:
    def moved(frames: list[dict[str, Any]]) -> Any:
        return np.subtract(frames[1]["found"], frames[0]["found"]) / PX_PER_RAD

    assert moved(seen["plain"]) == pytest.approx((0.02, -0.02), abs=1e-4)
    assert moved(seen["lean"]) == pytest.approx((0.016, -0.016), abs=1e-4)


def test_it_changes_in_the_middle_of_a_run(seen: dict[str, Any]) -> None:
    before, after = (frame["truth"] for frame in seen["changed"])
    assert (before["lean"], after["lean"]) == ([0.0], [0.2])
    assert after["jacobian_px_per_rad"] == seen["lean"][1]["truth"]["jacobian_px_per_rad"]
    assert seen["changed"][1]["found"] != pytest.approx(seen["plain"][1]["found"], abs=1.0)


def test_each_column_of_a_batch_has_its_own(seen: dict[str, Any]) -> None:
    first, second = seen["batch of lean"]
    lean = np.array(second["truth"]["lean"])
    assert lean.shape == (50, 1)
    assert 0.1 < lean.min() < 0.2
    assert 0.3 < lean.max() < 0.4
    moved = np.subtract(second["found"], first["found"]) / PX_PER_RAD
    assert moved == pytest.approx(0.02 * np.array([1, -1]) * (1 - lean), abs=1e-4)
    jacobian = np.array(second["truth"]["jacobian_px_per_rad"]) / PX_PER_RAD
    assert jacobian == pytest.approx(np.hstack([lean**0, lean, lean, lean**0]))


def test_columns_of_a_batch_jitter(seen: dict[str, Any]) -> None:
    def steps(batch: list[dict[str, Any]]) -> float:
        moved = np.subtract(batch[1]["found"], batch[0]["found"])
        return float((moved / np.sqrt(2)).std(axis=0).mean())

    assert steps(seen["batch"]) < 0.1
    assert steps(seen["batch that jitters"]) == pytest.approx(3.0, rel=0.3)
    assert seen["batch that jitters"][0]["truth"]["jitter_px"] == [[3.0]] * 50


def test_other_parameters_stay_what_a_seed_makes_them(seen: dict[str, Any]) -> None:
    config = build(SimulatorConfig, {"preset": "random", "action_noise": 0.0}, section="backend")
    simulator = Simulator(config, Opening(purpose="evaluate"))
    simulator.open()
    simulator.reseed(SeedSequence(1))
    assert seen["others"] == [list(simulator.truth()["jacobian_px_per_rad"])]


def test_each_uniform_number_is_of_one_row() -> None:
    assert sorted(ROWS[name].share for name in DRAWN) == list(range(len(DRAWN)))


def test_the_rows_name_no_other_conditions() -> None:
    assert {name for row in ROWS.values() for name in row.presets} == set(CONDITIONS)


def test_what_is_drawn_or_changes_is_an_option() -> None:
    assert all(row.option for row in ROWS.values() if row.share is not None or row.changes)


def test_what_rows_say_all_of_is_named_in_its_row_alone() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    for name in ("action_noise", "axis_ratio", "shear_deg", "vibration_px"):
        assert sum(text.count(name) for text in texts) == 1, name
