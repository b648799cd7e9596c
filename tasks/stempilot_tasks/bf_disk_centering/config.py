"""The options of centring the bright-field disk, and the numbers of the published set-up.

Source: Xu, Kumar, LeBeau, Microsc. Microanal. 28 (2022) 1952-1960, and the code published with it
where the text leaves a number open.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

from attrs import Attribute, field, frozen, validators

from stempilot_tasks.bf_disk_centering.region import SMALLEST_SIDE_PX, Region

PUBLISHED_BIN_PX: Final = 1040 / 255
"""Width of a bin: 255 bins over 1040 px, at the published 4:1 binning."""
PUBLISHED_BINNING: Final = 4
PUBLISHED_PIXEL_MRAD: Final = 0.565
"""Calibrated angle of one FluCam pixel."""
PUBLISHED_TOLERANCE_PX: Final = 3 * PUBLISHED_BIN_PX
PUBLISHED_EDGE_PX: Final = 5 * PUBLISHED_BIN_PX
PUBLISHED_GOAL_PX: Final = (4 * PUBLISHED_BIN_PX, 8 * PUBLISHED_BIN_PX)
PUBLISHED_SIZE_PX: Final = 128 * PUBLISHED_BIN_PX
"""Half the field: "size" in the paper's Eq. 1."""

_LARGEST_TOLERANCE: Final = 0.25
"""Of half the field: what is farther off is not centred."""

LEAST_WATCHED: Final = 12
"""Frames that tell a steady disk. Of disks that all change by up to 20 %, evenly drawn, one looks
steady in so many frames 6 times in 100,000."""
_MOST_WATCHED: Final = 64

ObservationKind = Literal["unrounded", "paper"]
ActionKind = Literal["continuous", "discrete"]
RewardKind = Literal["informative", "non-informative", "sparse"]

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def _within(low: float, high: float = math.inf, *, open_low: bool = False) -> Validator:
    """Return a validator for finite numbers from ``low`` (excluded if open) to ``high``."""

    def check(_: Any, attribute: "Attribute[Any]", value: float) -> None:
        if math.isfinite(value) and low <= value <= high and not (open_low and value == low):
            return
        above = f"above {low:g}" if open_low else f"at least {low:g}"
        top = "" if math.isinf(high) else f" and at most {high:g}"
        msg = f"{attribute.name} = {value!r} must be a finite number {above}{top}"
        raise ValueError(msg)

    return check


def _one_of(*choices: object) -> Validator:
    def check(_: Any, attribute: "Attribute[Any]", value: object) -> None:
        if value not in choices:
            msg = f"{attribute.name} = {value!r} must be one of {', '.join(map(str, choices))}"
            raise ValueError(msg)

    return check


def _usable_shape(_: Any, attribute: "Attribute[Any]", value: tuple[int, int]) -> None:
    if min(value) < SMALLEST_SIDE_PX:
        msg = f"{attribute.name} = {value} must be at least {SMALLEST_SIDE_PX} px on each side"
        raise ValueError(msg)


def _finite_pair(_: Any, attribute: "Attribute[Any]", value: tuple[float, float]) -> None:
    if not all(map(math.isfinite, value)):
        msg = f"{attribute.name} = {value} must be two finite numbers"
        raise ValueError(msg)


def _none_or_enough(_: Any, attribute: "Attribute[Any]", value: int) -> None:
    if value != 0 and not LEAST_WATCHED <= value <= _MOST_WATCHED:
        msg = (
            f"{attribute.name} = {value} must be 0, or {LEAST_WATCHED} to {_MOST_WATCHED}; fewer "
            "frames do not tell which disk is steady"
        )
        raise ValueError(msg)


