"""A run that may have left an instrument displaced is found by the next one on it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import Bench, bench_envelope, bench_task, fails

from stempilot.contract.values import Offers, SetPoint
from stempilot.errors import BackendError, RestoreError
from stempilot.instrument import unfinished
from stempilot.instrument.lock import lock_folder, lock_stem
from stempilot.instrument.unfinished import (
    require_same,
    same_instrument,
    unfinished_runs,
    unmark,
)
from stempilot.operation.session import open_session

ONE, OTHER = {"serial": "1"}, {"serial": "2"}


class RealBench(Bench):
    """One of several instruments behind one address."""

    def __init__(self, identity: Mapping[str, str] = ONE, *, simulated: bool = False) -> None:
        super().__init__()
        self.said = identity
        self.simulated = simulated

    def offers(self) -> Offers:
        return Offers(knobs=self.knobs, simulated=self.simulated)

    def identity(self) -> Mapping[str, str]:
        return self.said


def opened(bench: Bench, run_dir: Path | None = None, **options: Any) -> Any:
    if run_dir is not None:
        run_dir.mkdir(exist_ok=True)
    more = {"name": "bench", "envelope": bench_envelope(), "run_dir": run_dir, **options}
    return open_session(bench, [bench_task()], **more)


class Killed(BaseException):
    """The process is gone: nothing after this happened."""


def killed(run_dir: Path, monkeypatch: pytest.MonkeyPatch, bench: Bench | None = None) -> None:
    """Leave behind what a process leaves that is killed in the middle of a run."""
    with monkeypatch.context() as patch:
        patch.setattr(unfinished, "_remove", lambda mark: None)
        with pytest.raises(Killed), opened(bench or RealBench(), run_dir):
            raise Killed


def test_after_a_kill_the_next_run_is_refused_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(tmp_path / "a", monkeypatch)
    bench = RealBench()
    with pytest.raises(RestoreError) as caught, opened(bench, tmp_path / "b"):
        pytest.fail("it must not begin")
    assert caught.value.exit_code == 5
    assert f"`stempilot restore {tmp_path / 'a'}`" in str(caught.value)
    assert "--accept-position" in str(caught.value)
    assert bench.written == []
    with pytest.raises(RestoreError), opened(RealBench()):
        pytest.fail("nor without a run directory")
    unmark(tmp_path / "a")
    with opened(RealBench(), tmp_path / "b"):
        pass


def test_a_run_that_could_not_put_back_is_found_too(tmp_path: Path) -> None:
    bench = RealBench()
    with pytest.raises(RestoreError, match="WAS NOT PUT BACK"):
        with opened(bench, tmp_path / "a") as session:
            session.guard.send([SetPoint("focus", 4.0)])
            bench.trouble = fails("write focus")
    with pytest.raises(RestoreError, match="did not put this instrument back"):
        with opened(RealBench(), tmp_path / "b"):
            pytest.fail("it must not begin")


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, BackendError, SystemExit])
@pytest.mark.parametrize("keep", [False, True])
def test_a_run_that_ends_leaves_no_mark(
    tmp_path: Path, error: type[BaseException] | None, keep: bool
) -> None:
    for name in ("a", "b"):
        try:
            with opened(RealBench(), tmp_path / name, keep=keep):
                assert [run.run_dir for run in unfinished_runs()] == [tmp_path / name]
                if error is not None:
                    raise error("x")
        except BaseException as caught:
            assert type(caught) is error
        assert unfinished_runs() == []


def test_the_position_may_be_accepted_once_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    killed(tmp_path / "a", monkeypatch)
    with opened(RealBench(), tmp_path / "b", accept_position=True):
        pass
    assert f"taking where the knobs stand although {tmp_path / 'a'} did not end" in caplog.text
    with opened(RealBench(), tmp_path / "c"):
        pass


@pytest.mark.parametrize("identity", [OTHER, {}, {"serial": "unknown"}, {"model": "bench"}])
def test_whether_it_is_another_instrument_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identity: Mapping[str, str]
) -> None:
    killed(tmp_path / "a", monkeypatch)
    bench, asked = RealBench(identity), list[str]()
    with pytest.raises(BackendError, match="Nothing was sent") as caught, opened(bench):
        pytest.fail("no one could answer")
    assert (caught.value.exit_code, bench.written) == (4, [])

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    with opened(RealBench(identity), tmp_path / "b", ask=yes):
        pass
    assert "said that it is serial 1; this one says" in asked[0]
    assert asked[0].endswith("Is this another instrument?")
    assert [run.run_dir for run in unfinished_runs()] == [tmp_path / "a"], "it stays displaced"


def test_a_mark_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(tmp_path / "a", monkeypatch)
    (mark,) = lock_folder().glob("*.unfinished")
    mark.write_bytes(b"\x00\xff")
    with pytest.raises(BackendError, match="said that it is nothing"), opened(RealBench()):
        pytest.fail("it must not begin")


def test_another_address_is_another_instrument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(RealBench):
        def lock_name(self) -> str:
            return "elsewhere"

    killed(tmp_path / "a", monkeypatch)
    with opened(Elsewhere(), tmp_path / "b"):
        assert lock_stem(Elsewhere(), "bench") != lock_stem(RealBench(), "bench")


def test_simulators_leave_no_marks(tmp_path: Path) -> None:
    with opened(RealBench(simulated=True), tmp_path / "a"):
        assert unfinished_runs() == []


def test_a_mark_names_run_directory_and_instrument(tmp_path: Path) -> None:
    with opened(RealBench(), tmp_path / "a"):
        (mark,) = lock_folder().glob("*.unfinished")
        assert json.loads(mark.read_text()) == {"run_dir": str(tmp_path / "a"), "identity": ONE}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ONE, ONE, True),
        (ONE, OTHER, False),
        (ONE, {}, False),
        ({}, {}, False),
        (ONE, {**ONE, "version": "2"}, True),
        ({**ONE, "stem": "true"}, {**ONE, "stem": "unknown"}, True),
        ({"stem": "true"}, {"stem": "unknown"}, False),
        ({**ONE, "stem": "true"}, {**ONE, "stem": "false"}, False),
    ],
)
def test_instruments_are_the_same_where_all_that_both_tell_is(
    one: Mapping[str, str], other: Mapping[str, str], same: bool
) -> None:
    assert same_instrument(one, other) is same
    assert same_instrument(other, one) is same
    bench = RealBench(other)
    if same:
        require_same(one, bench, Path("a"), lambda _: pytest.fail("asked"))
        return
    require_same(one, bench, Path("a"), lambda _: True)
    with pytest.raises(BackendError, match="connect to the instrument of that run"):
        require_same(one, bench, Path("a"), lambda _: False)
