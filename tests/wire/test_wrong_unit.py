"""A calibration in a wrong unit is said with the success, and refused where it cannot be true."""

from pathlib import Path
from typing import Any

import pytest
from tests.wire.virtual import BACKEND, TASK, envelope, registry, themis

from stempilot.contract.names import DIFFRACTION_SHIFT
from stempilot.errors import FrameError
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, plan_run


def centre(url: str, out: Path, pixel_mrad: float) -> dict[str, Any]:
    backend = {"url": url, "pixel_mrad": [[6, pixel_mrad]]}
    plan = plan_run(
        registry(),
        task=TASK,
        agent="adaptive",
        backend=BACKEND,
        settings={"backend": backend},
        extras=Extras(seed=1, out=out, envelope=envelope()),
    )
    return execute(plan)


def test_a_calibration_for_another_binning_is_said_with_the_success(tmp_path: Path) -> None:
    with themis(3) as (_, url):
        right = centre(url, tmp_path / "right", 0.565)
        wrong = centre(url, tmp_path / "wrong", 4 * 0.565)
    assert (right["success"], right["reason"]) == (True, "")
    assert wrong["success"]
    assert "by the calibration of 2.26 mrad a pixel the disk moved 4.01 times" in wrong["reason"]


def test_a_calibration_in_another_unit_moves_nothing(tmp_path: Path) -> None:
    with themis(3) as (emulator, url):
        with pytest.raises(FrameError, match="calibrated as 0.565 rad; .* is it in mrad"):
            centre(url, tmp_path / "run", 565.0)
        assert emulator.position(DIFFRACTION_SHIFT) == (0.0, 0.0)
