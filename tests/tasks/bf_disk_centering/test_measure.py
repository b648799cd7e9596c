from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stempilot.contract.values import Frame
from stempilot.errors import FrameError
from stempilot_tasks.bf_disk_centering import measure
from stempilot_tasks.bf_disk_centering.state import Measured

Draw = Callable[..., npt.NDArray[Any]]
SHAPE = (1040, 1040)


def look(
    pixels: npt.NDArray[Any],
    *,
    shape: tuple[int, int] = SHAPE,
    pixel_rad: float | None = None,
) -> Measured:
    frame = Frame(pixels=pixels, exposure_s=0.1, taken_at_s=0, pixel_rad=pixel_rad)
    return measure.measure_disk(frame, (1e-3, -2e-3), shape)


def pretend(monkeypatch: pytest.MonkeyPatch, **found: Any) -> None:
    """Let the locator answer so, whatever the frame."""
    nothing = {
        "visible": True,
        "cut": False,
        "saturated": False,
        "x_px": np.nan,
        "y_px": np.nan,
        "radius_px": np.nan,
        "contrast": 1.0,
        "clipped": 0.0,
    }
    answer = SimpleNamespace(**(nothing | found))
    monkeypatch.setattr(measure, "find_disks", lambda pixels, **_: (answer,))


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_a_drawn_disk_is_found_where_it_was_drawn(draw: Draw, dtype: str) -> None:
    found = look(draw(120.25, -80.5, dtype=dtype), pixel_rad=5e-4)
    assert found.position_px == pytest.approx((120.25, -80.5), abs=0.2)
    assert found.radius_px == pytest.approx(30, abs=1)
    assert (found.visible, found.cut, found.saturated) == (True, False, False)
    assert (found.pixel_rad, found.shift_rad) == (5e-4, (1e-3, -2e-3))


def test_x_is_the_column_on_a_frame_that_is_not_square(draw: Draw) -> None:
    found = look(draw(150, -20, shape=(300, 500)), shape=(300, 500))
    assert found.position_px == pytest.approx((150, -20), abs=0.2)


def test_numbers_are_plain(draw: Draw) -> None:
    found = look(draw(0, 0))
    assert found.position_px is not None
    assert [type(item) for item in found.position_px] == [float, float]
    assert type(found.visible) is type(found.cut) is type(found.saturated) is bool


def test_an_empty_frame_shows_nothing(draw: Draw) -> None:
    found = look(draw(0, 0, level=0))
    assert (found.visible, found.position_px, found.radius_px) == (False, None, None)


def test_a_dark_frame_shows_nothing() -> None:
    assert not look(np.zeros(SHAPE, dtype=np.uint16)).visible


def test_saturation_that_leaves_the_edge_to_see_is_a_flag(draw: Draw) -> None:
    found = look(draw(40, 30, level=1e6))
    assert found.saturated
    assert found.position_px == pytest.approx((40, 30), abs=1)


def test_a_frame_clipped_all_over_is_an_error() -> None:
    pixels = np.full(SHAPE, 65535, dtype=np.uint16)
    pixels[5, 5] = 0
    with pytest.raises(FrameError, match="100% of the frame's pixels are clipped at 65535"):
        look(pixels)


def test_a_clipped_frame_is_no_error_where_the_disk_was_located(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, saturated=True, x_px=519.5, y_px=519.5)
    assert look(np.full(SHAPE, 65535, dtype=np.uint16)).position_px == (0.0, 0.0)


def test_floating_point_pixels_have_no_largest_value(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, saturated=True)
    assert look(np.zeros(SHAPE, dtype=np.float32)).position_px is None


def test_clipping_that_hides_the_edge_loses_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, saturated=True)
    pixels = np.zeros(SHAPE, dtype=np.uint16)
    pixels[:800] = 65535
    found = look(pixels)
    assert (found.visible, found.saturated, found.position_px) == (True, True, None)


def test_a_centre_that_cannot_be_trusted_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cut=True, radius_px=30.0)
    found = look(np.zeros(SHAPE, dtype=np.uint16))
    assert (found.visible, found.cut) == (True, True)
    assert (found.position_px, found.radius_px) == (None, None)


def test_a_radius_that_was_not_found_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, x_px=519.5, y_px=500.0)
    found = look(np.zeros(SHAPE, dtype=np.uint16))
    assert (found.position_px, found.radius_px) == ((0, -19.5), None)


@pytest.mark.parametrize(
    ("pixels", "pixel_rad", "message"),
    [
        (np.zeros((1040, 1024), dtype=np.uint16), None, r"is \(1040, 1024\), .* \(1040, 1040\)"),
        (np.zeros((1040, 1040, 3), dtype=np.uint16), None, "camera_shape"),
        (np.zeros(SHAPE, dtype=bool), None, "pixels are bool"),
        (np.zeros(SHAPE, dtype=complex), None, "pixels are complex128"),
        (np.full(SHAPE, "a"), None, "pixels are <U1"),
        (np.zeros(SHAPE, dtype=np.uint16), 0.0, "calibrated as 0 rad"),
        (np.zeros(SHAPE, dtype=np.uint16), np.nan, "calibrated as nan rad"),
    ],
)
def test_frames_that_cannot_be_used_are_errors(
    pixels: npt.NDArray[Any], pixel_rad: float | None, message: str
) -> None:
    with pytest.raises(FrameError, match=message):
        look(pixels, pixel_rad=pixel_rad)
