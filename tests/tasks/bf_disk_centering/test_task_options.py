from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest

from stempilot.contract.values import KnobValue, Outcome
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.state import CenteringState, Disk, Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

MakeTask = Callable[..., BfDiskCentering]
See = Callable[..., Measured]

FULL_X = np.array([1, 0], dtype=np.float32)
RUNNING, SUCCESS = Outcome.RUNNING, Outcome.SUCCESS


def priced(task: BfDiskCentering, before: CenteringState, after: CenteringState) -> float:
    return task.reward(before, FULL_X, after, task.outcome(after))


Probe = Callable[[BfDiskCentering, See], Any]


def _positions(task: BfDiskCentering, see: See) -> list[Any]:
    return [task.observe(task.initial(see(x, y))).tolist() for x, y in ((50, 9), (-300, 77))]


def _outcomes(task: BfDiskCentering, see: See) -> list[Outcome]:
    xs = np.linspace(0, 530, 2000)
    return [task.outcome(task.initial(see(float(x)))) for x in xs]


def _calibrated_outcome(task: BfDiskCentering, see: See) -> Outcome:
    return task.outcome(task.initial(see(3.0, pixel_rad=1e-3)))


def _late(task: BfDiskCentering, see: See) -> Outcome:
    return task.outcome(attrs.evolve(task.initial(see()), steps=1000))


def _starts(task: BfDiskCentering, see: See) -> list[bool]:
    return [task.is_start(task.initial(see(float(x)))) for x in range(0, 500, 20)]


def _scrambled(task: BfDiskCentering, see: See) -> KnobValue:
    home = {"diffraction_shift": (0.0, 0.0)}
    return task.scramble(home, np.random.default_rng(0))[0].value


def _prices(task: BfDiskCentering, see: See) -> list[float]:
    far, near = task.initial(see(300.0)), task.initial(see(200.0))
    return [priced(task, far, near), priced(task, near, far)]


def _chosen(task: BfDiskCentering, see: See) -> Any:
    two = tuple(Disk(position_px=(x, 0.0), radius_px=30.0, contrast=9.0) for x in (90.0, -90.0))
    return task.outcome(task.initial(see(90.0, disks=two)))


def _own_moves(task: BfDiskCentering, see: See) -> Any:
    return task.own_moves(task.initial(see(1.0)), {})


def _explained(task: BfDiskCentering, see: See) -> str:
    return task.explain(task.initial(see(1.0, pixel_rad=1e-3)))


CHANGES: dict[str, tuple[Any, Probe, dict[str, Any]]] = {
    "preset": ("paper", lambda task, see: task.config, {}),
    "camera_shape": ((900, 900), _positions, {}),
    "goal_px": ((10.0, 0.0), _positions, {}),
    "tolerance_px": (2.0, _outcomes, {}),
    "tolerance_mrad": (2.0, _calibrated_outcome, {}),
    "pixel_mrad": (0.3, lambda task, see: task.goal, {}),
    "binning": (1, _positions, {"observation": "paper"}),
    "observation": ("paper", _positions, {}),
    "actions": ("discrete", lambda task, see: task.action_space, {}),
    "step_size": (50.0, lambda task, see: task.targets(task.initial(see()), FULL_X, {}), {}),
    "edge_threshold_px": (50.0, _outcomes, {}),
    "step_limit": (200, _late, {}),
    "start_range": (0.5, _starts, {}),
    "scramble_steps": (3.0, _scrambled, {}),
    "reward": ("sparse", _prices, {}),
    "disk_px": ((90.0, 0.0), _chosen, {"watch_frames": 0}),
    "semi_angle_mrad": (3.0, _explained, {}),
    "region": ((-90.0, -90.0, 90.0, 90.0), _outcomes, {}),
    "confirm": ("always", _own_moves, {}),
    "watch_frames": (0, _chosen, {}),
}
IN_FILES = {"reference", "mask"}
"""Options that name a file, and `radius_px`, which acts on pixels, have tests of their own."""


def test_all_options_are_probed() -> None:
    options = {a.name for a in attrs.fields(BfDiskCenteringConfig)}
    assert set(CHANGES) == options - IN_FILES - {"radius_px"}


@pytest.mark.parametrize("option", CHANGES)
def test_every_option_changes_what_the_task_does(
    make_task: MakeTask, see: See, option: str
) -> None:
    value, probe, base = CHANGES[option]
    before, after = make_task(**base), make_task(**base, **{option: value})
    if option == "tolerance_mrad":
        assert (probe(before, see), probe(after, see)) == (SUCCESS, RUNNING)
    assert probe(before, see) == probe(make_task(**base), see)
    assert probe(before, see) != probe(after, see)
