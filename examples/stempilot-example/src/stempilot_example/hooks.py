"""What the package offers; a module is imported when its plug-in is asked for."""

from stempilot import Plugin

backends = [
    Plugin("desktop", "a desktop STEM", config=".desktop:DesktopConfig", load=".desktop:Desktop")
]
tasks = [
    Plugin("focus", "find the sharpest defocus", config=".focus:FocusConfig", load=".focus:Focus")
]
agents = [
    Plugin("golden-section", "a line search", config=".golden:GoldenConfig", load=".golden:Golden")
]
