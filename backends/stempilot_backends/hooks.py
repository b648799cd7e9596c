"""The built-in backends and emulators; a module is imported when it is asked for."""

from stempilot import Plugin

backends = [
    Plugin(
        "simulator",
        "a column with a 1040 x 1040 FluCam, drawn as noisy pixels",
        config=".simulator.options:SimulatorConfig",
        load=".simulator.backend:Simulator",
        default=True,
    ),
    Plugin(
        "temscript",
        "a microscope behind the package temscript's server",
        config=".temscript.config:TemscriptConfig",
        load=".temscript.backend:Temscript",
    ),
    Plugin(
        "usetem-themis",
        "a microscope behind a USETEM temscript server, for example a Themis",
        config=".usetem.client.config:UsetemThemisConfig",
        load=".usetem.client.backend:UsetemThemis",
    ),
    Plugin(
        "replay",
        "a run recorded with --frames all, played back",
        config=".replay.config:ReplayConfig",
        load=".replay.load:load_replay",
    ),
]

emulators = [
    Plugin(
        "usetem-themis",
        "a virtual Themis behind a USETEM server, to rehearse on",
        config=".usetem.emulator.config:EmulatorConfig",
        load=".usetem.emulator.emulator:ThemisEmulator",
    ),
]
