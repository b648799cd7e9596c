"""What is kept of a frame and of an episode: plain numbers, no pixels."""

import math

from attrs import field, frozen

from stempilot import KnobValue

Point = tuple[float, float]
"""x, y; in camera pixels from the frame's centre unless said otherwise."""


@frozen(kw_only=True)
class Disk:
    """One disk in a frame.

    Attributes:
        position_px: its centre.
        radius_px: its radius.
        contrast: how much it adds to a pixel.
        clipped: most of its pixels are clipped.
    """

    position_px: Point
    radius_px: float
    contrast: float
    clipped: bool = False


@frozen(kw_only=True)
class Measured:
    """What one frame shows.

    Attributes:
        position_px: centre of the disk with the most contrast; ``None`` where there is none to be
            trusted: no disk, or one so badly cut by the frame's edge or hidden by clipping that it
            does not show.
        radius_px: its radius; ``None`` where it was not found.
        visible: a disk, or a part of one, shows.
        cut: the frame's edge cuts the disk.
        saturated: pixels are clipped.
        pixel_rad: angle of one pixel where the frame is calibrated.
        shift_rad: read-back of the diffraction shift.
        disks: all disks with a centre, the one with the most contrast first; by default the one at
            ``position_px``.
        simulated: the frame is not of a real instrument.
    """

    position_px: Point | None
    radius_px: float | None
    visible: bool
    cut: bool
    saturated: bool
    pixel_rad: float | None
    shift_rad: KnobValue
    disks: tuple[Disk, ...] = field()
    simulated: bool = True

    @disks.default
    def _alone(self) -> tuple[Disk, ...]:
        if self.position_px is None:
            return ()
        radius_px = math.nan if self.radius_px is None else self.radius_px
        return (Disk(position_px=self.position_px, radius_px=radius_px, contrast=1.0),)


@frozen(kw_only=True)
class Knowledge:
    """What an episode has found out of the direct beam.

    Attributes:
        disk: which of the disks it is; ``None`` where it is not seen.
        disks: the disks of the frame in which it was last seen, and where those of earlier frames
            are that have moved out of sight.
        ambiguous: more than one disk fits.
        watched: the disks of each frame so far, while standing still is to tell which one it is.
        moves: the latest moves of the diffraction shift and of the disk: x, y in rad, x, y in px.
        follows: the disk was seen to follow the diffraction shift.
        excursion_rad: diffraction shift of the task's own small move, until it has been undone.
        unconfirmed: that move was refused, so that nothing shows whether the disk follows.
    """

    disk: Disk | None = None
    disks: tuple[Disk, ...] = ()
    ambiguous: bool = False
    watched: tuple[tuple[Disk, ...], ...] = ()
    moves: tuple[tuple[float, float, float, float], ...] = ()
    follows: bool = False
    excursion_rad: Point | None = None
    unconfirmed: bool = False


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
        known: what the episode has found out of the direct beam.
    """

    position_px: Point
    residual: Point
    distance: float
    tolerance: float
    lost: bool
    steps: int
    target_rad: Point
    measured: Measured
    known: Knowledge = Knowledge()
