"""How far from the goal the successful episodes ended."""

from functools import partial

import numpy as np
from matplotlib.axes import Axes

from stempilot.contract.goals import Quantity
from stempilot.report.evidence import Errors, Evidence
from stempilot.report.series import FloatArray
from stempilot.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    VERMILION,
    Picture,
    dress,
    finish,
    legend,
    new_figure,
)

_FEWEST = 2
_SAME_PIXEL = 0.01


def rms(values: FloatArray) -> float | None:
    """Return the root mean square of the finite values; ``None`` without any."""
    known = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(known**2))) if known.size else None


def accuracy_picture(evidence: Evidence) -> Picture | str:
    """Draw the distribution of the main quantity and of final positions; or say why not."""
    errors, main = evidence.errors(), evidence.series.shown.main
    measured = errors.measured[np.isfinite(errors.measured)]
    if main is None or max(len(errors.px), len(measured)) < _FEWEST:
        return (
            "Errors: fewer than two successful episodes, or the task's summary does not give a "
            "quantity that has a better and a worse."
        )
    offsets = _offsets(evidence, errors)
    figure = new_figure(4.0, 10.0 if len(offsets) else 6.0)
    ratios = [1.4, 1] if len(offsets) else [1]
    axes = figure.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0]
    _histogram(axes[0], errors, measured, main)
    if len(offsets):
        _scatter(axes[1], offsets)
    return finish("errors", "Error at the end", _caption(evidence, errors, main), figure)


def _offsets(evidence: Evidence, errors: Errors) -> FloatArray:
    """Return the final offsets from the goal, (n, 2) px, true ones where known."""
    ends = [episode.last for episode in evidence.series.complete if episode.success]
    if not evidence.series.shown.on_camera:
        return np.empty((0, 2))
    seen = evidence.series.position[ends] - evidence.series.goal[ends]
    offsets = errors.true_px if len(errors.px) else seen
    known: FloatArray = offsets[np.isfinite(offsets).all(axis=1)]
    return known


def _histogram(ax: Axes, errors: Errors, measured: FloatArray, main: Quantity) -> None:
    true = errors.px
    largest = float(np.concatenate([true, measured]).max())
    bins = int(np.clip(2 * np.sqrt(len(errors.measured)), 6, 25))
    edges = np.linspace(0, (largest or 1e-6) * 1.0001, bins + 1)
    if len(true):
        ax.hist(true, bins=edges.tolist(), color=BLUE, alpha=0.6, label="true")
    if len(measured):
        counts, _ = np.histogram(measured, bins=edges)
        ax.stairs(counts, edges, color=VERMILION, linewidth=1.8, label="measured")
    kind, values = ("true", true) if len(true) else ("measured", measured)
    radius = float(np.sqrt(np.mean(values**2)))
    ax.axvline(radius, color=INK, linewidth=2, label=f"{kind} RMS {radius:.3g} {main.unit}")
    dress(ax, x=main.label, y="episodes")
    ax.set_xlim(0, edges[-1])
    ax.locator_params(axis="y", integer=True)
    legend(ax)
    pixel_mrad = 1e3 * errors.pixel_rad[np.isfinite(errors.pixel_rad)]
    if pixel_mrad.size and np.ptp(pixel_mrad) <= _SAME_PIXEL * pixel_mrad.mean():
        scale = float(pixel_mrad.mean())
        top = ax.secondary_xaxis(
            "top", functions=(partial(np.multiply, scale), partial(np.multiply, 1 / scale))
        )
        top.set_xlabel(f"{main.symbol} (mrad)", fontsize=10, color=INK)
        top.tick_params(labelsize=9, colors=MUTED, length=3)
        top.spines["top"].set_color(MUTED)


def _scatter(ax: Axes, offsets: FloatArray) -> None:
    reach = 1.15 * max(float(np.abs(offsets).max()), 1e-6)
    ax.plot(0, 0, "+", color=GREEN, markersize=22, markeredgewidth=2)
    ax.plot(*offsets.T, "o", color=BLUE, markersize=4, alpha=0.5, markeredgewidth=0)
    angle = np.linspace(0, 2 * np.pi, 200)
    radius = float(rms(np.hypot(*offsets.T)) or 0)
    ax.plot(radius * np.cos(angle), radius * np.sin(angle), color=INK, linewidth=1.5, label="RMS")
    dress(ax, x="x from the goal (px)", y="y from the goal (px)")
    ax.set_aspect("equal")
    ax.set_xlim(-reach, reach)
    ax.set_ylim(reach, -reach)
    ax.locator_params(nbins=5)
    ax.plot([], [], "+", color=GREEN, markersize=10, markeredgewidth=2, label="goal")
    ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=9, labelcolor=INK, frameon=False
    )


def _caption(evidence: Evidence, errors: Errors, main: Quantity) -> str:
    complete = evidence.series.complete
    text = f"The {len(errors.measured)} successful of {len(complete)} episodes. "
    if len(errors.px):
        text += (
            "The true error, which no real instrument tells, is "
            f"{rms(errors.px):.3g} {main.unit} RMS"
            + (f" or {rms(errors.mrad):.3g} mrad RMS" if len(errors.mrad) else "")
            + ". "
        )
    else:
        text += "Errors are as measured. "
    if not evidence.series.as_in_paper:
        return text.rstrip()
    return text + (
        "The paper reports less than 0.5 px (sub-0.5 mrad) with unbinned pixels and no tolerance, "
        "growing to about 8 mrad with the widest tolerance (Fig. 5)."
    )