@frozen(kw_only=True)
class BfDiskCenteringConfig:
    """Options of the task.

    Positions are (x = column, y = row) in camera pixels from the frame's centre, y downward. The
    defaults are the published field, step, tolerance and reward, with the goal at the frame's
    centre, the position unrounded, and no step limit of the task's own. `plugins.options.build`
    lays a preset's values between these defaults and the user's; a class made directly has the
    defaults only.

    Attributes:
        preset: ``default``, or ``paper`` for the published set-up to the letter.
        camera_shape: (rows, cols) that every frame must have.
        goal_px: where the disk's centre should come to lie.
        tolerance_px: largest distance from the goal that counts as centred. Without it and
            without ``tolerance_mrad``: 3 published bins, 12.235 px.
        tolerance_mrad: the same as an angle, by the frame's calibration where it has one and by
            ``pixel_mrad`` where not.
        pixel_mrad: angle of one camera pixel where the frame does not say; also used for the
            goal.
        binning: camera pixels to a bin and axis, of which a published bin is 52/51 wide; used by
            the paper's observation only.
        observation: ``unrounded``: residual in half fields. ``paper``: step size, residual in
            whole bins, and whether each residual is zero; distance, reward and success are then
            taken from the rounded position too.
        actions: ``continuous``: two numbers from -1 to 1. ``discrete``: four directions, a full
            action or a quarter of one.
        step_size: the paper's multiplier: a full action shifts by ``step_size / 10`` published
            bins at the published calibration. It does not depend on ``binning``.
        edge_threshold_px: the disk counts as lost when its centre is nearer to the frame's edge.
        step_limit: timesteps after which the task has failed; ``None`` for no such limit.
        start_range: training and evaluation start only where the offset from the frame's centre
            is at most this share of the half field, on both axes.
        scramble_steps: how far from home a start is drawn, in full actions for each component,
            on instruments that do not misalign themselves.
        reward: ``informative``: Eq. 1. ``non-informative``: Eq. 1 without its distance term.
            ``sparse``: nothing but the terminal rewards.
        disk_px: where the direct beam is at the start of an episode; the disk that lies there is
            taken for it.
        reference: folder of a run on vacuum at the same camera length, whose disk tells radius,
            contrast and place of the direct beam.
        radius_px: radius of the disks, where it is known.
        semi_angle_mrad: convergence semi-angle, where it is known; the result says where the disk's
            radius contradicts it.
        mask: file of a NumPy array (rows, cols) in which the camera's defective pixels are true;
            ``stempilot mask`` makes one.
        region: part of the frame in which the disk is looked for, in pixels from its centre: left,
            top, right, bottom, or x, y, radius of a round screen; ``None`` for the whole frame.
        confirm: whether success that rests on one frame is confirmed by a small move and back:
            ``real``: on real instruments, ``always``, or ``never``.
        watch_frames: how many frames are taken at most, without a move, where more than one disk
            may be the direct beam and the one that does not change may tell; 0 for none.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "default": MappingProxyType({}),
            "paper": MappingProxyType(
                {
                    "goal_px": PUBLISHED_GOAL_PX,
                    "tolerance_px": None,
                    "binning": PUBLISHED_BINNING,
                    "observation": "paper",
                    "actions": "continuous",
                    "step_size": 100.0,
                    "edge_threshold_px": PUBLISHED_EDGE_PX,
                    "step_limit": 200,
                    "start_range": 1.0,
                    "reward": "informative",
                }
            ),
        }
    )

    preset: str = field(default="default", validator=_one_of("default", "paper"))
    camera_shape: tuple[int, int] = field(default=(1040, 1040), validator=_usable_shape)
    goal_px: tuple[float, float] = field(default=(0.0, 0.0), validator=_finite_pair)
    tolerance_px: float | None = field(default=None, validator=validators.optional(_within(0)))
    tolerance_mrad: float | None = field(default=None, validator=validators.optional(_within(0)))
    pixel_mrad: float = field(default=PUBLISHED_PIXEL_MRAD, validator=_within(0, open_low=True))
    binning: Literal[1, 2, 4] = field(default=4, validator=_one_of(1, 2, 4))
    observation: ObservationKind = field(
        default="unrounded", validator=_one_of("unrounded", "paper")
    )
    actions: ActionKind = field(default="continuous", validator=_one_of("continuous", "discrete"))
    step_size: float = field(default=100.0, validator=_within(0, open_low=True))
    edge_threshold_px: float = field(default=PUBLISHED_EDGE_PX, validator=_within(0))
    step_limit: int | None = field(default=None, validator=validators.optional(_within(1)))
    start_range: float = field(default=1.0, validator=_within(0, 1, open_low=True))
    scramble_steps: float = field(default=6.0, validator=_within(0, open_low=True))
    reward: RewardKind = field(
        default="informative", validator=_one_of("informative", "non-informative", "sparse")
    )
    disk_px: tuple[float, float] | None = field(
        default=None, validator=validators.optional(_finite_pair)
    )
    reference: str | None = None
    radius_px: float | None = field(
        default=None, validator=validators.optional(_within(0, open_low=True))
    )
    semi_angle_mrad: float | None = field(
        default=None, validator=validators.optional(_within(0, open_low=True))
    )
    mask: str | None = None
    region: tuple[float, ...] | None = None
    confirm: Literal["real", "always", "never"] = field(
        default="real", validator=_one_of("real", "always", "never")
    )
    watch_frames: int = field(default=24, validator=_none_or_enough)

    def __attrs_post_init__(self) -> None:
        """Check what single options cannot show."""
        self._check_tolerance()
        self._check_field()

    def _check_tolerance(self) -> None:
        if self.tolerance_px is not None and self.tolerance_mrad is not None:
            msg = (
                f"tolerance_px = {self.tolerance_px:g} and tolerance_mrad = "
                f"{self.tolerance_mrad:g} are both set; give one of them"
            )
            raise ValueError(msg)
        if self.observation == "unrounded" and 0 in (self.tolerance_px, self.tolerance_mrad):
            msg = (
                "a tolerance of 0 can never be met by an unrounded position; "
                "set a tolerance above 0 or observation = paper"
            )
            raise ValueError(msg)
        tolerance_px, said = PUBLISHED_TOLERANCE_PX, "the tolerance of 3 published bins"
        if self.tolerance_px is not None:
            tolerance_px, said = self.tolerance_px, f"tolerance_px = {self.tolerance_px:g}"
        elif self.tolerance_mrad is not None:
            tolerance_px = self.tolerance_mrad / self.pixel_mrad
            said = f"tolerance_mrad = {self.tolerance_mrad:g} at pixel_mrad = {self.pixel_mrad:g}"
        most = self.largest_tolerance_px
        if tolerance_px > most:
            msg = (
                f"{said} is {tolerance_px:.4g} px, more than {most:.4g} px, a quarter of half the "
                "field; nearly everything would count as centred. Set a smaller tolerance_px, or "
                "see whether the unit is right"
            )
            raise ValueError(msg)

    def _check_field(self) -> None:
        for axis, half, goal in zip("xy", self.half_px, self.goal_px, strict=True):
            edge = half - self.edge_threshold_px
            if edge <= 0:
                msg = (
                    f"edge_threshold_px = {self.edge_threshold_px:g} leaves nothing of a field "
                    f"of +-{half:g} px in {axis}; lower it"
                )
                raise ValueError(msg)
            if abs(goal) >= edge:
                msg = (
                    f"goal_px: {axis} = {goal:g} lies beyond +-{edge:g} px, where the disk counts "
                    "as lost; give an offset from the frame's centre inside of it"
                )
                raise ValueError(msg)
        import numpy as np

        if not self.visible.holds(np.array(self.goal_px), self.edge_threshold_px):
            msg = (
                f"goal_px = {list(self.goal_px)} lies outside of region = "
                f"{list(self.region or ())}, or nearer than edge_threshold_px = "
                f"{self.edge_threshold_px:g} to its edge, where the disk counts as lost; give a "
                "goal inside, or a larger region"
            )
            raise ValueError(msg)

    @property
    def visible(self) -> Region:
        """The part of the frame in which the disk is looked for."""
        return Region.of(self.region, self.half_px)

    @property
    def largest_tolerance_px(self) -> float:
        """What a tolerance may be at most."""
        return _LARGEST_TOLERANCE * self.visible.half_px

    @property
    def half_px(self) -> tuple[float, float]:
        """Half the field, (x, y)."""
        rows, cols = self.camera_shape
        return cols / 2, rows / 2

    @property
    def bin_px(self) -> float:
        """Width of one bin in camera pixels."""
        return self.binning * PUBLISHED_BIN_PX / PUBLISHED_BINNING

    @property
    def step_rad(self) -> float:
        """Diffraction shift of a full action along one axis; 23.04 mrad for a step size of 100."""
        return self.step_size / 10 * PUBLISHED_BIN_PX * PUBLISHED_PIXEL_MRAD * 1e-3
