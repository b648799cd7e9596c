"""What the two hours of ``python -m tests.soak.long_run`` are judged by, and its first moments."""

import sys
from pathlib import Path

import pytest
from attrs import evolve
from tests.soak.long_run import Lines, Sample, growths, problems, soak


def samples(**growing: float) -> list[Sample]:
    """Return ten samples, in which some counts grow by so much per 1,000 timesteps."""
    at = {"run_kib": 1e5, "emulator_kib": 1e5, "descriptors": 10, "files": 4}
    return [
        Sample(
            timesteps=1_000 * n,
            **{name: value + growing.get(name, 0) * n for name, value in at.items()},  # type: ignore[arg-type]
        )
        for n in range(10)
    ]


def test_what_is_flat_has_no_problems() -> None:
    assert problems(samples(run_kib=200.0)) == []
    assert growths(samples(run_kib=200.0))["run_kib"] == pytest.approx(200.0)


def test_what_grows_once_is_no_leak() -> None:
    jumped = [evolve(one, run_kib=one.run_kib + 4_000 * (n > 5)) for n, one in enumerate(samples())]
    assert problems(jumped) == []


@pytest.mark.parametrize("name", ["run_kib", "emulator_kib", "descriptors", "files"])
def test_what_grows_is_named(name: str) -> None:
    (wrong,) = problems(samples(**{name: 1_500.0}))
    assert name in wrong


def test_lines_are_counted_as_they_come(tmp_path: Path) -> None:
    count, path = Lines(), tmp_path / "events.jsonl"
    for expected in (2, 4):
        with path.open("ab") as file:
            file.write(b"one\ntwo\n")
        assert count(path) == expected


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_run_through_the_emulator_is_counted(tmp_path: Path) -> None:
    (first, *_) = soak(5.0, tmp_path, most=2)
    assert first.run_kib > 10_000
    assert first.descriptors > 3
    assert first.files >= 3
