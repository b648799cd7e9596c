"""The file in which a site says what may be moved."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, strategies as st
from tests.core.fakes import FOCUS, KNOBS, QUICK, SHIFT, Bench

from stempilot.contract.names import UNITS
from stempilot.contract.values import KnobSpec, Offers
from stempilot.errors import ConfigError, EnvelopeError
from stempilot.instrument.envelope import Envelope, KnobLimits, open_envelope
from stempilot.instrument.envelope_file import (
    parse_envelope,
    plain_envelope,
    read_envelope,
    write_envelope,
)
from stempilot.plugins.registry import discover

FILE = """
schema = 1
backend = "desk"
writes_per_s = 20
max_writes = 100
may_park = true

[knobs.shift]
unit = "m"
lower = [-1, -2.0]
upper = [1.0, 2.0]
max_step = [0.25, 0.5]
resolution = [0.001, 0.001]
reach = [0.5, 0.5]

[knobs.focus]
unit = "m"
lower = [-10]
upper = [10]
max_step = [2]
resolution = [0.01]

[calibration.flucam]
12 = 0.565
3 = 1
"""


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "envelope.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_file_says_what_is_allowed(tmp_path: Path) -> None:
    assert read_envelope(written(tmp_path, FILE)) == Envelope(
        backend="desk",
        knobs={
            "shift": KnobLimits(spec=SHIFT, reach=(0.5, 0.5)),
            "focus": KnobLimits(spec=FOCUS),
        },
        writes_per_s=20.0,
        max_writes=100,
        may_park=True,
        pixel_mrad={"flucam": {12: 0.565, 3: 1.0}},
    )


def test_what_a_file_leaves_out_is_not_allowed_or_not_limited(tmp_path: Path) -> None:
    file = written(tmp_path, 'schema = 1\nbackend = "desk"\n[knobs]\n')
    found = read_envelope(file)
    assert found == read_envelope(str(file)) == Envelope(backend="desk", knobs={})
    assert (found.writes_per_s, found.max_writes, found.may_park) == (None, None, False)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schema = 1", "schema = 2", "2 is not one of 1"),
        ("schema = 1", "", "schema is missing"),
        ('backend = "desk"', "", "backend is missing"),
        ('unit = "m"', 'unit = "mrad"', "'unit' must be in ('rad', 'm'"),
        ('unit = "m"', "", "unit is missing"),
        ("max_step = [2]", "", "max_step is missing"),
        ("max_step = [2]", "max_step = [0]", "max_step = (0.0,) m must be above 0"),
        ("max_step = [2]", "max_step = [inf]", "inf is not finite"),
        ("lower = [-10]", "lower = [nan]", "nan is not finite"),
        ("lower = [-10]", "lower = [11]", "lower = 11 exceeds upper = 10 m"),
        ("lower = [-10]", "lower = []", "upper has 1 components, lower has 0"),
        ("upper = [10]", "upper = 10", "10 is not a list"),
        ("resolution = [0.01]", "resolution = [-0.01]", "must not be negative"),
        ("resolution = [0.01]", "resolution = [0.01, 0.01]", "resolution has 2 components"),
        ("reach = [0.5, 0.5]", "reach = [0.5]", "reach has 1 components, not 2"),
        ("reach = [0.5, 0.5]", "reach = [0.5, -0.1]", "reach = (0.5, -0.1) m must not be negative"),
        ("writes_per_s = 20", "writes_per_s = 0", "'writes_per_s' must be > 0"),
        ("max_writes = 100", "max_writes = 0", "'max_writes' must be >= 1"),
        ("may_park = true", "may_park = 1", "1 is not true or false"),
        ("max_writes", "max_write", "max_write; did you mean"),
        ("resolution = [0.01]", "resolution = [2.1]", "resolution = 2.1 m exceeds max_step = 2 m"),
        ("resolution = [0.001, 0.001]", "resolution = [0.001, 0.6]", "shift[1]: resolution = 0.6"),
        ("12 = 0.565", "twelve = 0.565", "calibration of flucam: 'twelve' is not a camera length"),
        ("12 = 0.565", "-12 = 0.565", "'-12' is not a camera length index"),
        ("12 = 0.565", "12 = 0.0", "0 mrad per pixel at index 12 must be above 0"),
        ("12 = 0.565", "12 = -0.5", "must be above 0"),
        ("12 = 0.565", "12 = nan", "nan is not finite"),
        ("12 = 0.565", '12 = "0.5"', "'0.5' is not a number"),
        ("[calibration.flucam]", "[calibration]", "calibration"),
        ("[knobs.focus]", "[knob.focus]", "knob; did you mean"),
        ("may_park = true", "may_park = tru", "is not valid TOML"),
        ("reach = [0.5, 0.5]", "range = [0.5, 0.5]", "unknown key: range; known: unit, lower"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in FILE
    path = written(tmp_path, FILE.replace(old, new, 1))
    with pytest.raises(EnvelopeError) as caught:
        read_envelope(path)
    assert said in str(caught.value)
    assert "correct the envelope file" in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvelopeError, match=r"cannot read .*none\.toml"):
        read_envelope(tmp_path / "none.toml")


SIZES = st.integers(1, 3)
NUMBERS = st.floats(-1e9, 1e9)


@st.composite
def rows(draw: st.DrawFn) -> KnobLimits:
    size = draw(SIZES)
    pairs = draw(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=size, max_size=size))
    positive = st.lists(st.floats(1e-12, 1e9), min_size=size, max_size=size)
    steps, grains = draw(positive), draw(positive)
    spec = KnobSpec(
        unit=draw(st.sampled_from(UNITS)),
        lower=[min(pair) for pair in pairs],
        upper=[max(pair) for pair in pairs],
        max_change=list(map(max, steps, grains)),
        resolution=list(map(min, steps, grains)),
    )
    return KnobLimits(spec=spec, reach=draw(st.none() | positive.map(tuple)))


ENVELOPES = st.builds(
    Envelope,
    backend=st.text(min_size=1),
    knobs=st.dictionaries(st.text(min_size=1), rows(), max_size=3),
    writes_per_s=st.none() | st.floats(1e-3, 1e6),
    max_writes=st.none() | st.integers(1, 10**9),
    may_park=st.booleans(),
    pixel_mrad=st.dictionaries(
        st.text(min_size=1), st.dictionaries(st.integers(0, 99), st.floats(1e-6, 1e3)), max_size=2
    ),
)


@QUICK
@given(ENVELOPES)
def test_an_envelope_survives_the_record_of_a_run(envelope: Envelope) -> None:
    text = json.dumps(plain_envelope(envelope), allow_nan=False)
    assert parse_envelope(json.loads(text), "record.json") == envelope


def test_a_damaged_record_of_an_envelope_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"record\.json"):
        parse_envelope({"schema": 1, "backend": 3, "knobs": {}}, "record.json")


@pytest.mark.parametrize("knob", ["focus", "stage.x", "stage x", 'the "knob"'])
def test_a_written_file_allows_what_is_offered(tmp_path: Path, knob: str) -> None:
    path = tmp_path / "envelope.toml"
    write_envelope(path, "desk", Offers(knobs={**KNOBS, knob: FOCUS}))
    found = read_envelope(path)
    assert {name: row.spec for name, row in found.knobs.items()} == {**KNOBS, knob: FOCUS}
    assert (found.backend, found.may_park) == ("desk", False)


def test_bounds_that_a_backend_leaves_open_must_be_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "envelope.toml"
    boundless = evolve(FOCUS, upper=float("inf"))
    write_envelope(path, "desk", Offers(knobs={"focus": boundless}))
    with pytest.raises(EnvelopeError, match="inf is not finite; correct the envelope file"):
        read_envelope(path)


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "mine")
    with pytest.raises(EnvelopeError, match="exists already"):
        write_envelope(path, "desk", Offers(knobs=KNOBS))
    assert path.read_text() == "mine"


def test_what_init_writes_for_the_built_in_backends_can_be_read(tmp_path: Path) -> None:
    from stempilot.contract.backend import Opening, SuggestsEnvelope
    from stempilot.plugins.parts import part

    registry = discover(only="")
    checked: list[Any] = []
    for name in registry.names("backend"):
        try:
            made = part(registry, "backend", name, {})
        except ConfigError:
            continue
        loaded = made.load(Opening())
        offers = loaded.offers()
        suggestion = loaded.suggest_envelope() if isinstance(loaded, SuggestsEnvelope) else None
        write_envelope(tmp_path / f"{name}.toml", name, offers, suggestion)
        envelope = read_envelope(tmp_path / f"{name}.toml")
        assert set(envelope.knobs) <= set(offers.knobs)
        if offers.simulated:
            assert {k: row.spec for k, row in envelope.knobs.items()} == dict(offers.knobs)
        checked.append(name)
    assert "simulator" in checked


def test_an_envelope_has_a_number_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stempilot.files.SCHEMA", 7)
    plain = plain_envelope(open_envelope("bench", Bench().offers()))
    assert plain["schema"] == 1
    assert parse_envelope(plain, "envelope.toml").backend == "bench"
