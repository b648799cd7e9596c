import math

import pytest

from stempilot.contract.goals import rounded


@pytest.mark.parametrize(
    ("value", "uncertainty", "shown"),
    [
        (30.2134, 0.0501, ("30.213", "0.050")),
        (10609812.3, 1579.0, ("10,609,800", "1,600")),
        (-1532.4, 12.3, ("-1,532", "12")),
        (0.56477, 0.000935, ("0.56477", "0.00093")),
        (0.0, 0.25, ("0.00", "0.25")),
        (1.5e-7, 2e-9, ("1.500e-07", "0.020e-07")),
        (3.0, 0.0, ("3", "0")),
        (3.0, None, ("3", "-")),
        (math.nan, 0.1, ("-", "0.1")),
        ("odd", 0.1, ("-", "0.1")),
    ],
)
def test_a_value_is_shown_to_two_digits_of_its_uncertainty(
    value: object, uncertainty: object, shown: tuple[str, str]
) -> None:
    assert rounded(value, uncertainty) == shown
