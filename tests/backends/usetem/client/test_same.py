"""Which frames count as the same one."""

import numpy as np
import pytest

from stempilot_backends.usetem.client.backend import _same


@pytest.mark.parametrize("row", [0, 3, 4, 59])
def test_frames_that_differ_anywhere_are_two(row: int) -> None:
    one = np.zeros((60, 80), np.int32)
    other = one.copy()
    assert _same(one, other)
    other[row, 70] = 1
    assert not _same(one, other)
