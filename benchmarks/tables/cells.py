"""What is to be measured: one cell is an agent in a condition with a seed, for one of two tables.

``unknown``: a new instrument at every episode and nothing learnt before. ``learnt``: one instrument
per seed, the same for every agent; learners are trained on it first, agents that keep a model of
the instrument keep it from episode to episode, and all are judged on the same starts, which
training never saw.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from attrs import asdict, frozen

Table = Literal["unknown", "learnt"]
Settings = dict[str, dict[str, Any]]

TASK = "bf-disk-centering"
SEEDS = (7001, 7002, 7003, 7004, 7005)
EPISODES = 200

FULL_FIELD = "random-full-field"
CONDITIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "paper": {"preset": "paper"},
        "random": {"preset": "random"},
        FULL_FIELD: {"preset": "random", "start_range": 1.0},
        "lagged": {"preset": "lagged"},
        "backlash": {"preset": "backlash"},
        "distorted": {"preset": "distorted"},
        "drifting": {"preset": "drifting"},
        "low-dose": {"preset": "low-dose"},
        "everything": {"preset": "everything"},
    }
)
"""Options of the simulator by the name of the condition."""

NO_SYMMETRY = "sac-rapid-no-symmetry"
PLUGINS: Mapping[str, str] = MappingProxyType({NO_SYMMETRY: "sac-rapid"})
"""Names of agents that go by another one in the tables."""

STEPS: Mapping[str, int] = MappingProxyType(
    {"sac-rapid": 150, NO_SYMMETRY: 800, "sac": 1500, "tqc": 1500, "crossq": 1500, "dqn": 1500}
)
"""Timesteps that each learner is trained for."""

AGENTS: Mapping[Table, tuple[str, ...]] = MappingProxyType(
    {
        "unknown": ("adaptive", "proportional", "random"),
        # Knowing the instrument is nothing to an agent that acts at random.
        "learnt": ("adaptive", "proportional", *STEPS),
    }
)
"""Agents of each table; who is not installed is left out."""

TASK_OPTIONS: Mapping[str, Mapping[str, Any]] = {"dqn": {"actions": "discrete"}}
"""Options of the task that an agent needs."""
_OPTIONS: Mapping[str, Mapping[str, Any]] = {NO_SYMMETRY: {"relabel": False}}
_FORGETTING: Mapping[str, Mapping[str, Any]] = {
    "adaptive": {"memory": "fresh"},
}
_EVALUATION = 10_000


@frozen(kw_only=True)
class Cell:
    """One measurement.

    Attributes:
        table: which table it belongs to.
        agent: name of the agent in the tables.
        condition: name of the condition.
        seed: which instrument and starts.
        episodes: episodes of the evaluation.
        steps: timesteps of the training; 0 for agents that do not learn before.
    """

    table: Table
    agent: str
    condition: str
    seed: int
    episodes: int
    steps: int

    @property
    def name(self) -> str:
        """What its file is called, without the ending."""
        return f"{self.table}-{self.agent}-{self.condition}-{self.seed}"

    @property
    def plugin(self) -> str:
        """Name of the agent."""
        return PLUGINS.get(self.agent, self.agent)

    @property
    def evaluation_seed(self) -> int:
        """Seed of the starts that it is judged on."""
        return self.seed + _EVALUATION

    @property
    def settings(self) -> Settings:
        """Options of task, backend and agent."""
        redraw = "episode" if self.table == "unknown" else "run"
        table = _FORGETTING if self.table == "unknown" else _OPTIONS
        return {
            "task": dict(TASK_OPTIONS.get(self.agent, {})),
            "backend": {**CONDITIONS[self.condition], "redraw": redraw},
            "agent": dict(table.get(self.agent, {})),
        }

    @property
    def asked(self) -> dict[str, Any]:
        """All that decides its result but the code, as plain values."""
        return {**asdict(self), "settings": self.settings}


def all_cells(
    *,
    agents: Mapping[Table, Sequence[str]],
    conditions: Sequence[str],
    seeds: Sequence[int],
    episodes: int,
    steps: Mapping[str, int],
) -> Iterator[Cell]:
    """Yield every cell, agent by agent; seeds innermost.

    Args:
        agents: agents of each table.
        conditions: names of conditions.
        seeds: seeds.
        episodes: episodes for each seed.
        steps: timesteps of training by learner.
    """
    for table, names in agents.items():
        for agent in names:
            for condition in conditions:
                # Starts in the full field are about not losing the disk while nothing is known.
                if condition == FULL_FIELD and table == "learnt":
                    continue
                for seed in seeds:
                    yield Cell(
                        table=table,
                        agent=agent,
                        condition=condition,
                        seed=seed,
                        episodes=episodes,
                        steps=steps.get(agent, 0) if table == "learnt" else 0,
                    )
