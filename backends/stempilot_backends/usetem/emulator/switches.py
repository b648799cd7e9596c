"""The simulator's column with the switches of a microscope around it."""

from typing import Any, Self

from attrs import frozen

from stempilot import FLUCAM, Opening
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.usetem.emulator.config import EmulatorConfig


@frozen(kw_only=True)
class Beam:
    """The switches that decide whether the disk shows on the screen.

    Attributes:
        screen: down or up.
        blanked: whether the beam is blanked.
        valves: open or closed.
        diffracting: whether the projection system is in diffraction mode.
        lost: whether the beam is gone for a reason that no switch shows.
    """

    screen: str
    blanked: bool
    valves: str
    diffracting: bool
    lost: bool = False

    @property
    def on_screen(self) -> bool:
        """Whether electrons reach the screen."""
        return not (self.blanked or self.lost) and self.valves == "open" and self.screen == "down"


class Switched(Simulator):
    """The simulator, with switches."""

    @classmethod
    def of_seed(cls, config: EmulatorConfig, seed: int) -> Self:
        """Return the simulator's instrument of a seed, as a plain run finds it; it is open."""
        made = cls(config, Opening(purpose="run", seed=seed, instrument_seed=seed))
        made.open()
        return made

    def warm_up(self) -> None:
        """Draw a frame like the next one elsewhere: compiling must not lengthen an exposure."""
        twin = self.twin()
        twin.acquire(FLUCAM)
        twin.close()

    def light(self, beam: Beam) -> None:
        """Let the disk show, or not."""
        column = self._opened()
        column.screen = beam.screen
        column.beam_blanked = not (beam.on_screen and beam.diffracting)

    def by_hand(self) -> dict[str, Any]:
        """Return what an operator changes by hand alone."""
        parameters = self._opened().parameters
        film = "in" if parameters.film else "out"
        return {"film": film, "semi_angle_rad": parameters.semi_angle_rad}

    def lengths_m(self) -> tuple[float, ...]:
        """Return the table of camera lengths."""
        return self._opened().parameters.camera_lengths_m

    def current_a(self) -> float:
        """Return the current of the beam."""
        return self._opened().parameters.probe_current_a
