"""What a run left behind, as values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot.files import Json
from stempilot.record.figures import Evaluation
from stempilot.record.record import Record
from stempilot.report.series import FloatArray, Series

Kind = Literal["training", "evaluation", "plain"]
Marks = Mapping[str, tuple[float, float]]


@frozen(kw_only=True, eq=False)
class Final:
    """The last frame of an episode.

    Attributes:
        episode: its number.
        outcome: how it ended.
        pixels: (rows, cols) averaged over blocks.
        block: side of a block in pixels of the full frame.
        marks: ``goal`` and ``found`` where known, (x, y) in pixels of the full frame.
    """

    episode: int
    outcome: str
    pixels: npt.NDArray[np.uint8]
    block: int
    marks: Marks


@frozen(kw_only=True, eq=False)
class Errors:
    """How far from the goal episodes ended.

    Attributes:
        measured_px: (n,) as the task measured it; NaN where it does not say.
        true_px: (n, 2) true offset from the goal; NaN where there is no truth.
        pixel_rad: (n,) true angle of a pixel, NaN where unknown.
    """

    measured_px: FloatArray
    true_px: FloatArray
    pixel_rad: FloatArray

    @property
    def px(self) -> FloatArray:
        """The true errors that are known, (m,)."""
        length: FloatArray = np.hypot(*self.true_px.T)
        return length[np.isfinite(length)]

    @property
    def mrad(self) -> FloatArray:
        """The same as angles where pixels are calibrated, (m,)."""
        angle: FloatArray = np.hypot(*self.true_px.T) * self.pixel_rad * 1e3
        return angle[np.isfinite(angle)]


@frozen(kw_only=True, eq=False)
class Evidence:
    """What a run left behind.

    Attributes:
        folder: the run directory.
        record: ``record.json``.
        result: ``result.json``; empty when the run did not get that far.
        evaluations: those during training.
        series: all events.
        finals: the last frames that were kept.
        comparison: rows to compare with, from ``comparison.json``.
    """

    folder: Path
    record: Record
    result: Json
    evaluations: tuple[Evaluation, ...]
    series: Series
    finals: tuple[Final, ...]
    comparison: tuple[Json, ...]

    @property
    def kind(self) -> Kind:
        """Whether something was trained, evaluated, or run once."""
        if self.record.trains:
            return "training"
        return "plain" if self.record.episodes is None else "evaluation"

    @property
    def field_px(self) -> tuple[int, int] | None:
        """(rows, cols) of a full frame where one was kept, to within a block."""
        if not self.finals:
            return None
        rows, cols = self.finals[-1].pixels.shape
        return rows * self.finals[-1].block, cols * self.finals[-1].block

    def errors(self) -> Errors:
        """Return the errors at the end of the successful episodes."""
        ends = [episode.last for episode in self.series.complete if episode.success]
        return Errors(
            measured_px=self.series.distance_px[ends],
            true_px=self.series.true_px[ends] - self.series.goal_px[ends],
            pixel_rad=self.series.pixel_rad[ends],
        )
