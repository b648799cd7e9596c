"""Entry point of the built-in agents. Imports nothing heavy until an agent is asked for."""

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stempilot.contract.plugin import Plugin, hookimpl

if TYPE_CHECKING:
    from stempilot.contract.agent import Agent, Brief


def _plugin(name: str, summary: str, *, config: str, load: str, default: bool = False) -> Plugin:
    """Return a record of what ``module:attribute`` of this package offers."""

    def get_config() -> type[Any]:
        kind: type[Any] = _attribute(config)
        return kind

    def make(options: Any, brief: "Brief") -> "Agent":
        agent: Agent = _attribute(load)(options, brief)
        return agent

    return Plugin(name=name, summary=summary, config=get_config, load=make, default=default)


def _attribute(path: str) -> Any:
    module, _, attribute = path.partition(":")
    return getattr(import_module(f"stempilot_agents.{module}"), attribute)


_AGENTS = (
    _plugin(
        "sac",
        "Soft actor-critic (Stable-Baselines3); learns continuous actions.",
        config="learners.sac_config:SacConfig",
        load="learners.sac:make_sac",
        default=True,
    ),
    _plugin(
        "sac-rapid",
        "Soft actor-critic that learns in about 100 timesteps where the task has a symmetry.",
        config="sac_rapid.config:RapidConfig",
        load="sac_rapid.agent:make_rapid",
    ),
    _plugin(
        "tqc",
        "Truncated quantile critics (sb3-contrib, optional); learns continuous actions.",
        config="learners.tqc_config:TqcConfig",
        load="learners.tqc:make_tqc",
    ),
    _plugin(
        "crossq",
        "CrossQ (sb3-contrib, optional); learns continuous actions.",
        config="learners.crossq_config:CrossqConfig",
        load="learners.crossq:make_crossq",
    ),
    _plugin(
        "dqn",
        "Deep Q-network (Stable-Baselines3); learns discrete actions.",
        config="learners.dqn_config:DqnConfig",
        load="learners.dqn:make_dqn",
    ),
    _plugin(
        "adaptive",
        "Estimates the response while it works and takes the direct way; needs no training.",
        config="classical.adaptive:AdaptiveConfig",
        load="classical.adaptive:make_adaptive",
    ),
    _plugin(
        "universal",
        "Centres on instruments it has never seen, by a network that was trained on many.",
        config="universal.agent:UniversalConfig",
        load="universal.agent:make_universal",
    ),
    _plugin(
        "proportional",
        "Moves against the residual with a fixed response; needs no training.",
        config="classical.baselines:ProportionalConfig",
        load="classical.baselines:make_proportional",
    ),
    _plugin(
        "random",
        "Acts at random; the floor that everything must beat.",
        config="classical.baselines:RandomConfig",
        load="classical.baselines:make_random",
    ),
    _plugin(
        "recorded",
        "Acts as a recorded run did; to look at what was recorded with other eyes.",
        config="classical.recorded:RecordedConfig",
        load="classical.recorded:make_recorded",
    ),
)


@hookimpl
def stempilot_agents() -> Iterable[Plugin]:
    """Offer the built-in agents."""
    return _AGENTS
