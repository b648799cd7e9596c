"""Offers the built-in tasks; imports nothing heavy until one of them is asked for."""

from collections.abc import Iterable
from typing import Any

from stempilot.contract.plugin import Plugin, hookimpl


@hookimpl
def stempilot_tasks() -> Iterable[Plugin]:
    """Return the records of the built-in tasks."""
    return (
        Plugin(
            name="bf-disk-centering",
            summary="centre the bright-field disk on the FluCam with the diffraction shift",
            config=_bf_disk_centering_config,
            load=_bf_disk_centering,
            default=True,
        ),
    )


def _bf_disk_centering_config() -> type[Any]:
    from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig

    return BfDiskCenteringConfig


def _bf_disk_centering(config: Any) -> Any:
    from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

    return BfDiskCentering(config)
