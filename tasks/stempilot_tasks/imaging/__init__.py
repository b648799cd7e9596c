"""From pixels to the centre, radius and visibility of the bright-field disk."""

from stempilot_tasks.imaging.locate import DiskLocation, locate_disk

__all__ = ["DiskLocation", "locate_disk"]
