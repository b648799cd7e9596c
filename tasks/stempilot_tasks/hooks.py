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
]
