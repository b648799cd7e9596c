"""The network of `universal` while it is trained: `UniversalNetwork` and how widely it tries."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from stempilot_agents.universal.features import DOUBT, SIZE, WANTED
from stempilot_agents.universal.memory import Floats
from stempilot_agents.universal.network import ANSWERS, FARTHEST, HIDDEN

_WIDEST = 0.3
_FINEST = (0.008, 0.03)
"""Least spread of a move, as a share of it: the smaller, the farther it goes."""
_MISS = 0.15
"""Spread that is kept, in tolerances, within those limits."""


class Actor(nn.Module):
    """Features to a move and the logarithm of its spread; without the last, `UniversalNetwork`."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(SIZE))
        self.register_buffer("scale", torch.ones(SIZE))
        self.one, self.two = nn.Linear(SIZE, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, ANSWERS + 1)
        self.skip = nn.Linear(SIZE, ANSWERS + 1, bias=False)
        with torch.no_grad():
            for layer in (self.out, self.skip):
                layer.weight.mul_(0.1)
                layer.weight[ANSWERS] = 0
            # At first it does what serves both hands.
            self.out.bias[:] = torch.tensor([0.0] * 5 + [1.0, float(np.log(0.12))])

    def normal(self, told: torch.Tensor) -> torch.Tensor:
        """Return the features in standard deviations."""
        return ((told - self.mean) / self.scale).clamp(-FARTHEST, FARTHEST)

    def forward(self, told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return moves (n, 2) and the logarithm of their spread, (n, 1)."""
        x = self.normal(told)
        answer = self.out(torch.relu(self.two(torch.relu(self.one(x))))) + self.skip(x)
        move = answer[..., :2] * told[..., DOUBT, None]
        for number, columns in enumerate(WANTED):
            move = move + answer[..., 2 + number, None] * told[..., columns]
        widest = torch.tensor(float(np.log(_WIDEST)))
        return move, answer[..., ANSWERS:].clamp(_finest(told), widest)

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return what `UniversalNetwork` needs, by name."""
        arrays = {k: v.detach().numpy().astype(np.float32) for k, v in self.state_dict().items()}
        for name in ("out.weight", "out.bias", "skip.weight"):
            arrays[name] = arrays[name][:ANSWERS].copy()
        return arrays

    def answers(self, told: Floats) -> Floats:
        """Return moves, (n, 2)."""
        with torch.no_grad():
            moves: Floats = self(torch.from_numpy(told))[0].numpy()
        return moves


def _finest(told: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the least spread, (..., 1), by how many tolerances a move goes."""
    far = 2 * told[..., :1]
    goes = torch.minimum(far, far + 4 * told[..., 1:2])
    low, high = (float(np.log(spread)) for spread in _FINEST)
    return (float(np.log(_MISS)) - goes).clamp(low, high)
