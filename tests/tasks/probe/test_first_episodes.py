"""First episodes on drawn frames, each on another random instrument."""

import pytest
from tests.tasks.instruments import STARTS, read_one, small_frames

from benchmarks import focusing
from stempilot import discover


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stigmator", "stigmate-and-focus", "stem-focus"])
def test_an_unknown_instrument_is_corrected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = small_frames(monkeypatch)
    options = {**focusing.STARTS[name], "redraw": "episode"}
    monkeypatch.setitem(focusing.STARTS, name, options)
    [agent] = focusing.AGENTS[name]
    played = focusing.play(name, agent, STARTS, seed=22)
    assert len({one.stigmator_scale for one in drawn}) >= STARTS, "another instrument each time"
    errors = [one.errors["error_nm"] for one in played.episodes if one.success]
    assert len(errors) >= STARTS - 1
    assert max(errors) <= 2 * played.tolerance_nm, "a false success"


@pytest.mark.slow
def test_aberrations_are_read_within_their_uncertainty(monkeypatch: pytest.MonkeyPatch) -> None:
    small_frames(monkeypatch)
    task = discover().task("read-aberrations")
    told = [read_one(task, "film", number) for number in range(STARTS)]
    assert all(one.home for one in told)
    assert all(one.writes for one in told), "the side is told by a move"
    read = [one for one in told if one.episode.success]
    assert len(read) >= STARTS - 1
    for one in read:
        first = one.truths[0]
        true = [*first["defocus_m"], *first["astigmatism_m"]]
        misses = one.misses(dict(zip(("C1", "A1x", "A1y"), true, strict=True)))
        assert max(misses.values()) <= 4, misses
