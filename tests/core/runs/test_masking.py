"""A mask of a camera's defective pixels, from a few frames."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.core.fakes import Desk

from stempilot.errors import BackendError, ConfigError
from stempilot.instrument.lock import instrument_lock
from stempilot.runs.defects import find_defects
from stempilot.runs.masking import make_mask, read_frames, take_frames
from stempilot.testing.toys import TOY_CAMERA

SHAPE = (200, 260)
CLIPPED = 65535


def dark(rng, level=100.0, noise=6.0):
    return rng.normal(level, noise, SHAPE)


def flat(rng, level=3000.0):
    """An evenly lit round screen that is darker to one side; an offset of 100."""
    rows, cols = np.ogrid[: SHAPE[0], : SHAPE[1]]
    light = level * (1 + 0.4 * cols / SHAPE[1]) * (np.hypot(rows - 100, cols - 130) < 125)
    return 100 + rng.poisson(light) + rng.normal(0, 6, SHAPE)


def counts(image):
    return np.clip(image, 0, CLIPPED).astype(np.uint16)


def frames_of(draw, count=5, *, flaw=None, **rest):
    rng = np.random.default_rng(4)
    drawn = [draw(rng, **rest) for _ in range(count)]
    for image in drawn:
        if flaw:
            flaw(image)
    return [counts(image) for image in drawn]


def found(frames, *, is_flat, **rest):
    names = [f"frame {n}" for n in range(len(frames))]
    return find_defects(frames, flat=is_flat, names=names, **rest)


def flaws(image):
    """One of each kind; a gap of two columns, two rows, a cluster of 12 x 12, single pixels."""
    image[40, 50] = 0
    image[60, 170] = CLIPPED
    image[100:112, 120:132] = CLIPPED
    image[:, 77:79] = 0
    image[150, :] = CLIPPED
    image[31, :] = 0


@pytest.mark.parametrize("draw", [dark, flat])
def test_every_kind_is_found_and_counted(draw):
    defects = found(frames_of(draw, flaw=flaws), is_flat=draw is flat)
    assert (defects.dead, defects.hot) == (1, 1 + 144)
    assert (defects.columns, defects.rows) == ((77, 78), (31, 150))
    expected = np.zeros(SHAPE, bool)
    expected[40, 50] = expected[60, 170] = True
    expected[100:112, 120:132] = True
    expected[:, 77:79] = expected[[31, 150]] = True
    assert (defects.mask == expected).all()


@pytest.mark.parametrize("draw", [dark, flat])
@pytest.mark.parametrize("kind", ["uint16", "int32", "float32"])
def test_a_sound_camera_has_no_defect(draw, kind):
    frames = [frame.astype(kind) for frame in frames_of(draw)]
    assert not found(frames, is_flat=draw is flat).mask.any()


def test_what_is_in_one_frame_alone_is_no_defect():
    frames = frames_of(dark, 3)
    frames[1][50, 60] = CLIPPED  # a cosmic ray
    assert not found(frames, is_flat=False).mask.any()


def test_warm_pixels_show_in_the_dark_and_gain_steps_are_no_defects():
    def warm(image):
        image[10, 20] += 100

    def steps(image):
        image[:, 100:140] = 100 + 0.8 * (image[:, 100:140] - 100)

    assert found(frames_of(dark, flaw=warm), is_flat=False).hot == 1
    assert not found(frames_of(flat, flaw=steps), is_flat=True).mask.any()


def test_clipping_is_that_of_the_camera():
    def clip(image):
        image[5, 5] = 4095

    frames = frames_of(flat, flaw=clip, level=2500.0)
    assert found(frames, is_flat=True, saturation=4095).hot == 1


def disk(radius, level):
    def put(image):
        rows, cols = np.ogrid[: SHAPE[0], : SHAPE[1]]
        image[np.hypot(rows - 90, cols - 110) < radius] += level

    return put


@pytest.mark.parametrize(
    ("draw", "flaw", "message"),
    [
        (dark, disk(60, 500.0), "no dark frames: near column .* blank the beam"),
        (dark, disk(9, 500.0), "no dark frames, or the camera is broken: a patch .* near column 1"),
        (flat, disk(9, 9000.0), "no flat frames, or the camera is broken: a patch"),
        (flat, disk(40, 9000.0), "no flat frames: .* Spread the beam"),
        (dark, disk(400, 70000.0), "100% of the pixels stand out"),
    ],
)
def test_a_beam_in_the_frames_is_named(draw, flaw, message):
    with pytest.raises(ConfigError, match=message):
        found(frames_of(draw, flaw=flaw), is_flat=draw is flat)


def test_a_disk_is_no_flat_frame_and_a_faint_one_hides_dead_pixels():
    lit = disk(60, 5000.0)
    with pytest.raises(ConfigError, match="no flat frames: [0-9]+% of them"):
        found(frames_of(dark, flaw=lit), is_flat=True)
    with pytest.raises(ConfigError, match="too faint: they read .* Expose longer"):
        found(frames_of(dark, level=40.0), is_flat=True)


def test_a_screen_that_fills_less_than_half_of_the_frame_and_an_unlit_one():
    rows, cols = np.ogrid[:600, :600]
    lit = np.where(np.hypot(rows - 300, cols - 300) < 225, 2000, 0)
    rng = np.random.default_rng(3)
    screens = [rng.poisson(lit).astype(np.uint16) for _ in range(3)]
    for screen in screens:
        screen[300, 200:202] = 0
    defects = found(screens, is_flat=True)
    assert (defects.dead, defects.hot) == (2, 0)
    with pytest.raises(ConfigError, match="frame 0 is no flat frame: three quarters of it read 0"):
        found([np.zeros(SHAPE)] * 3, is_flat=True)


def test_frames_unlike_each_other_are_named():
    darks, flats = frames_of(dark), frames_of(flat)
    with pytest.raises(
        ConfigError, match=r"frame 4 is unlike .* [0-9]+% of its pixels .* they read 10"
    ):
        found([*darks[:4], flats[0]], is_flat=False)
    brighter = frames_of(flat, level=9000.0)
    with pytest.raises(ConfigError, match="frame 4 is unlike"):
        found([*flats[:4], brighter[0]], is_flat=True)
    dimmer = frames_of(flat, level=2400.0)
    assert not found([*flats[:4], dimmer[0]], is_flat=True).mask.any()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "0 frames are too few; give at least 3"),
        ([np.zeros(SHAPE)] * 2, "2 frames are too few"),
        ([np.zeros(SHAPE)] * 2 + [np.zeros((64, 64))], r"frame 2 holds \(64, 64\) float64"),
        ([np.zeros((64, 64, 3))] * 3, r"frame 0 holds \(64, 64, 3\)"),
        ([np.zeros(SHAPE, bool)] * 3, "frame 0 holds .* bool"),
        ([np.full(SHAPE, np.nan)] * 3, "finite"),
    ],
)
def test_what_are_no_frames_is_refused(frames, message):
    with pytest.raises(ConfigError, match=message):
        found(frames, is_flat=False)


def test_a_camera_that_is_broken_all_over_is_refused():
    def noise(image):
        image[np.random.default_rng(1).random(SHAPE) < 0.1] = 0

    with pytest.raises(ConfigError, match="10% of the pixels stand out, of at most 5%"):
        found(frames_of(dark, flaw=noise), is_flat=False)


def test_frames_are_read_from_npy_tiff_and_png(tmp_path):
    frames = frames_of(dark, 4)
    np.save(tmp_path / "one.npy", frames[0])
    np.save(tmp_path / "stack.npy", np.array(frames[1:3]))
    Image.fromarray(frames[0]).save(tmp_path / "one.png")
    pages = [Image.fromarray(frame.astype(np.int32)) for frame in frames[:2]]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    read = read_frames([tmp_path / name for name in ("one.npy", "stack.npy", "one.png")])
    assert [name.removeprefix(str(tmp_path))[1:] for name, _ in read] == [
        "one.npy", "stack.npy[0]", "stack.npy[1]", "one.png",
    ]  # fmt: skip
    for (_, pixels), frame in zip(read, [*frames[:3], frames[0]], strict=True):
        assert pixels.dtype == np.uint16
        assert (pixels == frame).all()
    tiff = read_frames([tmp_path / "pages.tif"])
    assert [(pixels == frame).all() for (_, pixels), frame in zip(tiff, frames, strict=False)] == [
        True,
        True,
    ]


def test_what_is_no_frame_on_disk_is_named(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.png")
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "text.tif").write_text("no picture")
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name, message in (
        ("photo.png", r"photo.png is a picture in colours \(RGB\)"),
        ("text.npy", "text.npy cannot be read"),
        ("text.tif", "text.tif cannot be read"),
        ("pickle.npy", "pickle.npy cannot be read"),
        ("none.npy", "none.npy cannot be read"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_frames([tmp_path / name])


def named(frames):
    return [(f"frame {n}", frame) for n, frame in enumerate(frames)]


def test_a_mask_is_joined_to_another_and_overwrites_nothing(tmp_path):
    def hot(image):
        image[5, 6] = CLIPPED

    def dead(image):
        image[7, 130] = image[70, 130] = 0

    first, both = tmp_path / "dark.npy", tmp_path / "both.npy"
    make_mask(named(frames_of(dark, flaw=hot)), first, flat=False)
    flats = named(frames_of(flat, flaw=dead))
    defects, share = make_mask(flats, both, flat=True, add=first)
    assert (defects.hot, np.load(both).sum()) == (0, defects.dead + 1)
    assert share == pytest.approx((defects.dead + 1) / np.prod(SHAPE))
    with pytest.raises(ConfigError, match="exists already; .* --replace"):
        make_mask(flats, first, flat=True)
    assert np.load(first).sum() == 1
    make_mask(flats, first, flat=True, replace=True)
    assert np.load(first).sum() == defects.dead
    np.save(tmp_path / "other.npy", np.zeros((64, 64), bool))
    with pytest.raises(ConfigError, match=r"other.npy holds \(64, 64\) bool"):
        make_mask(flats, tmp_path / "new.npy", flat=True, add=tmp_path / "other.npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both.npy", "dark.npy", "other.npy"]


def test_a_camera_gives_frames_without_a_move():
    desk = Desk(simulated=True)
    taken, saturation = take_frames(desk, "desk", 3, None)
    assert [name for name, _ in taken] == [f"frame {n} of desk" for n in (1, 2, 3)]
    assert [pixels.shape for _, pixels in taken] == [(48, 64)] * 3
    assert saturation == CLIPPED
    assert desk.log == []
    with pytest.raises(ConfigError, match=f"no source 'eels'; .*: {TOY_CAMERA}"):
        take_frames(desk, "desk", 3, "eels")


def test_a_camera_in_use_is_not_disturbed(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("STEMPILOT_LOCK_DIR", str(tmp_path))
    with (
        instrument_lock(Desk(), "desk"),
        pytest.raises(BackendError, match="in use|drives|busy"),
    ):
        take_frames(Desk(), "desk", 3, None)
