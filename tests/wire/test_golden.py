"""The simulator, and the client through the emulator: same seed, same commands, same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from stempilot.contract.backend import Backend, Opening
from stempilot.contract.names import FLUCAM
from stempilot.instrument.envelope import open_envelope
from stempilot.operation.session import open_session
from stempilot.plugins import options as config
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig
from stempilot_backends.usetem.client.backend import UsetemThemis
from stempilot_backends.usetem.client.config import UsetemThemisConfig
from stempilot_backends.usetem.emulator.config import EmulatorConfig
from stempilot_backends.usetem.emulator.emulator import ThemisEmulator
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

EPISODES, STEPS = 3, 8


class LooksOnce(Simulator):
    """The simulator under the commands of a client that sees for itself that the camera works."""

    def open(self) -> None:
        super().open()
        self.acquire(FLUCAM)


def simulated(seed: int, options: dict[str, Any]) -> Backend:
    made = config.build(SimulatorConfig, options, section="backend")
    return LooksOnce(made, Opening(purpose="run", seed=seed, instrument_seed=seed))


@contextmanager
def through_the_emulator(
    seed: int, options: dict[str, Any], *, realtime: bool
) -> Iterator[Backend]:
    values = {**options, "realtime": realtime}
    made = config.build(EmulatorConfig, values, section="emulator")
    with ThemisEmulator(made, seed) as emulator:
        client = {
            "url": emulator.start("127.0.0.1", 0),
            "pixel_mrad": [[6, 0.565]],
            "shift_limit_rad": 4.0,
            "exposure_s": made.exposure_s,
        }
        opening = Opening(purpose="run", seed=seed, instrument_seed=seed)
        built = config.build(UsetemThemisConfig, client, section="backend")
        yield UsetemThemis(built, opening)


def played(backend: Backend, seed: int) -> tuple[list[bytes], list[float], list[str]]:
    """Return observations, rewards and outcomes of scripted episodes, each from where it stands."""
    task = BfDiskCentering(BfDiskCenteringConfig())
    envelope = open_envelope("golden", backend.offers())
    seen, rewards, outcomes = [], [], []
    with open_session(backend, [task], name="golden", envelope=envelope) as session:
        env = session.env(task, seed=seed, plain=True, max_timesteps=STEPS)
        rng = np.random.default_rng(seed)
        for _ in range(EPISODES):
            observation, _ = env.reset()
            seen.append(observation.tobytes())
            while not env.last.ended:
                action = rng.uniform(-0.4, 0.4, 2).astype(np.float32)
                observation, reward, _, _, _ = env.step(action)
                seen.append(observation.tobytes())
                rewards.append(reward)
            outcomes.append(env.last.outcome.value)
    return seen, rewards, outcomes


CASES = [
    pytest.param(1, {}, id="paper"),
    pytest.param(2, {"preset": "random"}, id="random"),
    pytest.param(3, {"preset": "everything"}, id="everything"),
    pytest.param(4, {"preset": "drifting", "start_range": 0.3}, id="drifting"),
    pytest.param(5, {"preset": "low-dose"}, id="low-dose"),
]


@pytest.mark.parametrize(("seed", "options"), CASES)
def test_observations_and_rewards_are_byte_equal(seed: int, options: dict[str, Any]) -> None:
    expected = played(simulated(seed, options), seed)
    with through_the_emulator(seed, options, realtime=False) as client:
        found = played(client, seed)
    assert found == expected
    assert len(found[0]) > EPISODES
    assert len(set(found[0])) > 3


def test_real_time_changes_nothing() -> None:
    options = {"preset": "random", "exposure_s": 0.01}
    with through_the_emulator(7, options, realtime=True) as client:
        found = played(client, 7)
    assert found == played(simulated(7, options), 7)


def test_another_seed_is_another_run() -> None:
    assert played(simulated(1, {}), 1)[0] != played(simulated(2, {}), 1)[0]
