"""What `envelope init` writes can be used as it is, is careful, and says what it guesses."""

from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import FOCUS, KNOBS, SHIFT

from stempilot.contract.backend import EnvelopeSuggestion, Suggested
from stempilot.contract.names import CAMERA_LENGTH_INDEX
from stempilot.contract.values import KnobSpec, Offers, SourceSpec
from stempilot.instrument.envelope import Envelope
from stempilot.instrument.envelope_draft import draft
from stempilot.instrument.envelope_file import read_envelope, write_envelope

REAL = Offers(knobs=KNOBS)
SIMULATED = Offers(knobs=KNOBS, simulated=True)


def drafted(
    folder: Path, offers: Offers = REAL, suggestion: EnvelopeSuggestion | None = None
) -> tuple[str, Envelope]:
    path = folder / "envelope.toml"
    write_envelope(path, "desk", offers, suggestion)
    return path.read_text(), read_envelope(path)


def test_a_real_instrument_gets_every_limit(tmp_path: Path) -> None:
    _, found = drafted(tmp_path)
    assert found.writes_per_s is not None
    assert found.max_writes is not None
    assert not found.may_park
    assert {knob: row.spec for knob, row in found.knobs.items()} == KNOBS
    assert found.knobs["focus"].reach == (20.0,), "ten of the largest steps, within the range"
    assert found.knobs["shift"].reach == (2.0, 4.0)
    assert found.knobs["tilt"].reach == (1.0,)


def test_every_guess_says_what_to_measure(tmp_path: Path) -> None:
    text, found = drafted(tmp_path)
    # Rate, budget, parking; and of each knob bounds, step, resolution and reach.
    assert text.count("# GUESS: ") == text.count("# Measure: ") == 3 + 4 * len(found.knobs)
    assert "An entry marked GUESS has not been measured at your instrument" in text


def test_a_simulator_is_not_narrowed(tmp_path: Path) -> None:
    text, found = drafted(tmp_path, SIMULATED)
    assert (found.writes_per_s, found.max_writes, found.may_park) == (None, None, False)
    assert {knob: row.spec for knob, row in found.knobs.items()} == KNOBS
    assert all(row.reach is None for row in found.knobs.values())
    assert "GUESS" not in text
    assert "# writes_per_s = 25.0" in text


SUGGESTION = EnvelopeSuggestion(
    knobs={
        "focus": {
            "lower": Suggested(value=(-1.0,), because="printed on the panel."),
            "max_step": Suggested(value=(0.5,), because="a first try.", measure="the ringing."),
            "reach": Suggested(value=(0.75,), because="a first try.", measure="the field."),
        }
    },
    writes_per_s=Suggested(value=3.0, because="a slow lens.", measure="its settling."),
    may_park=Suggested(value=True, because="the blanker is fast."),
    notes=("Wake the operator.", "Then look twice."),
)


def test_what_a_backend_suggests_is_written_and_nothing_else_moves(tmp_path: Path) -> None:
    text, found = drafted(tmp_path, REAL, SUGGESTION)
    assert set(found.knobs) == {"focus"}
    row = found.knobs["focus"]
    assert row.spec == KnobSpec(unit="m", lower=-1, upper=10, max_change=0.5, resolution=0.01)
    assert row.reach == (0.75,)
    assert (found.writes_per_s, found.may_park) == (3.0, True)
    assert found.max_writes is not None, "what is not suggested is guessed"
    assert "# Not listed and so never moved: shift, tilt." in text
    assert "# Wake the operator.\n#\n# Then look twice." in text
    assert "# printed on the panel." in text
    assert "GUESS: printed" not in text
    assert "# GUESS: a slow lens.\n# Measure: its settling.\nwrites_per_s = 3.0" in text


def test_calibration_is_shown_where_the_camera_length_can_be_read() -> None:
    lengths = KnobSpec(unit="index", lower=0, upper=20, max_change=20, resolution=0)
    sources = {"flucam": SourceSpec(shape=(8, 8), dtype="uint16")}
    offers = Offers(knobs={CAMERA_LENGTH_INDEX: lengths}, sources=sources)
    assert "# [calibration.flucam]" in draft("desk", offers)
    assert "# [calibration.flucam]" not in draft("desk", Offers(sources=sources))


def test_the_calibration_that_is_shown_can_be_used(tmp_path: Path) -> None:
    lengths = KnobSpec(unit="index", lower=0, upper=20, max_change=20, resolution=0)
    sources = {"flu cam": SourceSpec(shape=(8, 8), dtype="uint16")}
    offers = Offers(knobs={CAMERA_LENGTH_INDEX: lengths}, sources=sources)
    lines = draft("desk", offers)
    at = lines.index('# [calibration."flu cam"]')
    path = tmp_path / "envelope.toml"
    path.write_text("\n".join([*lines[:at], *(line[2:] for line in lines[at:])]))
    assert read_envelope(path).pixel_mrad == {"flu cam": {12: 0.565}}


@pytest.mark.parametrize("spec", [SHIFT, FOCUS])
@pytest.mark.parametrize("simulated", [False, True])
def test_no_line_is_too_long_to_be_read(spec: Any, simulated: bool) -> None:
    lines = draft("desk", Offers(knobs={"focus": spec}, simulated=simulated), SUGGESTION)
    assert max(map(len, lines)) <= 100
