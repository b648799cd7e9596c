"""Small honest fakes: an instrument, a task that fits it, and two agents.

For tests of tasks, backends and agents that must not wait for a real simulator. All of them keep
their contracts; none of them is offered to users.
"""

from stempilot.testing.toys.agents import ToyLearner, ToyWalker
from stempilot.testing.toys.backend import TOY_CAMERA, ToyBackend
from stempilot.testing.toys.task import ToyCentring, ToyMeasured, ToyState

__all__ = [
    "TOY_CAMERA",
    "ToyBackend",
    "ToyCentring",
    "ToyLearner",
    "ToyMeasured",
    "ToyState",
    "ToyWalker",
]
