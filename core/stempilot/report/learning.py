"""How learning went, how many steps episodes took, how a single run approached the goal."""

import numpy as np
from matplotlib.axes import Axes

from stempilot.record.figures import PAPER_WINDOW, convergence as convergence_of, smoothed
from stempilot.record.quantities import RAISE
from stempilot.report.evidence import Evidence
from stempilot.report.rise import mark_best
from stempilot.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Picture,
    dress,
    finish,
    in_thousands,
    legend,
    new_figure,
    thousands,
)

PAPER_STEPS = (21.4, 10.4)
"""Steps per episode of the paper's converged agent, mean and standard deviation (figure 2)."""
_PAPER_LIMIT = 100
"""The episode length that the paper draws as its threshold (figures 6 and 7)."""
_PASS = 0.96
_MANY = 300


def convergence(evidence: Evidence) -> tuple[int | None, int | None]:
    """Return ``converged_at`` and ``reward_converged_at``, also of a run without a result."""
    series, result = evidence.series, evidence.result
    goal = evidence.record.goal
    found = convergence_of(goal, evidence.evaluations, series.ends(), series.rewards()) | result
    return _count(found["converged_at"]), _count(found["reward_converged_at"])


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def learning_picture(evidence: Evidence) -> Picture | str:
    """Draw steps, reward and evaluations against timesteps; or say why not."""
    series = evidence.series
    if not series.complete:
        return "Learning curves: no episode was completed."
    panels = 3 if evidence.evaluations else 2
    figure = new_figure(2.3 * panels + 0.4)
    axes = list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
    by_success, by_reward = convergence(evidence)
    _curve(axes[0], series.ends(), series.steps(), BLUE)
    dress(axes[0], title="Steps per episode", y="steps")
    if max(series.steps()) >= _PAPER_LIMIT:
        axes[0].axhline(_PAPER_LIMIT, color=MUTED, linewidth=1)
    axes[0].set_ylim(0, 1.08 * max(*series.steps(), 1))
    _curve(axes[1], series.ends(), series.rewards(), VERMILION)
    dress(axes[1], title="Episode reward", y="sum of rewards")
    axes[1].axhline(0, color=MUTED, linewidth=1)
    _mark(axes[1], by_reward, "reward stays above 0 from", PURPLE, ":")
    if evidence.evaluations:
        _evaluations(axes[2], evidence)
        if evidence.record.goal != RAISE:
            _mark(axes[2], by_success, "converged at", GREEN, "--")
    for ax in axes[:2]:
        legend(ax)
    axes[-1].set_xlabel("timesteps", fontsize=10, color=INK)
    axes[-1].set_xlim(0, max(series.timesteps, 1) * 1.01)
    in_thousands(axes[-1])
    caption = (
        "Each dot is an episode, drawn where it ended; the line is the exponentially weighted "
        f"average over {PAPER_WINDOW} episodes. The reward should rise above 0 and stay there."
    )
    if series.as_in_paper:
        caption += (
            " Corresponds to Fig. 2 of the paper (Fig. 9 on the microscope, Fig. 8 for relearning)."
        )
    if evidence.evaluations:
        caption += (
            " The lowest panel shows the learned policy without its exploration, tried on a copy "
            "of the instrument; such a trial stops at its fifth failure."
        )
    return finish("learning", "Learning", caption, figure)


def _curve(ax: Axes, ends: list[int], values: list[int] | list[float], colour: str) -> None:
    size, alpha = (4, 0.3) if len(ends) > _MANY else (8, 0.5)
    ax.plot(
        ends,
        values,
        ".",
        color=colour,
        markersize=size,
        alpha=alpha,
        markeredgewidth=0,
        label="episode",
    )
    ax.plot(ends, smoothed(values), color=colour, linewidth=2, label="weighted average")


def _mark(ax: Axes, timestep: int | None, text: str, colour: str, line: str) -> None:
    if timestep is None:
        return
    label = f"{text} {thousands(timestep)}"
    ax.axvline(timestep, color=colour, linewidth=1.8, linestyle=line, label=label)
    legend(ax, "lower right")


