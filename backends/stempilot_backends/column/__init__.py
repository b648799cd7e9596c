"""Physics of the column, shared by the simulator and the emulator; knows nothing of the project."""

from stempilot_backends.column.column import Column
from stempilot_backends.column.parameters import ColumnParameters

__all__ = ["Column", "ColumnParameters"]
