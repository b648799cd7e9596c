"""The built-in tasks; a module is imported when its task is asked for."""

from stempilot import Plugin

tasks = [
    Plugin(
        "bf-disk-centering",
        "centre the bright-field disk on the FluCam with the diffraction shift",
        config=".bf_disk_centering.config:BfDiskCenteringConfig",
        load=".bf_disk_centering.task:BfDiskCentering",
        default=True,
    ),
    Plugin(
        "read-disk",
        "read radius, centre, dose and saturation of the bright-field disk, without a move",
        config=".readings.config:ReadDiskConfig",
        load=".readings.disk:ReadDisk",
    ),
    Plugin(
        "read-response",
        "read how the diffraction shift moves the bright-field disk, from a star of small moves",
        config=".readings.config:ReadResponseConfig",
        load=".readings.response:ReadResponse",
    ),
    Plugin(
        "stigmator",
        "bring twofold astigmatism to zero by the Ronchigram, out of focus",
        config=".probe.config:StigmatorConfig",
        load=".probe.correcting:Stigmator",
    ),
    Plugin(
        "stigmate-and-focus",
        "bring astigmatism to zero and defocus to a value, on the side given",
        config=".probe.config:StigmateAndFocusConfig",
        load=".probe.correcting:StigmateAndFocus",
    ),
    Plugin(
        "stem-focus",
        "bring the defocus to a value by the Ronchigram, from either side",
        config=".probe.config:StemFocusConfig",
        load=".probe.stem_focus:StemFocus",
    ),
    Plugin(
        "read-aberrations",
        "read defocus and astigmatism from the Ronchigram",
        config=".probe.config:ReadAberrationsConfig",
        load=".probe.reading:ReadAberrations",
    ),
]
