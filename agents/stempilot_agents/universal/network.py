"""The network of `universal` at run time, in NumPy alone, and the file it is kept in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot import RunDirError
from stempilot_agents.learners.saving import read_arrays
from stempilot_agents.universal.features import DOUBT, SIZE, WANTED
from stempilot_agents.universal.memory import Floats

HIDDEN: Final = 128
ANSWERS: Final = 2 + len(WANTED)
"""A move, x and y, and how much of each move that is asked for is added to it."""
SHIPPED: Final = Path(__file__).with_name("universal.safetensors")
"""The weights that belong to the package."""

SHAPES: Final[Mapping[str, tuple[int, ...]]] = {
    "mean": (SIZE,),
    "scale": (SIZE,),
    "one.weight": (HIDDEN, SIZE),
    "one.bias": (HIDDEN,),
    "two.weight": (HIDDEN, HIDDEN),
    "two.bias": (HIDDEN,),
    "out.weight": (ANSWERS, HIDDEN),
    "out.bias": (ANSWERS,),
    "skip.weight": (ANSWERS, SIZE),
}
"""What a file of weights holds, all in float32."""

_LARGEST: Final = 1e6
"""No weight is larger by far; sums of larger ones are no numbers any more."""

FARTHEST: Final = 5.0
"""Inputs are cut off at so many standard deviations."""


@frozen(eq=False)
class UniversalNetwork:
    """Two hidden layers beside a linear path, from features to a move.

    The move is one of its own and shares of those that what is known of the response asks for.

    Attributes:
        arrays: the weights, by the names of `SHAPES`.
    """

    arrays: Mapping[str, npt.NDArray[Any]]

    @classmethod
    def read(cls, file: Path = SHIPPED) -> Self:
        """Return the network of a file.

        Raises:
            RunDirError: the file is missing or damaged, or holds something else.
        """
        expected = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
        arrays = read_arrays(file, expected)
        if not (arrays["scale"] > 0).all():
            msg = f"{file} is damaged: scale holds numbers that are not above 0"
            raise RunDirError(msg)
        if wrong := [name for name, array in arrays.items() if np.abs(array).max() > _LARGEST]:
            msg = f"{file} is damaged: {', '.join(wrong)} holds numbers beyond {_LARGEST:g}"
            raise RunDirError(msg)
        return cls(arrays)

    def answers(self, told: Floats) -> Floats:
        """Return what the network says of features, (n, `ANSWERS`)."""
        w = self.arrays
        x = np.clip((told - w["mean"]) / w["scale"], -FARTHEST, FARTHEST)
        hidden = np.maximum(x @ w["one.weight"].T + w["one.bias"], 0)
        hidden = np.maximum(hidden @ w["two.weight"].T + w["two.bias"], 0)
        said: Floats = hidden @ w["out.weight"].T + w["out.bias"] + x @ w["skip.weight"].T
        return said

    def forward(self, told: Floats) -> Floats:
        """Return moves (n, 2) in the units of `universal_features.features`."""
        answers = self.answers(told)
        moves = answers[:, :2] * told[:, DOUBT, None]
        for number, columns in enumerate(WANTED):
            moves = moves + answers[:, 2 + number, None] * told[:, columns]
        return moves
