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
    """The last frame of an episode on one source.

    Attributes:
        episode: its number.
        outcome: how it ended.
        source: the camera or detector; empty where it is not recorded.
        pixels: (rows, cols) averaged over blocks.
        block: side of a block in pixels of the full frame.
        marks: ``goal`` and ``found`` where known, (x, y) in pixels of the full frame.
    """

    episode: int
    outcome: str
    source: str
    pixels: npt.NDArray[np.uint8]
    block: int
    marks: Marks


@frozen(kw_only=True, eq=False)
class Errors:
    """What the main quantity was when episodes ended.

    Attributes:
        measured: (n,) as the task measured it; NaN where it does not say.
        true_px: (n, 2) true offset from the goal on the camera; NaN where there is no truth.
        pixel_rad: (n,) true angle of a pixel, NaN where unknown.
    """

    measured: FloatArray
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
        finals: the last frames that were kept, source by source.
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
        """(rows, cols) of a full frame of the first source, to within a block, if one was kept."""
        if not self.finals:
            return None
        first = self.finals[0]
        rows, cols = first.pixels.shape
        return rows * first.block, cols * first.block

    def errors(self) -> Errors:
        """Return the errors at the end of the successful episodes."""
        ends = [episode.last for episode in self.series.complete if episode.success]
        return Errors(
            measured=self.series.value[ends],
            true_px=self.series.true[ends] - self.series.goal[ends],
            pixel_rad=self.series.pixel_rad[ends],
        )
