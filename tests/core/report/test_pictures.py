import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from tests.core.report.toy import SIDE_PX, frame, write_finals

from stempilot.record.recorder import shrink, shrink_block
from stempilot.report.loading import gather
from stempilot.report.pictures import (
    FOUND_RGB,
    GOAL_RGB,
    coloured,
    finals_picture,
    marked,
    to_image,
    tones,
)
from stempilot.report.style import Picture


def middle_of(image: Image.Image, colour: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """Return the centre (x, y) of the box around all pixels of a colour."""
    rows, cols = np.nonzero((np.asarray(image) == colour).all(axis=2))
    return np.array([cols.min() + cols.max(), rows.min() + rows.max()]) / 2


@pytest.mark.parametrize("side", [130, 300, SIDE_PX])
def test_marks_lie_where_goal_and_measurement_are(side: int) -> None:
    goal, found = (0.5 * side, 0.25 * side), (0.3 * side, 0.7 * side)
    pixels = frame((-0.2 * side, 0.2 * side), side=side)
    block = shrink_block(pixels.shape)
    image = marked(shrink(pixels), {"goal": goal, "found": found}, block)
    scale = image.width / side
    np.testing.assert_allclose(middle_of(image, GOAL_RGB), np.multiply(goal, scale), atol=2)
    np.testing.assert_allclose(middle_of(image, FOUND_RGB), np.multiply(found, scale), atol=2)


def test_the_cross_lies_on_the_disk() -> None:
    pixels = frame((150.0, -220.0))
    place = ((SIDE_PX - 1) / 2 + 150, (SIDE_PX - 1) / 2 - 220)
    image = marked(shrink(pixels), {}, 4)
    bright = np.asarray(image).sum(axis=2) > 500
    rows, cols = np.nonzero(bright)
    zoom = image.width // 260
    np.testing.assert_allclose((cols.mean(), rows.mean()), to_image(place, 4, zoom), atol=1)


def test_pixel_centres_stay_pixel_centres() -> None:
    assert to_image((0.0, 0.0), 1, 1) == (0.0, 0.0)
    # The first block of four has its centre at 1.5; enlarged twice its pixels are 0 and 1.
    assert to_image((1.5, 1.5), 4, 2) == (0.5, 0.5)


def test_without_marks_nothing_is_marked() -> None:
    image = np.asarray(marked(shrink(frame((0, 0), side=130)), {}, 1))
    assert not (image == GOAL_RGB).all(axis=2).any()
    assert not (image == FOUND_RGB).all(axis=2).any()


def test_a_flat_frame_is_dark() -> None:
    flat = np.full((20, 20), 7, np.uint8)
    assert np.asarray(marked(flat, {}, 1)).max() < 64


def test_faint_pixels_are_lifted() -> None:
    tone = tones(np.array([[0.0, 10.0, 100.0]]), 0.0, 100.0)
    assert tone[0, 0] == 0
    assert tone[0, 1] == pytest.approx(0.4, abs=0.02)
    assert tone[0, 2] == pytest.approx(1)
    brightness = coloured(tone).sum(axis=2)[0]
    assert brightness[0] < brightness[1] < brightness[2]


def test_finals_show_every_frame(trained: Path) -> None:
    drawn = [finals_picture(gather(trained))]
    write_finals(trained, [(0, 0)], side=130)
    drawn.append(finals_picture(gather(trained)))
    sizes = []
    for picture in drawn:
        assert isinstance(picture, Picture)
        image = Image.open(io.BytesIO(picture.content))
        sizes.append(image.size)
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    assert sizes[0] != sizes[1]
