"""The contracts of plug-ins as tests, installed with stempilot.

With pytest, subclass the suite of your plug-in's kind in a test module::

    from stempilot.testing import BackendContract

    class TestDesktop(BackendContract):
        def make(self):
            return Desktop(DesktopConfig())

and pytest collects its ``test_`` methods. Without pytest, `run_contract` and ``stempilot check``
do the same.
"""

from stempilot.faults.injection import Fault, Faulty
from stempilot.faults.table import FAULTS, fault
from stempilot.testing.agents import AgentContract
from stempilot.testing.backends import BackendContract
from stempilot.testing.checks import CheckResult, check_plugin, run_contract
from stempilot.testing.contract import Contract, ContractError
from stempilot.testing.emulators import EmulatorContract
from stempilot.testing.environment import opened_env
from stempilot.testing.readonly import ReadOnlyBackendContract
from stempilot.testing.tasks import TaskContract
from stempilot.testing.toys import TOY_CAMERA, ToyBackend, ToyCentring, ToyLearner, ToyWalker

__all__ = [
    "FAULTS",
    "TOY_CAMERA",
    "AgentContract",
    "BackendContract",
    "CheckResult",
    "Contract",
    "ContractError",
    "EmulatorContract",
    "Fault",
    "Faulty",
    "ReadOnlyBackendContract",
    "TaskContract",
    "ToyBackend",
    "ToyCentring",
    "ToyLearner",
    "ToyWalker",
    "check_plugin",
    "fault",
    "opened_env",
    "run_contract",
]
