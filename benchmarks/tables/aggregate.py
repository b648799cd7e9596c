"""Rows of the tables from the cells: pure functions of what was measured."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from attrs import frozen

CYCLE_S = 0.17
"""Duration of a frame at the published exposure; nothing else is counted."""

ORACLE = "oracle"


@frozen(kw_only=True)
class Row:
    """One agent in one condition, over all seeds; ``None`` where there is nothing to say.

    Attributes:
        table: which table it belongs to.
        condition: name of the condition.
        agent: name of the agent, or `ORACLE`.
        seeds: the seeds.
        episodes: episodes in all.
        success: share of them that succeeded, 0 to 1.
        success_worst_seed: the same of the seed with the fewest.
        steps: mean over successful episodes.
        paired_steps: mean over the starts that the oracle solves too.
        oracle_steps: the oracle's mean over those.
        ratio: the former over the latter.
        frames: mean over successful episodes, the first exposure counted.
        seconds: the same at 170 ms a frame.
        error_px: RMS true distance from the goal at the end, failures included.
        trained_timesteps: timesteps of each training.
        converged_seeds: how many of the trainings converged.
        learnt_timesteps: median of ``converged_at`` over those.
        learnt_s: median of the wall time of so many timesteps at the whole training's mean pace,
            evaluations left out.
    """

    table: str
    condition: str
    agent: str
    seeds: tuple[int, ...]
    episodes: int
    success: float | None
    success_worst_seed: float | None
    steps: float | None
    paired_steps: float | None
    oracle_steps: float | None
    ratio: float | None
    frames: float | None
    seconds: float | None
    error_px: float | None
    trained_timesteps: int | None = None
    converged_seeds: int | None = None
    learnt_timesteps: float | None = None
    learnt_s: float | None = None


def rows(cells: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return a row for each agent in each condition, and before them one of the oracle.

    Tables, conditions and agents come in the order in which they are first met.

    Args:
        cells: what `measure` returned.
    """
    groups: dict[tuple[str, str], dict[str, list[Mapping[str, Any]]]] = {}
    for cell in cells:
        asked = cell["asked"]
        by_agent = groups.setdefault((asked["table"], asked["condition"]), {})
        by_agent.setdefault(asked["agent"], []).append(cell)
    found: list[Row] = []
    for by_agent in groups.values():
        agents = [agent_row(several) for several in by_agent.values()]
        found += [*oracle_rows(agents, list(by_agent.values())), *agents]
    tables = list(dict.fromkeys(table for table, _ in groups))
    return sorted(found, key=lambda row: tables.index(row.table))


def agent_row(cells: Sequence[Mapping[str, Any]]) -> Row:
    """Return the row of one agent in one condition from its cells, one for each seed."""
    asked = cells[0]["asked"]
    results = [cell["evaluation"] for cell in cells]
    episodes = [result["episodes"] for result in results]
    successes = [result["success_rate"] * result["episodes"] for result in results]
    steps = weighted([result["steps_mean"] for result in results], successes)
    paired = weighted([result["paired_steps_mean"] for result in results], successes)
    oracle = weighted([result["oracle_steps_mean"] for result in results], successes)
    squares = [_square(result["error_px_rms"]) for result in results]
    error = weighted(squares, episodes)
    return Row(
        table=asked["table"],
        condition=asked["condition"],
        agent=asked["agent"],
        seeds=tuple(cell["asked"]["seed"] for cell in cells),
        episodes=sum(episodes),
        success=sum(successes) / sum(episodes),
        success_worst_seed=min(result["success_rate"] for result in results),
        steps=steps,
        paired_steps=paired,
        oracle_steps=oracle,
        ratio=None if paired is None or not oracle else paired / oracle,
        frames=None if steps is None else steps + 1,
        seconds=None if steps is None else (steps + 1) * CYCLE_S,
        error_px=None if error is None else math.sqrt(error),
        **_learning(asked, [cell["training"] for cell in cells if cell["training"]]),
    )


def _learning(asked: Mapping[str, Any], trainings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not trainings:
        return {}
    done = [result for result in trainings if result["converged_at"] is not None]
    steps = [result["converged_at"] for result in done]
    seconds = [
        result["converged_at"] / result["corrections_per_s"]
        for result in done
        if result["corrections_per_s"]
    ]
    return {
        "trained_timesteps": asked["steps"],
        "converged_seeds": len(done),
        "learnt_timesteps": median(steps) if steps else None,
        "learnt_s": median(seconds) if seconds else None,
    }


def oracle_rows(agents: Sequence[Row], cells: Sequence[Sequence[Mapping[str, Any]]]) -> list[Row]:
    """Return the row of the oracle, from the starts of the agent that solves most of them.

    None where no agent solved anything, or the best actions are unknown. Agents with options of
    the task's of their own do not count: their oracle has other actions.

    Args:
        agents: rows of the agents in one condition.
        cells: their cells, in the same order.
    """
    known = [
        (row, several)
        for row, several in zip(agents, cells, strict=True)
        if row.oracle_steps is not None and not several[0]["asked"]["settings"]["task"]
    ]
    if not known:
        return []
    best, several = max(known, key=lambda pair: (pair[0].success or 0.0) * pair[0].episodes)
    results = [cell["evaluation"] for cell in several]
    rates = [result["oracle_success_rate"] for result in results]
    steps = best.oracle_steps
    return [
        Row(
            table=best.table,
            condition=best.condition,
            agent=ORACLE,
            seeds=best.seeds,
            episodes=best.episodes,
            success=weighted(rates, [result["episodes"] for result in results]),
            success_worst_seed=min(rates),
            steps=steps,
            paired_steps=steps,
            oracle_steps=steps,
            ratio=1.0,
            frames=None if steps is None else steps + 1,
            seconds=None if steps is None else (steps + 1) * CYCLE_S,
            error_px=None,
        )
    ]


def weighted(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """Return the weighted mean of the values that are known; ``None`` where none is."""
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None and w]
    total = sum(w for _, w in pairs)
    return sum(v * w for v, w in pairs) / total if total else None


def _square(value: float | None) -> float | None:
    return None if value is None else value * value
