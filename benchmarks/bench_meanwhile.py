"""What learning costs an instrument that keeps one waiting: nothing, while updates fit beside it.

Timesteps per second at the paper's latency, with 20 gradient updates per timestep over without any
(``rate share``, at least 0.95), on the simulator slowed down by sleeping. The rates beside it are
those of updates after each timestep, and of waiting alone.
"""

import time
from typing import Any

import numpy as np
import torch
from attrs import evolve

import stempilot
from stempilot.contract.agent import Brief
from stempilot.contract.backend import Opening
from stempilot.contract.values import Frame, Offers
from stempilot.instrument.envelope import open_envelope
from stempilot.plugins.parts import part
from stempilot.record.figures import PAPER_PER_S
from stempilot.record.record import FramePolicy
from stempilot.record.recorder import RunRecorder
from stempilot.runs.progress import RecentEpisodes
from stempilot_backends.simulator.backend import Simulator

LATENCY_S = 0.17
UPDATES = 20
STEPS = 60
STARTS = 5


class Waiting(Simulator):
    """The simulator with the latency of the published loop."""

    def offers(self) -> Offers:
        return evolve(super().offers(), simulated=False)

    def acquire(self, source: str) -> Frame:
        time.sleep(LATENCY_S)
        return super().acquire(source)


def pace(folder: Any, updates: int, *, meanwhile: bool, steps: int = STEPS) -> dict[str, Any]:
    """Return the pace of learning with so many updates per timestep."""
    torch.set_num_threads(1)
    registry = stempilot.discover()
    task = part(registry, "task", "bf-disk-centering", {})
    made = task.load()
    settings = {"gradient_steps": updates, "learning_starts": STARTS, "meanwhile": meanwhile}
    agent = part(registry, "agent", "sac", settings)
    backend = Waiting(part(registry, "backend", "simulator", {}).config, Opening(purpose="train"))
    limits = open_envelope("waiting", backend.offers())
    with stempilot.open_session(backend, [made], name="waiting", envelope=limits) as session:
        recent = RecentEpisodes(RunRecorder(folder, made, FramePolicy()))
        env = session.env(made, seed=1, recorder=recent)
        brief = Brief(
            observation_space=env.observation_space,
            action_space=env.action_space,
            goal=made.goal,
            seed=1,
        )
        agent.load(brief).learn(env, steps=steps, report=lambda _: True)
        return {
            **recent.pace.figures(),
            "waited_s": env.meanwhile_work.waited_s,
            "calls": env.meanwhile_work.calls,
        }


def measure(folder: Any, rounds: int = 3) -> dict[str, float]:
    """Return rates per second (medians over alternating rounds) and the shares of them."""
    cases = {"none": (0, True), "meanwhile": (UPDATES, True), "afterwards": (UPDATES, False)}
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, (updates, meanwhile) in cases.items():
            target = folder / f"{name}-{number}"
            target.mkdir(parents=True)
            seen[name].append(pace(target, updates, meanwhile=meanwhile))
    rates = {
        name: float(np.median([each["corrections_per_s"] for each in many]))
        for name, many in seen.items()
    }
    beside = seen["meanwhile"]
    return {
        **{f"corrections_per_s_{name}": rate for name, rate in rates.items()},
        "corrections_per_s_paper": PAPER_PER_S,
        "corrections_per_s_latency_alone": 1 / LATENCY_S,
        "cycle_s_median": float(np.median([each["cycle_s_median"] for each in beside])),
        "cycle_s_p95": float(np.median([each["cycle_s_p95"] for each in beside])),
        "rate_share": rates["meanwhile"] / rates["none"],
        "rate_share_afterwards": rates["afterwards"] / rates["none"],
    }
