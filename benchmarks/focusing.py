"""First episodes of the tasks of the probe, on frames, each on another random instrument.

``python -m benchmarks.focusing --starts 200 --seed 70000 stigmator stem-focus``. Every start has
its own simulated instrument (preset ``film``) and its own policy, which knows nothing yet. Frames
count the first exposure, and are those of successes. A false success is one whose true error is
above twice the tolerance.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from rich.console import Console
from rich.table import Table

import stempilot
from stempilot import Episode, open_session, run_episode
from stempilot.plugins.no_agent import NO_AGENT

FILM: Mapping[str, Any] = {"preset": "film"}
FOCUS = {"start_defocus_m": [15e-9, 450e-9], "start_astigmatism_m": [0.0, 2e-9]}
STARTS: Mapping[str, Mapping[str, Any]] = {
    "stigmator": FILM,
    "stigmate-and-focus": {**FILM, "start_side": "under"},
    "stem-focus": {**FILM, **FOCUS},
    "read-aberrations": FILM,
}
AGENTS: Mapping[str, Sequence[str]] = {
    "stigmator": ("adaptive",),
    "stigmate-and-focus": ("adaptive",),
    "stem-focus": ("proportional",),
    "read-aberrations": ("",),
}
MAX_TIMESTEPS = 60


@frozen(kw_only=True)
class Played:
    """Episodes of one agent on one task."""

    task: str
    agent: str
    tolerance_nm: float
    episodes: Sequence[Episode]

    def figures(self) -> dict[str, float]:
        """Return success (%), frames, and the true errors in nm."""
        won = [episode for episode in self.episodes if episode.success]
        frames = [episode.steps + 1 for episode in won] or [0]
        errors = np.array([one.errors["error_nm"] for one in won if "error_nm" in one.errors])
        return {
            "starts": len(self.episodes),
            "success %": 100 * len(won) / len(self.episodes),
            "frames": float(np.mean(frames)),
            "median": float(np.median(frames)),
            "p95": float(np.percentile(frames, 95)),
            "rms nm": float(np.sqrt(np.mean(errors**2))) if len(errors) else float("nan"),
            "p99 nm": float(np.percentile(errors, 99)) if len(errors) else float("nan"),
            "false": int(np.sum(errors > 2 * self.tolerance_nm)),
        }


def play(task_name: str, agent_name: str, starts: int, seed: int) -> Played:
    """Return the first episodes of an agent on new instruments."""
    registry = stempilot.discover()
    task = registry.task(task_name)
    session = open_session(registry.backend("simulator", **STARTS[task_name]), [task], name="film")
    with session as opened:
        env = opened.env(task, seed=seed, max_timesteps=MAX_TIMESTEPS)
        episodes = list(_episodes(env, task, agent_name, starts))
    tolerance_nm = getattr(getattr(task, "config", None), "tolerance_m", 0.0) * 1e9
    return Played(task=task_name, agent=agent_name, tolerance_nm=tolerance_nm, episodes=episodes)


def _episodes(env: Any, task: Any, agent: str, starts: int) -> Iterator[Episode]:
    made: Any = stempilot.discover().agent(agent or NO_AGENT, task, seed=0)
    for _ in range(starts):
        yield run_episode(env, made.policy())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.focusing", description=__doc__)
    parser.add_argument("tasks", nargs="*", choices=[*STARTS, []], default=[], metavar="TASK")
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=70000)
    parser.add_argument("--agents", nargs="+", help="only these")
    options = parser.parse_args(arguments)
    table: Table | None = None
    for task in options.tasks or STARTS:
        for agent in AGENTS[task]:
            if options.agents and agent not in options.agents:
                continue
            figures = play(task, agent, options.starts, options.seed).figures()
            table = table or Table("task", "agent", *figures)
            table.add_row(task, agent or "-", *(f"{value:.4g}" for value in figures.values()))
    if table is not None:
        Console(width=120).print(table)


if __name__ == "__main__":
    main()
