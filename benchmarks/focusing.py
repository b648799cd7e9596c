"""First episodes of the tasks of the probe, on frames, each on another random instrument.

``python -m benchmarks.focusing --starts 200 --seed 70000 stigmator stem-focus``. Every start has
its own simulated instrument (preset ``film``) and its own policy, which knows nothing yet. Frames
count the first exposure, and are those of successes. A false success is one whose true error is
above twice the tolerance.

With ``--train N`` learners are measured instead: each seed trains for N timesteps on an instrument
of its own, and plays ``--starts`` episodes there that it has not met. An agent that does not learn
plays the same ones.
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
from stempilot.contract.agent import Learner
from stempilot.plugins.no_agent import NO_AGENT
from stempilot.plugins.options import build
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig

FILM: Mapping[str, Any] = {"preset": "film", "redraw": "episode"}
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
LEARNERS: Mapping[str, Mapping[str, Any]] = {
    "stigmator": {"stigmator_step": 0.03, "full_action_m": 30e-9},
    "stigmate-and-focus": {
        "stigmator_step": 0.05,
        "full_action_m": 50e-9,
        "defocus_step_m": 50e-9,
    },
    "stem-focus": {"defocus_step_m": 200e-9},
}
"""Options of the tasks that learners are measured on. They can be as exact as a small share of a
full action, and no better."""

ONE_SIDE: Mapping[str, Any] = {"redraw": "run", "start_side": "under"}
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


def learn(task_name: str, agent_name: str, train: int, starts: int, seed: int) -> Played:
    """Return the episodes of an agent on the instrument that it was trained on, if it learns."""
    registry = stempilot.discover()
    task: Any = registry.task(task_name, **LEARNERS[task_name])
    options = build(SimulatorConfig, {**STARTS[task_name], **ONE_SIDE}, section="backend")
    agent: Any = registry.agent(agent_name, task, seed=seed)

    def env(session: Any, seed: int) -> Any:
        return session.env(task, seed=seed, max_timesteps=MAX_TIMESTEPS)

    def opened(purpose: Any) -> Any:
        opening = stempilot.Opening(purpose=purpose, seed=seed, instrument_seed=seed)
        return open_session(Simulator(options, opening), [task], name="film")

    if isinstance(agent, Learner):
        with opened("train") as session:
            agent.learn(env(session, seed), steps=train, report=lambda _: True)
    with opened("evaluate") as session:
        unseen, policy = env(session, seed + 1_000_000), agent.policy()
        episodes = [run_episode(unseen, policy) for _ in range(starts)]
    tolerance_nm = task.config.tolerance_m * 1e9
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
    parser.add_argument("--train", type=int, default=0, help="timesteps of a learner's training")
    parser.add_argument("--seeds", type=int, default=5, help="learners, from --seed on")
    options = parser.parse_args(arguments)
    table: Table | None = None
    for played in _all(options):
        figures = played.figures()
        table = table or Table("task", "agent", *figures)
        table.add_row(
            played.task, played.agent or "-", *(f"{value:.4g}" for value in figures.values())
        )
    if table is not None:
        Console(width=120).print(table)


def _all(options: argparse.Namespace) -> Iterator[Played]:
    if options.train:
        for task in options.tasks or LEARNERS:
            for agent in options.agents or ("sac-rapid",):
                for seed in range(options.seed, options.seed + options.seeds):
                    yield learn(task, agent, options.train, options.starts, seed)
        return
    for task in options.tasks or STARTS:
        for agent in AGENTS[task]:
            if not options.agents or agent in options.agents:
                yield play(task, agent, options.starts, options.seed)


if __name__ == "__main__":
    main()
