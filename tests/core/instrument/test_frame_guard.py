"""A camera that fails stops the run; a dark field at the start is the task's affair."""

import numpy as np
import numpy.typing as npt
import pytest

from stempilot.contract.values import Frame, SourceSpec
from stempilot.errors import FrameError
from stempilot.instrument.frame_guard import FrameGuard

SPEC = SourceSpec(shape=(160, 192), dtype="uint16")


def noise(seed: int, dtype: str = "uint16") -> npt.NDArray[np.generic]:
    return np.random.default_rng(seed).integers(100, 5000, SPEC.shape).astype(dtype)


def frame(pixels: npt.NDArray[np.generic]) -> Frame:
    return Frame(pixels=pixels, exposure_s=0.1, taken_at_s=0.0)


def guard(*, seen: bool = True, dtype: str = "uint16") -> FrameGuard:
    made = FrameGuard({"eye": SourceSpec(shape=SPEC.shape, dtype=dtype)})
    made.check("eye", frame(noise(0, dtype)))
    if seen:
        made.saw_something("eye")
    return made


def test_noisy_frames_pass() -> None:
    watching = guard()
    for seed in range(1, 5):
        watching.check("eye", frame(noise(seed)))


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize(
    "pixels", [noise(1)[:-1], noise(1)[None], noise(1).astype("uint8"), noise(1).T, noise(1)[:0]]
)
def test_malformed_frames_are_always_refused(seen: bool, pixels: npt.NDArray[np.generic]) -> None:
    with pytest.raises(FrameError, match=r"it promised \(160, 192\) uint16; check the camera"):
        guard(seen=seen).check("eye", frame(pixels))


def test_the_very_first_frame_is_checked_too() -> None:
    with pytest.raises(FrameError, match="promised"):
        FrameGuard({"eye": SPEC}).check("eye", frame(noise(0, "float32")))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_must_be_finite_wherever_they_are(value: float) -> None:
    pixels = noise(1, "float32")
    pixels[7, 9] = value
    with pytest.raises(FrameError, match="not finite"):
        guard(seen=False, dtype="float32").check("eye", frame(pixels))


def test_a_stale_frame_after_something_was_seen_is_a_fault() -> None:
    watching = guard()
    watching.check("eye", frame(noise(1)))
    with pytest.raises(FrameError, match="the same frame twice; is its live view running"):
        watching.check("eye", frame(noise(1)))


def test_a_buffer_that_the_backend_uses_again_is_not_a_stale_frame() -> None:
    watching = guard()
    buffer = noise(1)
    watching.check("eye", frame(buffer))
    buffer[:] = noise(2)
    watching.check("eye", frame(buffer))


def test_a_dead_frame_after_something_was_seen_is_a_fault() -> None:
    with pytest.raises(FrameError, match="delivered 0 in every pixel; is the camera on"):
        guard().check("eye", frame(np.zeros(SPEC.shape, np.uint16)))


def test_a_small_camera_is_watched_too() -> None:
    watching = FrameGuard({"eye": SourceSpec(shape=(5, 7), dtype="uint16")})
    small = noise(1)[:5, :7].copy()
    watching.check("eye", frame(small))
    watching.saw_something("eye")
    after = small.copy()
    after[3, 5] += 1
    watching.check("eye", frame(after))
    with pytest.raises(FrameError, match="the same frame twice"):
        watching.check("eye", frame(after))


def test_a_frame_that_is_dark_but_noisy_is_no_fault() -> None:
    dark = np.random.default_rng(3).poisson(4, SPEC.shape).astype(np.uint16)
    guard().check("eye", frame(dark))


def test_before_anything_was_seen_dark_and_stale_frames_are_no_fault() -> None:
    watching = guard(seen=False)
    for _ in range(3):
        watching.check("eye", frame(np.zeros(SPEC.shape, np.uint16)))


def test_each_source_is_compared_with_itself() -> None:
    watching = FrameGuard({"eye": SPEC, "other": SPEC})
    watching.check("eye", frame(noise(0)))
    watching.saw_something("eye")
    watching.check("other", frame(noise(0)))
    watching.saw_something("other")
    with pytest.raises(FrameError, match="other delivered the same frame"):
        watching.check("other", frame(noise(0)))


def test_a_camera_that_is_dark_stops_no_run_that_sees_on_another() -> None:
    watching, dark = FrameGuard({"eye": SPEC, "other": SPEC}), np.zeros(SPEC.shape, np.uint16)
    for seed in range(3):
        watching.check("eye", frame(noise(seed)))
        watching.check("other", frame(dark))
        watching.saw_something("eye")
        watching.saw_something("other")
    with pytest.raises(FrameError, match="eye delivered 0 in every pixel"):
        watching.check("eye", frame(dark))
