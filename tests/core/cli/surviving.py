"""An instrument that outlives the process that drives it: it stands in a file.

Everything is written beside and renamed, so that a kill at any moment leaves a knob somewhere and
never a broken file. Imported by processes that tests start; the working directory holds the files.
"""

import json
import os
import time
from pathlib import Path

from attrs import field, frozen
from tests.core.fakes import Desk

from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import Frame, KnobValue
from stempilot.errors import BackendError

STANDING = "standing.json"
WRITES = "writes.txt"


@frozen(kw_only=True)
class Options:
    """How long its calls take. While there is a file called ``down`` it answers no write.

    Attributes:
        write_s: of a write.
        frame_s: of an exposure.
        name: which of its kind it is.
    """

    write_s: float = 0.002
    frame_s: float = 0.01
    name: str = field(default="one")


class Surviving(Desk):
    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options

    def lock_name(self) -> str:
        return self.options.name

    def open(self) -> None:
        super().open()
        if Path(STANDING).exists():
            self.toy.write(BEAM_SHIFT, self._standing())

    def read(self, knob: str) -> KnobValue:
        return self._standing() if knob == BEAM_SHIFT else super().read(knob)

    def write(self, knob: str, value: KnobValue) -> None:
        if Path("down").exists():
            msg = "the server does not answer"
            raise BackendError(msg)
        with Path(WRITES).open("a") as file:
            file.write(f"{time.time()}\n")
        time.sleep(self.options.write_s)
        beside = Path(f"{STANDING}.{os.getpid()}")
        beside.write_text(json.dumps(list(value)))
        beside.replace(STANDING)
        super().write(knob, value)

    def acquire(self, source: str) -> Frame:
        time.sleep(self.options.frame_s)
        self.toy.write(BEAM_SHIFT, self._standing())
        return super().acquire(source)

    def _standing(self) -> KnobValue:
        path = Path(STANDING)
        return tuple(json.loads(path.read_text())) if path.exists() else (0.0, 0.0)


PACKAGE = """
from stempilot import Plugin

def desk(config, opening):
    from tests.core.cli.surviving import Surviving
    return Surviving(config)

def task(config):
    from stempilot.testing.toys import ToyCentring
    return ToyCentring(tolerance=1e-6)

def learner(config, brief):
    from stempilot.testing.toys import ToyLearner
    return ToyLearner(brief)

backends = [
    Plugin("surviving", "", config="tests.core.cli.surviving:Options", load=f"{__name__}:desk")
]
tasks = [
    Plugin("toy-centring", "", config="tests.core.fakes:NoOptions", load=f"{__name__}:task")
]
agents = [
    Plugin("toy-learner", "", config="tests.core.fakes:NoOptions", load=f"{__name__}:learner")
]
"""
