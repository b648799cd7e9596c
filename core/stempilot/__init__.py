"""stempilot: hand routine operations of an electron microscope to an agent.

This module is the one door for plug-in authors and scripts. `__init__.pyi` declares its names; each
is imported when it is first used, so that ``import stempilot`` stays cheap.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
