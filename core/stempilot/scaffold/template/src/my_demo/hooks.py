"""What the package offers; a module is imported when its plug-in is asked for."""

from stempilot import Plugin

backends = [
    Plugin(
        "my-demo",
        "a spot on a small camera",
        config=".backend:MyDemoBackendConfig",
        load=".backend:MyDemoBackend",
        api=2,
    )
]

tasks = [
    Plugin(
        "my-demo",
        "bring the brightest spot to the middle of the frame",
        config=".task:MyDemoTaskConfig",
        load=".task:MyDemoTask",
        api=2,
    )
]

agents = [
    Plugin(
        "my-demo",
        "find out what each action does, then go straight to the goal",
        config=".agent:MyDemoAgentConfig",
        load=".agent:MyDemoAgent",
        api=2,
        serves=("centre",),
    )
]
