"""Which of a task's quantities the pictures show."""

from collections.abc import Sequence
from itertools import combinations

from attrs import evolve, frozen

from stempilot.contract.goals import Quantity

PIXELS = "px"


@frozen
class Shown:
    """The quantities that pictures show; all have a symbol.

    Attributes:
        main: the first one that has a better and a worse.
        plane: the first two of one unit that have not: where the episodes go.
    """

    main: Quantity | None
    plane: tuple[Quantity, Quantity] | None

    @classmethod
    def of(cls, quantities: Sequence[Quantity]) -> "Shown":
        """Return what to show of a task with these quantities."""
        quantities = [_named(quantity) for quantity in quantities]
        places = [quantity for quantity in quantities if quantity.better == "neither"]
        pairs = combinations(places, 2)
        return cls(
            main=next((one for one in quantities if one.better != "neither"), None),
            plane=next(((x, y) for x, y in pairs if x.unit == y.unit), None),
        )

    @property
    def rises(self) -> bool:
        """Whether the main quantity is to become as large as it gets."""
        return self.main is not None and self.main.better == "higher"

    @property
    def on_camera(self) -> bool:
        """Whether the plane is a frame: pixels from its centre, y downward."""
        return self.plane is not None and self.plane[0].unit == PIXELS


def _named(quantity: Quantity) -> Quantity:
    """Return a quantity with a symbol, and that and its unit as a figure can draw them."""
    symbol = quantity.symbol or quantity.name.replace("_", " ")
    return evolve(quantity, symbol=legible(symbol), unit=legible(quantity.unit))


def legible(text: str) -> str:
    """Return text from a file as a figure can draw it."""
    return text.encode(errors="replace").decode()
