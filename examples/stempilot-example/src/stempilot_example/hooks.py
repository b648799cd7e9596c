"""What the package offers. Modules are imported only when one of their plug-ins is asked for."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from stempilot import Plugin, hookimpl

if TYPE_CHECKING:
    from stempilot import Agent, Backend, Brief, Opening, Task


@hookimpl
def stempilot_backends() -> Iterable[Plugin]:
    """Offer the desktop STEM."""
    return [
        Plugin(
            name="desktop",
            summary="a small simulated STEM with a defocus knob and a dark-field detector",
            config=_desktop_config,
            load=_load_desktop,
        )
    ]


@hookimpl
def stempilot_tasks() -> Iterable[Plugin]:
    """Offer focusing."""
    return [
        Plugin(
            name="focus",
            summary="find the defocus at which the image is sharpest",
            config=_focus_config,
            load=_load_focus,
        )
    ]


@hookimpl
def stempilot_agents() -> Iterable[Plugin]:
    """Offer the line search."""
    return [
        Plugin(
            name="golden-section",
            summary="maximises one entry of the observation with one action; does not learn",
            config=_golden_section_config,
            load=_load_golden_section,
        )
    ]


def _desktop_config() -> type[Any]:
    from stempilot_example.desktop import DesktopConfig

    return DesktopConfig


def _load_desktop(config: Any, opening: "Opening") -> "Backend":
    from stempilot_example.desktop import Desktop

    return Desktop(config, opening)


def _focus_config() -> type[Any]:
    from stempilot_example.focus import FocusConfig

    return FocusConfig


def _load_focus(config: Any) -> "Task[Any, Any]":
    from stempilot_example.focus import Focus

    return Focus(config)


def _golden_section_config() -> type[Any]:
    from stempilot_example.golden_section import GoldenSectionConfig

    return GoldenSectionConfig


def _load_golden_section(config: Any, brief: "Brief") -> "Agent":
    from stempilot_example.golden_section import GoldenSection

    return GoldenSection(config, brief)
