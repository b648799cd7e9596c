import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.core.report.toy import GOAL_PX, event, frame, save, simulate, write_run

from stempilot.errors import RunDirError
from stempilot.report.animation import MOST_FRAMES, animation_picture, block_means
from stempilot.report.loading import gather
from stempilot.report.pictures import FOUND_RGB, GOAL_RGB
from stempilot.report.style import Picture

SIDE = 130
EVERY = {"every": 1, "ends": False}


def with_frames(folder: Path, episodes: int, *, most: int | None = None, side: int = SIDE) -> Path:
    events = simulate(10_000, lambda _: 0.95, episodes=episodes, seed=3)[:most]
    write_run(folder, events, command="run", episodes=episodes, frames=EVERY)
    (folder / "frames").mkdir()
    for line in events:
        place = (line["summary"]["x_px"] / 8, line["summary"]["y_px"] / 8)
        name = f"e{line['e']:05d}_k{line['k']:04d}.npy"
        save(folder / "frames" / name, frame(place, side=side))
    return folder


def opened(run: Path) -> Image.Image:
    picture = animation_picture(gather(run))
    assert isinstance(picture, Picture)
    return Image.open(io.BytesIO(picture.content))


def test_every_kept_frame_is_shown_in_order(tmp_path: Path) -> None:
    run = with_frames(tmp_path / "run", 2)
    image = opened(run)
    assert getattr(image, "n_frames", 0) == len(list((run / "frames").iterdir()))
    first = np.asarray(image.convert("RGB"))
    image.seek(3)
    assert (np.asarray(image.convert("RGB")) != first).any()


def test_goal_and_position_are_marked_where_the_events_say(tmp_path: Path) -> None:
    places = [(-30.0, -12.0), (-20.0, -5.0), (-10.0, 8.0)]
    events = [event(0, k, k, place, reward=0.0) for k, place in enumerate(places)]
    run = write_run(tmp_path / "run", events, command="run", frames=EVERY)
    (run / "frames").mkdir()
    for k, place in enumerate(places):
        save(run / "frames" / f"e00000_k{k:04d}.npy", frame(place, side=SIDE))
    image = opened(run).convert("RGB")
    zoom = image.width / SIDE
    for colour, offset in ((GOAL_RGB, GOAL_PX), (FOUND_RGB, places[0])):
        rows, cols = np.nonzero((np.asarray(image) == colour).all(axis=2))
        middle = ((cols.min() + cols.max()) / 2, (rows.min() + rows.max()) / 2)
        expected = (np.array(offset) + SIDE / 2) * zoom
        np.testing.assert_allclose(middle, expected, atol=2)


def test_long_runs_show_their_beginning_and_end(tmp_path: Path) -> None:
    run = with_frames(tmp_path / "run", 40, most=MOST_FRAMES + 20, side=40)
    picture = animation_picture(gather(run))
    assert isinstance(picture, Picture)
    assert getattr(opened(run), "n_frames", 0) <= MOST_FRAMES
    assert f"of {MOST_FRAMES + 20} frames" in picture.caption


def test_runs_without_all_frames_have_none(trained: Path) -> None:
    assert "--frames all" in str(animation_picture(gather(trained)))


def test_frames_of_a_task_without_positions_are_shown_unmarked(tmp_path: Path) -> None:
    events = simulate(10_000, lambda _: 0.95, episodes=1)
    for line in events:
        line["summary"] = {"contrast": 0.5}
    run = write_run(tmp_path / "run", events, command="run", frames=EVERY)
    (run / "frames").mkdir()
    for k in range(4):
        save(run / "frames" / f"e00000_k{k:04d}.npy", frame((3 * k, 0), side=SIDE))
    image = np.asarray(opened(run).convert("RGB"))
    assert not (image == GOAL_RGB).all(axis=2).any()


@pytest.mark.parametrize(
    "content", [b"", b"no array", b"\x93NUMPY"], ids=["empty", "text", "cut off"]
)
def test_damaged_frames_are_refused(tmp_path: Path, content: bytes) -> None:
    run = with_frames(tmp_path / "run", 1)
    path = next((run / "frames").iterdir())
    path.write_bytes(content)
    with pytest.raises(RunDirError, match=path.name):
        animation_picture(gather(run))


def test_frames_of_different_shapes_are_refused(tmp_path: Path) -> None:
    run = with_frames(tmp_path / "run", 1)
    save(run / "frames" / "e00000_k0001.npy", np.zeros((5, 5)))
    with pytest.raises(RunDirError, match="shape"):
        animation_picture(gather(run))


def test_frames_are_never_unpickled(tmp_path: Path) -> None:
    run = with_frames(tmp_path / "run", 1)
    with (run / "frames" / "e00000_k0000.npy").open("wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(RunDirError, match="is no NPY file of plain numbers"):
        animation_picture(gather(run))


def test_blocks_that_are_not_whole_are_left_out() -> None:
    pixels = np.arange(20.0).reshape(4, 5)
    np.testing.assert_array_equal(block_means(pixels, 2), [[3.0, 5.0], [13.0, 15.0]])
