"""Each error has the exit code that people and scripts rely on, and keeps its subject."""

import pytest

from stempilot import errors

CODES = {
    errors.StempilotError: 1,
    errors.RecordError: 1,
    errors.BudgetSpentError: 1,
    errors.StartError: 1,
    errors.ConfigError: 2,
    errors.PluginError: 2,
    errors.RunDirError: 2,
    errors.IncompatibleError: 3,
    errors.OperatorError: 3,
    errors.EnvelopeError: 4,
    errors.BackendError: 4,
    errors.HandsOffError: 4,
    errors.InstrumentBusyError: 4,
    errors.FrameError: 4,
    errors.RestoreError: 5,
}


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_exit_codes(kind: type[errors.StempilotError], code: int) -> None:
    assert kind.exit_code == code


def test_no_error_is_left_out_and_all_are_of_one_tree() -> None:
    found = {value for value in vars(errors).values() if isinstance(value, type)}
    assert {kind for kind in found if issubclass(kind, Exception)} == set(CODES)
    assert all(issubclass(kind, errors.StempilotError) for kind in CODES)


def test_incompatible_lists_every_problem() -> None:
    error = errors.IncompatibleError(["no knob a", "no source b"])
    assert error.problems == ("no knob a", "no source b")
    assert "- no knob a\n- no source b" in str(error)


def test_envelope_error_keeps_its_knob() -> None:
    assert errors.EnvelopeError("too far", knob="focus").knob == "focus"
    assert errors.EnvelopeError("no file").knob is None


def test_restore_error_lists_what_is_left() -> None:
    error = errors.RestoreError("go and look", left=["focus should read 3", "parked"])
    assert error.left == ("focus should read 3", "parked")
    assert str(error).splitlines() == ["go and look", *error.left]
