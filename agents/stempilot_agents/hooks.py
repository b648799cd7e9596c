"""The built-in agents; a module is imported when its agent is asked for."""

from stempilot import Plugin

agents = [
    Plugin(
        "sac",
        "Soft actor-critic (Stable-Baselines3); learns continuous actions.",
        config=".learners.sac_config:SacConfig",
        load=".learners.sac:make_sac",
        default=True,
    ),
    Plugin(
        "sac-rapid",
        "Soft actor-critic that learns in about 100 timesteps where the task has a symmetry.",
        config=".sac_rapid.config:RapidConfig",
        load=".sac_rapid.agent:make_rapid",
    ),
    Plugin(
        "tqc",
        "Truncated quantile critics (sb3-contrib, optional); learns continuous actions.",
        config=".learners.tqc_config:TqcConfig",
        load=".learners.tqc:make_tqc",
    ),
    Plugin(
        "crossq",
        "CrossQ (sb3-contrib, optional); learns continuous actions.",
        config=".learners.crossq_config:CrossqConfig",
        load=".learners.crossq:make_crossq",
    ),
    Plugin(
        "dqn",
        "Deep Q-network (Stable-Baselines3); learns discrete actions.",
        config=".learners.dqn_config:DqnConfig",
        load=".learners.dqn:make_dqn",
    ),
    Plugin(
        "adaptive",
        "Estimates the response while it works and takes the direct way; needs no training.",
        config=".classical.adaptive:AdaptiveConfig",
        load=".classical.adaptive:make_adaptive",
        serves=("centre",),
    ),
    Plugin(
        "proportional",
        "Moves against the residual with a fixed response; needs no training.",
        config=".classical.baselines:ProportionalConfig",
        load=".classical.baselines:make_proportional",
        serves=("centre",),
    ),
    Plugin(
        "random",
        "Acts at random; the floor that everything must beat.",
        config=".classical.baselines:RandomConfig",
        load=".classical.baselines:make_random",
    ),
    Plugin(
        "recorded",
        "Acts as a recorded run did; to look at what was recorded with other eyes.",
        config=".classical.recorded:RecordedConfig",
        load=".classical.recorded:make_recorded",
    ),
]
