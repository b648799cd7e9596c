"""What is kept of a frame and of an episode: plain numbers, no pixels."""

from attrs import frozen

from stempilot import KnobValue

Point = tuple[float, float]
"""x, y; in camera pixels from the frame's centre unless said otherwise."""


@frozen(kw_only=True)
class Measured:
    """What one frame shows.

    Attributes:
        position_px: the disk's centre; ``None`` where there is none to be trusted: no disk, or
            one so badly cut by the frame's edge or hidden by clipping that it does not show.
        radius_px: the disk's radius; ``None`` where it was not found.
        visible: a disk, or a part of one, shows.
        cut: the frame's edge cuts the disk.
        saturated: pixels are clipped.
        pixel_rad: angle of one pixel where the frame is calibrated.
        shift_rad: read-back of the diffraction shift.
    """

    position_px: Point | None
    radius_px: float | None
    visible: bool
    cut: bool
    saturated: bool
    pixel_rad: float | None
    shift_rad: KnobValue


@frozen(kw_only=True)
class CenteringState:
    """The state of an episode.

    Attributes:
        position_px: the disk's centre, inside the frame. Where the disk is not found it is where
            it was last seen, and the frame's lower right corner if it never was: an unseen disk
            must not look centred.
        residual: position minus goal in the task's unit, rounded where the task rounds.
        distance: length of the residual.
        tolerance: largest distance that counts as centred.
        lost: the disk is out of sight or too near to the frame's edge.
        steps: timesteps into the episode.
        target_rad: diffraction shift that was last asked for. At the start it is the read-back;
            later read-backs do not enter, so that their rounding does not add up.
        measured: what the last frame showed.
    """

    position_px: Point
    residual: Point
    distance: float
    tolerance: float
    lost: bool
    steps: int
    target_rad: Point
    measured: Measured