def _evaluations(ax: Axes, evidence: Evidence) -> None:
    at = np.array([evaluation.timestep for evaluation in evidence.evaluations])
    rate = np.array([e.successes / max(e.episodes, 1) for e in evidence.evaluations])
    passed = np.array([evaluation.passed for evaluation in evidence.evaluations])
    ax.plot(at, 100 * rate, color=SKY, linewidth=1)
    ax.plot(
        at[~passed], 100 * rate[~passed], "o", color="white", markeredgecolor=BLUE, markersize=4
    )
    ax.plot(at[passed], 100 * rate[passed], "o", color=BLUE, markersize=4)
    ax.axhline(100 * _PASS, color=MUTED, linewidth=1)
    ax.set_ylim(-4, 104)
    dress(ax, title="Success of the learned policy (filled: at least 96 %)", y="success (%)")


def steps_picture(evidence: Evidence) -> Picture | str:
    """Draw how many steps the successful episodes of an evaluation took; or say why not."""
    complete = evidence.series.complete
    steps = np.array(
        [evidence.series.k[episode.last] for episode in complete if episode.success], dtype=int
    )
    if not steps.size:
        return "Steps per episode: no episode succeeded."
    figure = new_figure(3.0)
    ax = figure.subplots()
    width = max(1, -(-int(np.ptp(steps)) // 40))
    edges = np.arange(steps.min() - 0.5, steps.max() + width + 0.5, width)
    ax.hist(steps, bins=edges.tolist(), color=BLUE, alpha=0.75, edgecolor="white")
    ax.axvline(
        float(steps.mean()),
        color=INK,
        linewidth=2,
        label=f"this run {steps.mean():.1f} ± {steps.std():.1f}",
    )
    oracle = evidence.result.get("oracle_steps_mean")
    if isinstance(oracle, float):
        ax.axvline(oracle, color=GREEN, linewidth=2, linestyle="--", label=f"oracle {oracle:.1f}")
    caption = (
        f"Successful episodes only: {len(steps)} of {len(complete)}. The oracle knows the "
        "instrument's response and starts from the same places."
    )
    if evidence.series.as_in_paper:
        mean, std = PAPER_STEPS
        ax.axvspan(mean - std, mean + std, color=ORANGE, alpha=0.15, linewidth=0, zorder=0)
        ax.axvline(
            mean, color=ORANGE, linewidth=2, linestyle=":", label=f"paper {mean:.1f} ± {std:.1f}"
        )
        caption += " The paper gives 21.4 ± 10.4 steps for its agent in Fig. 2."
    dress(ax, title="Steps per episode", x="steps", y="episodes")
    ax.set_xlim(left=0)
    ax.locator_params(axis="y", integer=True)
    legend(ax, "upper right")
    return finish("steps", "Steps per episode", caption, figure)


def approach_picture(evidence: Evidence) -> Picture | str:
    """Draw the main quantity and the reward of a single run step by step; or say why not."""
    series = evidence.series
    if not series.episodes or series.k[series.episodes[-1].last] == 0:
        return "Approach: no timestep was taken."
    episode = series.episodes[-1]
    rows = episode.rows
    steps, value, reward = series.k[rows], series.value[rows], series.reward[rows]
    panels = [("Reward of each step", "reward", reward, VERMILION)]
    main = series.shown.main
    if main is not None and np.isfinite(value).any():
        panels.insert(0, (main.symbol.capitalize(), main.label, value, BLUE))
    figure = new_figure(2.2 * len(panels) + 0.4)
    axes = list(figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0])
    for ax, (title, unit, values, colour) in zip(axes, panels, strict=True):
        ax.plot(steps, values, "o-", color=colour, markersize=5, linewidth=1.5)
        dress(ax, title=title, y=unit)
    if series.shown.rises:
        mark_best(axes[0], series, episode, rows=rows, size=14)
    axes[-1].set_xlabel("step", fontsize=10, color=INK)
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    caption = "The run step by step, from where the instrument stood to where it ended."
    if series.shown.rises:
        caption += " The star marks the best place."
    return finish("approach", "Approach", caption, figure)
