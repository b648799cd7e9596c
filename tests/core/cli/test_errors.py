"""What is typed wrongly or does not fit ends with a message that helps, and its exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.core.cli.conftest import Stempilot, typed
from tests.core.fakes import Desk, desk_plugin, put_record, saving, toy_registry

from stempilot.files import write_json
from stempilot.instrument.envelope import open_envelope
from stempilot.instrument.envelope_file import plain_envelope, write_envelope
from stempilot.plugins.registry import Entry, Registry
from stempilot.record.run_dir import RunDir

Words = list[str]


def trained(name: str, *, saved: bool = True, **record: Any) -> str:
    run = RunDir.create(Path(name))
    put_record(run.path, **record)
    if saved:
        run.checkpoint({"timesteps": 10, "episodes": 1, "events_bytes": 0}, saving("ten"))
    return name


def envelope_file(*replacements: tuple[str, str]) -> str:
    path = Path("envelope.toml")
    write_envelope(path, "desk", Desk().offers())
    text = path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    return str(path)


def run_on_desk(*replacements: tuple[str, str]) -> Words:
    envelope = envelope_file(*replacements)
    return [*typed("run centring --agent walker --backend desk --yes --envelope"), envelope]


def schema_2(name: str) -> str:
    trained(name)
    record = json.loads(Path(name, "record.json").read_text())
    Path(name, "record.json").write_text(json.dumps({**record, "schema": 2}))
    return name


TOO_LONG = "a" * 300


def written(name: str, encoding: str) -> str:
    """Write a configuration file with a letter that encodings write differently, and its name."""
    text = "[task]\ntolerance = 0.1\n# gr\u00f6\u00dfer\n"
    Path(name).write_bytes(text.encode(encoding))
    return name


TABLE: dict[str, tuple[Callable[[], Words], int, str]] = {
    "unknown task": (
        lambda: typed("run centering --agent walker"),
        2,
        "no task is called 'centering'; did you mean centring?",
    ),
    "unknown agent": (
        lambda: typed("train centring --agent lerner"),
        2,
        "no agent is called 'lerner'; did you mean learner",
    ),
    "unknown backend": (
        lambda: typed("train centring --agent learner --backend simulater"),
        2,
        "no backend is called 'simulater'; did you mean simulator?",
    ),
    "unknown plug-in to check": (
        lambda: ["check", "centering"],
        2,
        "no plug-in is called 'centering'; see `stempilot plugins`",
    ),
    "unknown option of what is checked": (
        lambda: typed("check centring --set task.tolerence=1"),
        2,
        "unknown option in section task: task.tolerence; did you mean task.tolerance?",
    ),
    "option of something that is not checked": (
        lambda: typed("check centring --set backend.preset=paper"),
        2,
        "centring is a task; it takes no options of section backend",
    ),
    "unknown option": (
        lambda: typed("run centring --agent walker --set task.tolerence=1"),
        2,
        "unknown option in section task: task.tolerence; did you mean task.tolerance?",
    ),
    "unknown section": (
        lambda: typed("run centring --agent walker --set taks.tolerance=1"),
        2,
        "unknown section: taks; did you mean task?",
    ),
    "bad value": (
        lambda: typed("run centring --agent walker --set task.tolerance=-1"),
        2,
        "task: 'tolerance' must be > 0: -1.0",
    ),
    "value of the wrong kind": (
        lambda: typed("run centring --agent walker --set task.tolerance=wide"),
        2,
        "task.tolerance: 'wide' is not a number",
    ),
    "set without =": (
        lambda: typed("run centring --agent walker --set task.tolerance"),
        2,
        "--set 'task.tolerance' is not section.key=value, for example --set task.tolerance_px=2",
    ),
    "configuration file of PowerShell": (
        lambda: typed(f"run centring --agent walker --config {written('a.toml', 'utf-16')}"),
        2,
        "a.toml is not UTF-8, in line 1; save it as UTF-8",
    ),
    "configuration file in UTF-16 without a mark": (
        lambda: typed(f"run centring --agent walker --config {written('a.toml', 'utf-16-be')}"),
        2,
        "a.toml is not UTF-8, in line 3; save it as UTF-8",
    ),
    "configuration file of an old editor": (
        lambda: typed(f"run centring --agent walker --config {written('a.toml', 'cp1252')}"),
        2,
        "a.toml is not UTF-8, in line 3; save it as UTF-8",
    ),
    "envelope file of an old editor": (
        lambda: typed(f"run centring --agent walker --envelope {written('a.toml', 'cp1252')}"),
        4,
        "a.toml is not UTF-8, in line 3; save it as UTF-8",
    ),
    "name of a folder that is too long": (
        lambda: [*typed("run centring --agent walker --out"), TOO_LONG],
        1,
        f"cannot write {TOO_LONG}",
    ),
    "name of a configuration file that is too long": (
        lambda: [*typed("run centring --agent walker --config"), TOO_LONG],
        2,
        f"cannot read {TOO_LONG}",
    ),
    "name of a run that is too long": (
        lambda: ["restore", TOO_LONG],
        2,
        f"cannot read {TOO_LONG}",
    ),
    "name of an envelope that is too long": (
        lambda: [*typed("envelope init --backend desk --out"), TOO_LONG],
        1,
        f"cannot write {TOO_LONG}",
    ),
    "missing configuration file": (
        lambda: typed("run centring --agent walker --config none.toml"),
        2,
        "cannot read none.toml: No such file",
    ),
    "policy and agent": (
        lambda: ["run", "centring", "--agent", "walker", "--policy", trained("a")],
        2,
        "give either --agent NAME or --policy RUN",
    ),
    "neither policy nor agent": (
        lambda: ["run", "centring"],
        2,
        "give either --agent NAME or --policy RUN",
    ),
    "no task": (lambda: ["train"], 2, "give the name of a task, or --resume RUN"),
    "resume and task": (
        lambda: ["train", "centring", "--resume", trained("a")],
        2,
        "TASK: --resume RUN goes on with what the run was begun with",
    ),
    "resume and envelope": (
        lambda: ["train", "--resume", trained("a"), "--envelope", envelope_file()],
        2,
        "--envelope: --resume RUN goes on with what the run was begun with",
    ),
    "resume and seed": (
        lambda: ["train", "--resume", trained("a"), "--seed", "4"],
        2,
        "--seed: --resume RUN goes on with what the run was begun with",
    ),
    "resume and what happens to be the default": (
        lambda: ["train", "--resume", trained("a"), "--seed", "0", "--agent", "sac"],
        2,
        "--agent, --seed: --resume RUN goes on with what the run was begun with",
    ),
    "resume and --set": (
        lambda: ["train", "--resume", trained("a"), "--set", "task.tolerance=0.3"],
        2,
        "--set: --resume RUN goes on with what the run was begun with",
    ),
    "resume and backend": (
        lambda: ["train", "--resume", trained("a"), "--backend", "desk"],
        2,
        "--backend: --resume RUN goes on with what the run was begun with",
    ),
    "resume and agent": (
        lambda: ["train", "--resume", trained("a"), "--agent", "exact"],
        2,
        "--agent: --resume RUN goes on with what the run was begun with",
    ),
    "resume and frames": (
        lambda: ["train", "--resume", trained("a"), "--frames", "all"],
        2,
        "--frames: --resume RUN goes on with what the run was begun with; give only --steps",
    ),
    "resume and until": (
        lambda: ["train", "--resume", trained("a"), "--until", "converged"],
        2,
        "--until: --resume RUN goes on with what the run was begun with; give only --steps,",
    ),
    "no minutes": (
        lambda: typed("run centring --agent walker --minutes 0"),
        2,
        "minutes 0.0 are no time that can pass; give more than 0",
    ),
    "best of no policy": (
        lambda: typed("run centring --agent walker --best"),
        2,
        "the best agent is that of a trained run directory",
    ),
    "resume an evaluation": (
        lambda: ["train", "--resume", trained("a", command="run")],
        2,
        "a is a run; only a train or relearn can be resumed",
    ),
    "no steps": (
        lambda: typed("train centring --agent learner --steps 0"),
        2,
        "Invalid value for '--steps'",
    ),
    "steps that are no number": (
        lambda: typed("train centring --agent learner --steps many"),
        2,
        "Invalid value for '--steps'",
    ),
    "negative seed": (
        lambda: typed("train centring --agent learner --seed -1"),
        2,
        "Invalid value for '--seed'",
    ),
    "no episodes": (
        lambda: typed("run centring --agent walker --episodes 0"),
        2,
        "Invalid value for '--episodes'",
    ),
    "unknown frames": (
        lambda: typed("run centring --agent walker --frames some"),
        2,
        "--frames 'some' is not one of none, ends, all or every-N",
    ),
    "unknown command": (lambda: ["trian"], 2, "No such command 'trian'"),
    "unknown flag": (lambda: typed("train --stpes 3"), 2, "No such option"),
    "directory that is taken": (
        lambda: ["run", "centring", "--agent", "walker", "--out", trained("a")],
        2,
        "a exists already; choose another --out",
    ),
    "no run directory": (
        lambda: typed("run centring --policy none"),
        2,
        "cannot read none/record.json: No such file or directory; is this a run directory?",
    ),
    "report of no run": (lambda: ["restore", "none"], 2, "is this a run directory?"),
    "run of another schema": (
        lambda: ["run", "centring", "--policy", schema_2("a")],
        2,
        "has schema 2; this stempilot reads schema 1",
    ),
    "run without an agent": (
        lambda: ["relearn", trained("a", saved=False)],
        2,
        "a holds no trained agent yet",
    ),
    "restoring what never moved": (
        lambda: ["restore", trained("a")],
        2,
        "a has no baseline: it never moved anything",
    ),
    "policy of another task": (
        lambda: ["run", "centring", "--policy", trained("a", task="focusing")],
        3,
        "a was trained for focusing, not for centring",
    ),
    "mismatched spaces": (
        lambda: typed("train centring --agent learner --set task.actions=discrete"),
        3,
        "acts with a vector of numbers, not in Discrete(8)",
    ),
    "agent that does not learn": (
        lambda: typed("train centring --agent walker"),
        3,
        "agent walker does not learn; use it with `stempilot run`",
    ),
    "backend that does not fit": (
        lambda: typed("run centring --agent walker --backend empty"),
        3,
        "needs knob beam_shift; empty offers none",
    ),
    "no envelope": (
        lambda: typed("run centring --agent walker --backend desk --yes"),
        4,
        "desk moves a real instrument and needs an envelope",
    ),
    "missing envelope file": (
        lambda: typed("run centring --agent walker --backend desk --yes --envelope none.toml"),
        4,
        "cannot read none.toml: No such file or directory; correct the envelope file",
    ),
    "unknown unit in an envelope file": (
        lambda: run_on_desk(('unit = "m"', 'unit = "um"')),
        4,
        "envelope.toml.knobs",
    ),
    "envelope of another backend": (
        lambda: run_on_desk(('backend = "desk"', 'backend = "bench"')),
        4,
        "this envelope was written for bench, not for desk",
    ),
    "envelope that excludes the start": (
        lambda: run_on_desk(("lower = [-4e-06, -4e-06]", "lower = [1e-7, -4e-06]")),
        4,
        "beam_shift[0] stands at the start = 0 m outside [1e-07, 4e-06]",
    ),
    "full action larger than the largest step": (
        lambda: run_on_desk(("max_step = [4e-07, 4e-07]", "max_step = [1e-07, 4e-07]")),
        4,
        "a full action moves 3.2e-07 m, the envelope allows 1e-07 m a step",
    ),
    "envelope that lists other knobs": (
        lambda: run_on_desk(("[knobs.beam_shift]", "[knobs.stage]")),
        4,
        "the envelope does not list beam_shift, so it must not be moved; it lists stage",
    ),
    "envelope file that exists": (
        lambda: ["envelope", "init", "--backend", "desk", "--out", envelope_file()],
        4,
        "envelope.toml exists already",
    ),
}


class Empty(Desk):
    """Offers nothing."""

    def offers(self) -> Any:
        return evolve(super().offers(), knobs={}, sources={}, simulated=True)


@pytest.mark.parametrize("name", TABLE)
def test_what_is_wrong_is_said_with_its_exit_code(
    stempilot: Stempilot, use: Callable[[Registry], None], name: str
) -> None:
    empty = desk_plugin(Empty())
    use(toy_registry(desk_plugin(Desk()), ("backend", evolve(empty[1], name="empty"))))
    words, code, said = TABLE[name]
    ended = stempilot(*words())
    assert said in " ".join(ended.err.split())
    assert ended.code == code
    assert ended.out == ""
    assert "Traceback" not in ended.err


def test_a_broken_plugin_that_is_asked_for_shows_its_traceback(
    stempilot: Stempilot, use: Callable[[Registry], None]
) -> None:
    broken = Entry(
        kind=None,
        name="their-package",
        distribution="theirs",
        version="0.1",
        problem="failed to load: ImportError('no vendor library')",
        trace="Traceback (most recent call last): ...",
    )
    use(Registry((*toy_registry().entries, broken)))
    ended = stempilot("run", "their-package", "--agent", "walker")
    assert ended.code == 2
    for said in ("theirs 0.1", "no vendor library", "Traceback"):
        assert said in ended.err


def test_markup_in_a_message_is_text(stempilot: Stempilot) -> None:
    ended = stempilot("run", "[red]x[/red] :smile:", "--agent", "walker")
    assert "'[red]x[/red] :smile:'" in ended.err


# --- run directories of strangers ----------------------------------------------------------------

HOSTILE_RECORDS: list[dict[str, Any]] = [
    {"settings": None},
    {"seed": "x"},
    {"frames": {"every": "x", "ends": 1}},
    {"steps": 1e30},
    {"parent": ["x"]},
    {"envelope": {"schema": 1}},
    {"envelope": {**plain_envelope(open_envelope("x", Desk().offers())), "max_writes": 0}},
    {"task": 3},
    {"command": None},
]


@pytest.mark.parametrize("change", HOSTILE_RECORDS)
@pytest.mark.parametrize("command", ["train --resume a", "restore a"])
def test_a_hostile_record_is_refused(
    stempilot: Stempilot, command: str, change: dict[str, Any]
) -> None:
    trained("a", **change)
    write_json(Path("a/baseline.json"), {"knobs": {"beam_shift": [0.0, 0.0]}})
    ended = stempilot(*command.split())
    assert ended.code == 2
    assert "record.json is damaged" in ended.err


@pytest.mark.parametrize("command", ["run centring --policy a", "relearn a", "train --resume a"])
def test_a_hostile_agent_runs_nothing(stempilot: Stempilot, command: str) -> None:
    trained("a", saved=False)
    told = Path("told").resolve()
    code = f"cos\nmkdir\n(V{told}\ntR.".encode()

    def save(folder: Path) -> None:
        learner = {"schema": 1, "observed": 2, "timesteps": 1, "rng": {}}
        (folder / "learner.json").write_text(json.dumps(learner))
        (folder / "response.npy").write_bytes(code)

    RunDir(Path("a")).checkpoint({"timesteps": 10}, save)
    ended = stempilot(*command.split())
    assert ended.code == 2
    assert "holds no toy learner" in ended.err
    assert not told.exists()
    import pickle

    pickle.loads(code)
    assert told.exists(), "the trap would have worked"


def test_a_part_that_ends_the_program_does_not_end_it_with_0(
    stempilot: Stempilot, use: Callable[[Registry], None]
) -> None:
    desk = Desk()

    def leave(what: str, name: str) -> None:
        if what == "acquire" and len(desk.log) == 3:
            raise SystemExit(0)

    desk.before = leave
    use(toy_registry(desk_plugin(desk)))
    done = stempilot(*run_on_desk())
    assert done.code == 1
    assert "error: a part ended the program with sys.exit(0)" in done.err
