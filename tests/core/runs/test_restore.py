"""After a power cut an instrument is put back from what is on disk, and from nothing else."""

import time
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.core.fakes import (
    KNOBS,
    START,
    Bench,
    NoOptions,
    ParkableBench,
    bench_envelope,
    fails,
    plugin,
    put_record,
    toy_registry,
)

from stempilot.contract.values import KnobValue, Offers
from stempilot.errors import (
    BackendError,
    EnvelopeError,
    InstrumentBusyError,
    RestoreError,
    RunDirError,
)
from stempilot.files import write_json
from stempilot.instrument.audit import AUDIT, read_audit
from stempilot.instrument.envelope import Envelope, KnobLimits, open_envelope
from stempilot.instrument.envelope_file import plain_envelope
from stempilot.instrument.lock import instrument_lock
from stempilot.plugins.registry import Registry
from stempilot.record.run_dir import RunDir
from stempilot.runs.restore import restore

LEFT: dict[str, KnobValue] = {"shift": (0.9, 0.9), "focus": (-9.0,), "tilt": (0.45,)}


def registry(bench: Bench) -> Registry:
    return toy_registry(("backend", plugin("bench", NoOptions, lambda _, opening: bench)))


def left(bench: Bench | None = None) -> Bench:
    """Return an instrument that a run left somewhere."""
    bench = bench or Bench()
    bench.standing = dict(LEFT)
    return bench


def run(folder: Path, knobs: Any = None, envelope: Envelope | None = None, **record: Any) -> Path:
    """Lay out the directory of a run that did not come to its end."""
    RunDir.create(folder)
    plain = None if envelope is None else plain_envelope(envelope)
    base = {"backend": "bench", "status": "running", "settings": {}, "envelope": plain}
    put_record(folder, **{**base, **record})
    knobs = {knob: list(value) for knob, value in START.items()} if knobs is None else knobs
    write_json(folder / "baseline.json", {"knobs": knobs})
    return folder


def test_every_knob_goes_back_in_reverse_order_in_steps_that_are_allowed(tmp_path: Path) -> None:
    bench = left()
    done = restore(registry(bench), str(run(tmp_path / "run")))
    assert bench.standing == START
    assert list(dict.fromkeys(knob for knob, _ in bench.written)) == ["tilt", "focus", "shift"]
    focus = [-9.0, *(value for knob, (value, *_) in bench.written if knob == "focus")]
    assert max(abs(b - a) for a, b in zip(focus, focus[1:], strict=False)) <= 2.0 + 1e-9
    assert done["knobs"]["focus"] == {"before": [-9.0], "now": [3.0], "baseline": [3.0]}
    assert RunDir.open(tmp_path / "run").record().status == "restored"
    assert bench.log[-1] == "close"


def test_the_backend_is_told_that_it_is_only_put_back(tmp_path: Path) -> None:
    told = []

    def load(_: Any, opening: Any) -> Bench:
        told.append(opening.purpose)
        return left()

    restore(toy_registry(("backend", plugin("bench", NoOptions, load))), run(tmp_path / "run"))
    assert told == ["restore"]


def test_a_dry_run_reads_alone(tmp_path: Path) -> None:
    bench = left()
    done = restore(registry(bench), run(tmp_path / "run"), dry_run=True)
    assert bench.written == []
    assert done["knobs"]["focus"] == {"before": [-9.0], "now": [-9.0], "baseline": [3.0]}
    assert RunDir.open(tmp_path / "run").record().status == "running"


def test_the_narrower_step_holds(tmp_path: Path) -> None:
    bench = left()
    spec = evolve(KNOBS["focus"], max_change=0.5, lower=-1e6, upper=1e6)
    rows = {**bench_envelope().knobs, "focus": KnobLimits(spec=spec)}
    restore(registry(bench), run(tmp_path / "a", envelope=bench_envelope(knobs=rows)))
    assert len([knob for knob, _ in bench.written if knob == "focus"]) == 24
    bench = left()
    rows["focus"] = KnobLimits(spec=evolve(spec, max_change=1e6))
    restore(registry(bench), run(tmp_path / "b", envelope=bench_envelope(knobs=rows)))
    assert len([knob for knob, _ in bench.written if knob == "focus"]) == 6, "the backend's own"


