"""Centring the bright-field disk: the operation of Xu, Kumar and LeBeau (2022).

The diffraction shift moves the disk over the FluCam until its centre lies within a tolerance of
the goal. The task itself is `stempilot_tasks.bf_disk_centering.task.BfDiskCentering`; only its
options are offered here, so that they can be listed without loading image code.
"""

from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig

__all__ = ["BfDiskCenteringConfig"]
