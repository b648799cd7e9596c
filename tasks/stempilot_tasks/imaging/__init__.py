"""From pixels to disks: centre, radius, contrast, and how sure they are."""

from stempilot_tasks.imaging.locate import DiskLocation, find_disks, locate_disk

__all__ = ["DiskLocation", "find_disks", "locate_disk"]