def test_the_rate_of_the_envelope_holds(tmp_path: Path) -> None:
    bench = left()
    folder = run(tmp_path / "run", envelope=bench_envelope(writes_per_s=100.0))
    started = time.monotonic()
    restore(registry(bench), folder)
    assert len(bench.written) > 5
    assert time.monotonic() - started >= 0.01 * (len(bench.written) - 1)


def test_a_knob_that_does_not_go_back_is_told_and_the_others_go(tmp_path: Path) -> None:
    bench = left()
    bench.trouble = fails("write focus")
    with pytest.raises(RestoreError, match="focus should read") as caught:
        restore(registry(bench), run(tmp_path / "run"))
    assert caught.value.exit_code == 5
    assert bench.standing == {**START, "focus": (-9.0,)}
    assert RunDir.open(tmp_path / "run").record().status == "running"


@pytest.mark.parametrize("allowed", [False, True])
def test_parking_is_up_to_the_envelope_of_the_run(tmp_path: Path, allowed: bool) -> None:
    bench = left(ParkableBench())
    bench.trouble = fails("write focus")
    with pytest.raises(RestoreError):
        restore(registry(bench), run(tmp_path / "run", envelope=bench_envelope(may_park=allowed)))
    assert ("park" in bench.log) is allowed


def test_an_instrument_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    bench = left()
    bench.trouble = fails("read focus")
    with pytest.raises(BackendError, match="read focus timed out"):
        restore(registry(bench), run(tmp_path / "run"))
    assert bench.written == []


