"""What can go wrong with an instrument: one table for emulators and tests."""

from stempilot.faults.injection import FOR_GOOD, Effect, Fault, Faulty, Role
from stempilot.faults.table import FAULTS, fault

__all__ = ["FAULTS", "FOR_GOOD", "Effect", "Fault", "Faulty", "Role", "fault"]
