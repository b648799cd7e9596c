"""Every write is on disk with what became of it, the ways back and the failures too."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import (
    KNOBS,
    START,
    Bench,
    bench_envelope,
    bench_task,
    fails,
    focus,
)

from stempilot.contract.values import Offers, SetPoint
from stempilot.errors import BackendError, RecordError, RunDirError
from stempilot.instrument.audit import AUDIT, AuditFile, read_audit
from stempilot.instrument.guard import GuardedBackend, Write
from stempilot.instrument.putting_back import put_back
from stempilot.operation.session import open_session

WRITE = Write(knob="focus", value=(4.0,), before=(3.0,), at_s=1.5)


class RealBench(Bench):
    """Counts as real."""

    def offers(self) -> Offers:
        return Offers(knobs=self.knobs)


def audited(folder: Path, bench: Bench, audit: AuditFile) -> GuardedBackend:
    return GuardedBackend(bench, KNOBS, standing=START, audit=audit)


def raw(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / AUDIT).read_text().splitlines()]


def test_a_write_is_on_disk_before_it_is_sent(tmp_path: Path) -> None:
    bench, seen = Bench(), []
    with AuditFile(tmp_path, ahead=True) as audit:
        guard = audited(tmp_path, bench, audit)
        bench.trouble = lambda what, _: seen.append(raw(tmp_path)) if what == "write" else None
        guard.send([focus(4.0)])
        assert seen[0][-1]["sent"] == [4.0]
        assert "duration_s" not in seen[0][-1]
        assert raw(tmp_path)[-1]["read_back"] == [4.0], "and its end at once"


def test_where_nothing_real_moves_one_line_is_enough(tmp_path: Path) -> None:
    with AuditFile(tmp_path, ahead=False) as audit:
        audited(tmp_path, Bench(), audit).send([focus(4.0), SetPoint("tilt", 0.01)])
        assert (tmp_path / AUDIT).read_text() == "", "it waits in the buffer"
    assert len(raw(tmp_path)) == 3
    first, second = read_audit(tmp_path)
    assert (first["knob"], first["read_back"]) == ("focus", [4.0])
    assert (second["knob"], second["n"]) == ("tilt", 2)


@pytest.mark.parametrize("ahead", [False, True])
def test_requested_sent_read_back_and_times_are_told(tmp_path: Path, ahead: bool) -> None:
    bench = Bench()
    with AuditFile(tmp_path, ahead=ahead) as audit:
        guard = audited(tmp_path, bench, audit)
        guard.send([focus(4.0)])
        guard.ramp([focus(7.0)])
        put_back(guard, {"focus": (3.0,)}, may_park=False)
    found = list(read_audit(tmp_path))
    assert [(w["origin"], w["requested"], w["sent"], w["before"]) for w in found] == [
        ("agent", [4.0], [4.0], [3.0]),
        ("reset", [7.0], [5.5], [4.0]),
        ("reset", [7.0], [7.0], [5.5]),
        ("restore", [3.0], [5.0], [7.0]),
        ("restore", [3.0], [3.0], [5.0]),
    ]
    assert [w["read_back"] for w in found] == [w["sent"] for w in found]
    assert all(0 <= w["duration_s"] < 1 for w in found)
    assert [w["at_s"] for w in found] == sorted(w["at_s"] for w in found)
    assert not any("error" in w for w in found)


@pytest.mark.parametrize("ahead", [False, True])
def test_a_write_that_failed_says_why(tmp_path: Path, ahead: bool) -> None:
    bench = Bench()
    with AuditFile(tmp_path, ahead=ahead) as audit:
        guard = audited(tmp_path, bench, audit)
        bench.trouble = fails("write focus")
        with pytest.raises(BackendError):
            guard.send([focus(4.0)])
    (found,) = read_audit(tmp_path)
    assert found["read_back"] is None
    assert "write focus timed out" in found["error"]
    assert found["duration_s"] >= 0


def test_a_write_that_did_not_take_effect_says_what_was_read(tmp_path: Path) -> None:
    bench = Bench()
    bench.write = lambda knob, value: None  # type: ignore[method-assign]
    with AuditFile(tmp_path, ahead=True) as audit:
        guard = audited(tmp_path, bench, audit)
        with pytest.raises(BackendError, match="is stuck"):
            guard.send([focus(4.0)])
    (found,) = read_audit(tmp_path)
    assert found["read_back"] == [3.0]
    assert "after (4.0,) was written" in found["error"]
    assert guard.writes[-1].read_back == (3.0,), "the events say so too"


@pytest.mark.parametrize("bench", [Bench, RealBench])
def test_a_session_tells_the_ways_back_too(tmp_path: Path, bench: type[Bench]) -> None:
    task, envelope = bench_task(), bench_envelope()
    with open_session(
        bench(), [task], name="bench", envelope=envelope, run_dir=tmp_path
    ) as session:
        session.guard.send([focus(4.0)])
    assert [w["origin"] for w in read_audit(tmp_path)] == ["agent", "restore"]
    assert raw(tmp_path)[0]["ahead"] is (bench is RealBench)


def test_sessions_of_one_run_follow_each_other(tmp_path: Path) -> None:
    for value in (4.0, 5.0):
        with AuditFile(tmp_path, ahead=True) as audit:
            audited(tmp_path, Bench(), audit).send([focus(value)])
    found = list(read_audit(tmp_path))
    assert [(w["session"], w["n"], w["sent"]) for w in found] == [(1, 1, [4.0]), (2, 1, [5.0])]


@pytest.mark.parametrize("cut", [1, 30, 80])
def test_what_a_killed_process_left_can_be_read_and_added_to(tmp_path: Path, cut: int) -> None:
    with AuditFile(tmp_path, ahead=True) as audit:
        audit.begin(WRITE)
        audit.end(WRITE)
        audit.begin(WRITE)
    path = tmp_path / AUDIT
    path.write_bytes(path.read_bytes()[:-cut])
    before = list(read_audit(tmp_path))
    assert before[0]["n"] == 1
    assert all("duration_s" not in write for write in before[1:])
    with AuditFile(tmp_path, ahead=True) as audit:
        audit.begin(WRITE)
        audit.end(WRITE)
    assert list(read_audit(tmp_path))[-1]["session"] == 2


def test_a_write_whose_end_is_unknown_has_no_duration(tmp_path: Path) -> None:
    with AuditFile(tmp_path, ahead=True) as audit:
        audit.begin(WRITE)
    (found,) = read_audit(tmp_path)
    assert "duration_s" not in found


def test_what_cannot_be_noted_is_not_sent_but_is_put_back() -> None:
    class Full:
        def begin(self, write: Write) -> None:
            msg = "no space"
            raise RecordError(msg)

        end = begin

    bench = Bench()
    guard = GuardedBackend(bench, KNOBS, audit=Full())
    for move in (guard.send, guard.ramp):
        with pytest.raises(RecordError):
            move([focus(4.0)])
    assert bench.written == []
    bench.standing["focus"] = (4.0,)
    put_back(guard, {"focus": (3.0,)}, may_park=False)
    assert bench.standing["focus"] == (3.0,)


def test_a_failure_that_cannot_be_noted_is_still_that_failure() -> None:
    class Fills:
        def begin(self, write: Write) -> None:
            """Have space left."""

        def end(self, write: Write) -> None:
            msg = "no space"
            raise RecordError(msg)

    bench = Bench()
    guard = GuardedBackend(bench, KNOBS, audit=Fills())
    with pytest.raises(RecordError):
        guard.send([focus(4.0)])
    bench.trouble = fails("write focus")
    with pytest.raises(BackendError, match="timed out"):
        guard.send([focus(4.5)])


def test_a_folder_that_cannot_be_written_stops_before_anything_is_sent(tmp_path: Path) -> None:
    bench = Bench()
    with pytest.raises(RecordError, match="cannot write"):
        with open_session(bench, [bench_task()], name="bench", run_dir=tmp_path / "gone"):
            pytest.fail("the block must not begin")
    assert bench.written == []


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"n": NaN}'])
def test_damage_in_the_middle_is_told(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / AUDIT).write_bytes(b'{"audit":1}\n' + damage + b'\n{"n":1,"knob":"focus"}\n')
    with pytest.raises(RunDirError, match="line 2 is damaged"):
        list(read_audit(tmp_path))


def test_a_run_without_an_audit_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="is this a run directory"):
        list(read_audit(tmp_path))