def test_a_run_that_never_moved_anything_has_nothing_to_put_back(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    (folder / "baseline.json").unlink()
    with pytest.raises(RunDirError, match="never moved anything, so there is nothing to put back"):
        restore(registry(left()), folder)


BENCH = {"identity": {"model": "bench"}}


class RealBench(Bench):
    """Counts as real."""

    def offers(self) -> Offers:
        return Offers(knobs=self.knobs)


def test_while_a_run_drives_the_instrument_nothing_is_put_back(tmp_path: Path) -> None:
    bench, folder = left(RealBench()), run(tmp_path / "run", None, bench_envelope(), **BENCH)
    with instrument_lock(RealBench(), "bench", run_dir=folder):
        with pytest.raises(InstrumentBusyError, match="bench is in use by process"):
            restore(registry(bench), folder)
        assert bench.log == []
        restore(registry(bench), folder, dry_run=True)
    restore(registry(bench), folder)
    assert bench.standing == START


def test_the_ways_back_are_in_the_audit_of_the_run(tmp_path: Path) -> None:
    bench = left()
    restore(registry(bench), run(tmp_path / "run"))
    found = list(read_audit(tmp_path / "run"))
    assert [(w["knob"], tuple(w["sent"])) for w in found] == bench.written
    assert {w["origin"] for w in found} == {"restore"}


def test_a_run_directory_that_cannot_be_written_does_not_keep_the_instrument_displaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench, folder = left(), run(tmp_path / "run")
    (folder / AUDIT).mkdir()
    restore(registry(bench), folder)
    assert bench.standing == START
    assert "putting back without an audit" in caplog.text


# --- directories of strangers --------------------------------------------------------------------


@pytest.mark.parametrize(
    "knobs",
    [
        {"stage": [1.0]},
        {"focus": [1.0, 2.0]},
        {"focus": []},
        {"shift": [0.0]},
        {"focus": [3.0], "../stage": [1.0]},
    ],
)
def test_a_baseline_of_knobs_that_do_not_exist_moves_nothing(tmp_path: Path, knobs: Any) -> None:
    bench = left()
    with pytest.raises(RunDirError, match=r"baseline\.json says"):
        restore(registry(bench), run(tmp_path / "run", knobs))
    assert bench.written == []


@pytest.mark.parametrize("focus", [10.1, -1e300, 1e9])
@pytest.mark.parametrize("generous", [False, True])
def test_a_baseline_outside_the_limits_moves_nothing(
    tmp_path: Path, focus: float, generous: bool
) -> None:
    bench = left()
    spec = evolve(KNOBS["focus"], lower=-1e308, upper=1e308, max_change=1e308)
    rows = {**bench_envelope().knobs, "focus": KnobLimits(spec=spec)}
    envelope = bench_envelope(knobs=rows) if generous else None
    folder = run(tmp_path / "run", {"shift": [0.0, 0.0], "focus": [focus]}, envelope)
    with pytest.raises(EnvelopeError, match=r"focus\[0\] stands at the start .* outside") as caught:
        restore(registry(bench), folder)
    assert caught.value.exit_code == 4
    assert bench.written == []


def test_a_baseline_of_a_knob_that_the_envelope_did_not_list_moves_nothing(tmp_path: Path) -> None:
    bench = left()
    envelope = bench_envelope(knobs={"focus": KnobLimits(spec=KNOBS["focus"])})
    with pytest.raises(EnvelopeError, match="does not list shift"):
        restore(registry(bench), run(tmp_path / "run", envelope=envelope))
    assert bench.written == []


@pytest.mark.parametrize(
    "content", [b"\x80\x04N.", b"{}", b'{"schema": 1, "knobs": {"focus": [NaN]}}']
)
def test_a_damaged_baseline_moves_nothing(tmp_path: Path, content: bytes) -> None:
    bench = left()
    folder = run(tmp_path / "run")
    (folder / "baseline.json").write_bytes(content)
    with pytest.raises(RunDirError):
        restore(registry(bench), folder)
    assert bench.written == []


def test_an_envelope_of_a_real_run_lets_it_go_back(tmp_path: Path) -> None:
    bench = left()
    reach = {k: KnobLimits(spec=s, reach=(0.01,) * s.size) for k, s in KNOBS.items()}
    restore(registry(bench), run(tmp_path / "run", envelope=bench_envelope(knobs=reach)))
    assert bench.standing == START
    assert open_envelope("bench", bench.offers()).knobs["focus"].reach is None


# --- the right instrument ------------------------------------------------------------------------


@pytest.mark.parametrize("identity", [{"model": "another"}, {}])
def test_another_instrument_is_not_moved_unless_a_person_says_so(
    tmp_path: Path, identity: dict[str, str]
) -> None:
    bench = left(RealBench())
    folder = run(tmp_path / "run", None, bench_envelope(), identity=identity)
    with pytest.raises(BackendError, match="Nothing was sent") as caught:
        restore(registry(bench), folder)
    assert (caught.value.exit_code, bench.written) == (4, [])
    restore(registry(bench), folder, dry_run=True)
    asked = []
    restore(registry(bench), folder, ask=lambda question: not asked.append(question))
    assert "this one says model bench. Is it the same instrument?" in asked[0]
    assert bench.standing == START


def test_the_baseline_tells_of_which_instrument_it_is(tmp_path: Path) -> None:
    bench = left(RealBench())
    folder = run(tmp_path / "run", None, bench_envelope(), identity={"model": "another"})
    knobs = {knob: list(value) for knob, value in START.items()}
    write_json(folder / "baseline.json", {"knobs": knobs, "identity": {"model": "bench"}})
    restore(registry(bench), folder)
    assert bench.standing == START


def test_a_knob_outside_what_the_run_was_allowed_goes_home_inside(tmp_path: Path) -> None:
    bench = left()
    rows = {k: KnobLimits(spec=s, reach=(1.0,) * s.size) for k, s in KNOBS.items()}
    restore(registry(bench), run(tmp_path / "run", envelope=bench_envelope(knobs=rows)))
    assert bench.standing == START
    assert [value for knob, value in bench.written if knob == "focus"] == [(2.0,), (3.0,)]
