"""The algorithms of sb3-contrib, which is an optional package."""

from stempilot import PluginError

try:
    from sb3_contrib import TQC, CrossQ
    from sb3_contrib.common.torch_layers import BatchRenorm
except ImportError as error:
    msg = f'sb3-contrib is not installed ({error}); `pip install "stempilot[contrib]"` brings it'
    raise PluginError(msg) from error

__all__ = ["TQC", "BatchRenorm", "CrossQ"]
