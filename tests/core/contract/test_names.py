"""Every shared name is listed once, by what it is the name of."""

from stempilot.contract import names


def test_every_shared_name_is_a_knob_a_source_a_state_or_a_number() -> None:
    constants = {
        value for name, value in vars(names).items() if isinstance(value, str) and name.isupper()
    }
    listed = [*names.KNOB_UNITS, *names.SOURCES, *names.STATES, *names.NUMBER_UNITS]
    assert sorted(listed) == sorted(constants)


def test_six_states_are_shared() -> None:
    assert names.STATES == (
        "screen",
        "beam_blanker",
        "column_valves",
        "instrument_mode",
        "projection_mode",
        "film",
    )
