"""A recorded run played back is the same run; acting otherwise is an error that names both."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.backends.replay.replays import again, frames, record, registry, replay
from tests.core.jobs import events

from stempilot.contract.backend import Backend, StartsEpisodes, Truthful
from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import BackendError, ConfigError, IncompatibleError, RunDirError
from stempilot.record.run_dir import RunDir
from stempilot.runs.dry_run import describe
from stempilot.runs.plans import Extras, plan_run
from stempilot.testing import ReadOnlyBackendContract, check_plugin


@pytest.fixture(scope="module")
def run(tmp_path_factory: Any) -> Path:
    """Return a run recorded on an instrument: scrambled starts, no truth."""
    folder: Path = tmp_path_factory.mktemp("recorded") / "run"
    record(folder)
    return folder


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: Any) -> Path:
    """Return a run recorded on a simulator."""
    folder: Path = tmp_path_factory.mktemp("recorded") / "run"
    record(folder, backend="simulator")
    return folder


class TestReadOnlyContract(ReadOnlyBackendContract):
    @pytest.fixture(autouse=True)
    def _of(self, run: Path) -> None:
        self.run = run

    def make(self) -> Backend:
        return replay(self.run)


class TestReadOnlyContractOfASimulator(TestReadOnlyContract):
    @pytest.fixture(autouse=True)
    def _of(self, simulated: Path) -> None:
        self.run = simulated


def told(folder: Path) -> list[dict[str, Any]]:
    """Return the events without clocks, the ways to the starts, and which instrument it was."""
    found = []
    for event in events(folder):
        event["writes"] = [write[:2] for write in event["writes"] if event["k"]]
        event.pop("instrument", None)
        for frame in event["seen"]["frames"].values():
            frame.pop("taken_at_s")
        found.append(event)
    return found


@pytest.mark.parametrize("which", ["run", "simulated"])
def test_played_back_it_is_the_same_run(which: str, request: Any, tmp_path: Path) -> None:
    recorded: Path = request.getfixturevalue(which)
    again(recorded, tmp_path / "again")
    assert told(tmp_path / "again") == told(recorded)
    assert len(told(recorded)) > 8
    first, second = frames(recorded), frames(tmp_path / "again")
    assert first.keys() == second.keys()
    for name, pixels in first.items():
        np.testing.assert_array_equal(pixels, second[name])


def test_a_replay_can_be_played_back(run: Path, tmp_path: Path) -> None:
    again(run, tmp_path / "one")
    again(tmp_path / "one", tmp_path / "two")
    assert told(tmp_path / "two") == told(run)


def test_the_truth_is_kept_where_there_was_one(run: Path, simulated: Path) -> None:
    assert isinstance(replay(simulated), Truthful)
    assert not isinstance(replay(run), Truthful)
    with replay(simulated) as backend:
        backend.acquire(next(iter(backend.offers().sources)))
        assert isinstance(backend, Truthful)
        truth = {name: list(value) for name, value in backend.truth().items()}
    assert truth == events(simulated)[0]["truth"]


def test_a_plain_run_is_played_back_too(tmp_path: Path) -> None:
    desk_run = record(tmp_path / "run", episodes=None)
    found = again(tmp_path / "run", tmp_path / "again", episodes=None)
    assert (found["success"], found["steps_mean"]) == (desk_run["success"], desk_run["steps_mean"])


def test_a_plain_run_takes_the_first_episode_of_several(run: Path, tmp_path: Path) -> None:
    found = again(run, tmp_path / "again", episodes=None)
    steps = [event["k"] for event in events(run) if event["e"] == 0]
    assert found["steps_mean"] == max(steps)


# --- a changed task ------------------------------------------------------------------------------


def test_a_changed_task_meets_the_recorded_actions(run: Path, tmp_path: Path) -> None:
    recorded = {"agent": {"run": str(run)}, "task": {"tolerance": 0.3}}
    again(run, tmp_path / "again", agent="recorded", settings=recorded)
    first, second = events(run), events(tmp_path / "again")
    assert len(second) < len(first), "a wider tolerance is reached earlier"
    known = {(event["e"], event["k"]): event for event in first}
    for event in second:
        assert event["observation"] == known[event["e"], event["k"]]["observation"]
        assert event.get("action") == known[event["e"], event["k"]].get("action")


def test_an_action_that_differs_names_both_values(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError) as caught:
        again(run, tmp_path / "again", agent="walker")
    _, sent, _, _ = next(e for e in events(run) if e["k"] == 1)["writes"][0][:4]
    message = str(caught.value)
    assert str(tuple(sent)) in message
    assert "was to be written, but the record" in message
    assert "episode 0, timestep 1" in message
    assert RunDir.open(tmp_path / "again").record().status == "failed"
    assert "RestoreError" not in RunDir.open(tmp_path / "again").record().reason


def test_going_on_where_the_record_ends_is_an_error(run: Path, tmp_path: Path) -> None:
    recorded = {"agent": {"run": str(run)}, "task": {"tolerance": 1e-9}}
    with pytest.raises(RunDirError, match="no further action in episode 0"):
        again(run, tmp_path / "again", agent="recorded", settings=recorded)
    with pytest.raises(BackendError, match="nothing further is recorded"):
        again(run, tmp_path / "more", settings={"task": {"tolerance": 1e-9}})


def test_more_episodes_than_recorded_is_an_error(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="recorded episodes 0 to 2; there is no 3"):
        again(run, tmp_path / "again", episodes=4)


def test_a_task_that_needs_what_was_not_recorded_is_refused(run: Path, tmp_path: Path) -> None:
    content = json.loads((run / "record.json").read_text())
    content["capabilities"]["sources"] = {}
    other = tmp_path / "other"
    other.mkdir()
    (other / "record.json").write_text(json.dumps(content))
    (other / "events.jsonl").write_bytes((run / "events.jsonl").read_bytes())
    with pytest.raises(RunDirError, match="other knobs, sources or states"):
        again(other, tmp_path / "again")


# --- the backend itself --------------------------------------------------------------------------


def step_of(run: Path, episode: int, step: int) -> Any:
    (event,) = (e for e in events(run) if (e["e"], e["k"]) == (episode, step))
    return tuple(event["writes"][0][1])


def begun(backend: Any, episode: int) -> str:
    """Go to the start of an episode and look; return the source."""
    for point in backend.start_of(episode):
        backend.write(point.knob, point.value)
    source = str(next(iter(backend.offers().sources)))
    backend.acquire(source)
    return source


def test_it_starts_its_own_episodes(run: Path) -> None:
    with replay(run) as backend:
        assert isinstance(backend, StartsEpisodes)
        assert backend.offers().simulated


def test_a_write_that_differs_is_refused_and_nothing_moves(run: Path) -> None:
    with replay(run) as backend:
        begun(backend, 1)
        before, value = backend.read(BEAM_SHIFT), step_of(run, 1, 1)
        other = (value[0] + 1e-7, value[1] - 2e-7)
        with pytest.raises(BackendError) as caught:
            backend.write(BEAM_SHIFT, other)
        assert str(other) in str(caught.value)
        assert str(value) in str(caught.value)
        assert backend.read(BEAM_SHIFT) == before
        backend.write(BEAM_SHIFT, value)


def test_a_write_that_differs_by_less_than_the_resolution_is_the_recorded_one(run: Path) -> None:
    with replay(run) as backend:
        source = begun(backend, 1)
        grain = backend.offers().knobs[BEAM_SHIFT].resolution
        x, y = step_of(run, 1, 1)
        backend.write(BEAM_SHIFT, (x + 0.5 * grain[0], y))
        backend.acquire(source)


def test_repeating_a_write_is_harmless(run: Path) -> None:
    with replay(run) as backend:
        source = begun(backend, 1)
        for _ in range(3):
            backend.write(BEAM_SHIFT, step_of(run, 1, 1))
        backend.acquire(source)
        backend.write(BEAM_SHIFT, step_of(run, 1, 2))


def test_an_exposure_without_the_recorded_write_is_refused(run: Path) -> None:
    with replay(run) as backend:
        source = begun(backend, 1)
        with pytest.raises(BackendError) as caught:
            backend.acquire(source)
        assert str(step_of(run, 1, 1)) in str(caught.value)
        assert "stood at" in str(caught.value)


def test_the_way_home_is_free_and_shows_nothing(run: Path) -> None:
    with replay(run) as backend:
        home = backend.read(BEAM_SHIFT)
        source = begun(backend, 1)
        start = np.array(backend.read(BEAM_SHIFT))
        assert np.abs(start - home).max() > 0
        for share in (0.4, 1.0):
            backend.write(BEAM_SHIFT, tuple(start + share * (np.array(home) - start)))
        assert backend.read(BEAM_SHIFT) == pytest.approx(home)
        with pytest.raises(BackendError, match="was to be written, but the record"):
            backend.acquire(source)
        begun(backend, 2)


def test_until_the_first_write_frames_follow_one_another(run: Path) -> None:
    with replay(run) as backend:
        source = next(iter(backend.offers().sources))
        shown = [backend.acquire(source).pixels for _ in range(len(frames(run)))]
        with pytest.raises(BackendError, match="nothing further is recorded"):
            backend.acquire(source)
    for pixels, kept in zip(shown, frames(run).values(), strict=True):
        np.testing.assert_array_equal(pixels, kept)


def test_opened_again_it_begins_again(run: Path) -> None:
    backend = replay(run)
    source = next(iter(backend.offers().sources))
    seen = []
    for _ in range(2):
        with backend:
            seen.append(backend.acquire(source).pixels)
    np.testing.assert_array_equal(seen[0], seen[1])


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None])
def test_a_frame_that_cannot_be_read_is_an_instrument_error(
    run: Path, tmp_path: Path, damage: bytes | None
) -> None:
    copy = tmp_path / "copy"
    (copy / "frames").mkdir(parents=True)
    for name in ("record.json", "events.jsonl"):
        (copy / name).write_bytes((run / name).read_bytes())
    first = copy / "frames" / "e00000_k0000.npy"
    if damage is None:
        np.save(first, np.zeros((3, 4)))
    else:
        first.write_bytes(damage)
    with replay(copy) as backend:
        source = next(iter(backend.offers().sources))
        with pytest.raises(BackendError, match="e00000_k0000.npy"):
            backend.acquire(source)
        with pytest.raises(BackendError, match="e00000_k0001.npy: .*No such file"):
            backend.acquire(source)


# --- what is refused -----------------------------------------------------------------------------


def test_a_run_without_all_frames_is_refused(tmp_path: Path) -> None:
    from stempilot.runs.execute import execute

    extras = Extras(seed=3, out=tmp_path / "run")
    execute(plan_run(registry(), task="centring", agent="exact", episodes=1, extras=extras))
    with pytest.raises(RunDirError, match="record it with --frames all"):
        replay(tmp_path / "run")


def edited(run: Path, folder: Path, change: Any, *, record: bool = False) -> Path:
    """Copy a run with one event, or its record, changed."""
    folder.mkdir()
    lines = (run / "events.jsonl").read_text().splitlines()
    content = json.loads((run / "record.json").read_text())
    event = json.loads(lines[1])
    change(content if record else event)
    lines[1] = json.dumps(event)
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "record.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda event: event["seen"].update(frames=3),
        lambda event: event["seen"].update(knobs={}),
        lambda event: event["seen"].update(states={}),
        lambda event: event["seen"].pop("frames"),
        lambda event: event.update(seen=None),
        lambda event: event.update(writes=[["beam_shift"]]),
        lambda event: event.update(writes=[["beam_shift", "far"]]),
        lambda event: event.update(truth=[1]),
        lambda event: next(iter(event["seen"]["frames"].values())).update(file="../x.npy"),
        lambda event: next(iter(event["seen"]["frames"].values())).update(exposure_s="long"),
        lambda event: (
            next(iter(event["seen"]["knobs"]))
            and event["seen"]["knobs"].update({BEAM_SHIFT: [0.0]})
        ),
    ],
)
def test_damaged_events_are_refused(run: Path, tmp_path: Path, change: Any) -> None:
    with pytest.raises(RunDirError):
        replay(edited(run, tmp_path / "copy", change))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record.pop("capabilities"), "earlier version"),
        (lambda record: record["capabilities"].pop("knobs"), "damaged"),
        (lambda record: record["capabilities"]["knobs"][BEAM_SHIFT].pop("unit"), "damaged"),
        (lambda record: record.update(capabilities=[]), "damaged"),
    ],
)
def test_damaged_capabilities_are_refused(
    run: Path, tmp_path: Path, change: Any, said: str
) -> None:
    with pytest.raises(RunDirError, match=said):
        replay(edited(run, tmp_path / "copy", change, record=True))


def test_the_run_must_be_named() -> None:
    with pytest.raises(ConfigError, match="run is missing"):
        plan_run(registry(), task="centring", agent="exact", backend="replay")


def test_a_dry_run_reads_only(run: Path, tmp_path: Path) -> None:
    settings = {"backend": {"run": str(run)}}
    extras = Extras(seed=3, out=tmp_path / "out")
    plan = plan_run(
        registry(),
        task="centring",
        agent="exact",
        backend="replay",
        settings=settings,
        extras=extras,
    )
    assert describe(plan)["backend"] == "replay"
    assert not (tmp_path / "out").exists()


def test_the_installed_checks_only_read_it(run: Path) -> None:
    results = check_plugin(registry(), "backend", "replay", {"run": str(run)})
    assert [one.message for one in results if not one.passed] == []
    assert not any("written" in one.check for one in results)


def test_recorded_actions_of_another_space_are_refused(run: Path, tmp_path: Path) -> None:
    settings = {"agent": {"run": str(run)}, "task": {"actions": "discrete"}}
    with pytest.raises(IncompatibleError, match="outside Discrete"):
        again(run, tmp_path / "again", agent="recorded", settings=settings)
