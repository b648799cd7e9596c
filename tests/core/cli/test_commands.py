"""What each command does, shows and ends with."""

import io
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.core.cli.conftest import Stempilot, typed
from tests.core.fakes import Desk, blank, desk_plugin, fails, toy_registry

from stempilot.cli import render
from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import RecordError
from stempilot.instrument.envelope_file import read_envelope, write_envelope
from stempilot.plugins.registry import Registry
from stempilot.record.run_dir import RunDir
from stempilot.runs.progress import Progress

Use = Callable[[Registry], None]
HOME = (0.0, 0.0)
NO_TWIN = ("--set", "run.evaluate=false")


@pytest.fixture
def desk(use: Use, stempilot: Stempilot) -> Desk:
    """Return an instrument that counts as real, with an envelope file beside."""
    del stempilot
    made = Desk()
    use(toy_registry(desk_plugin(made)))
    write_envelope(Path("envelope.toml"), "desk", made.offers())
    return made


def standing(desk: Desk) -> Any:
    desk.toy.open()
    return desk.toy.read(BEAM_SHIFT)


ON_DESK = typed("--backend desk --envelope envelope.toml")
RUN = ["run", "centring", "--agent", "exact", *ON_DESK]


# --- help ----------------------------------------------------------------------------------------

COMMANDS = [
    "",
    "train",
    "relearn",
    "run",
    "plugins",
    "check",
    "report",
    "restore",
    "doctor",
    "envelope",
    "envelope init",
    "workflow",
    "workflow run",
    "workflow check",
    "study",
    "study run",
    "study status",
    "study report",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(stempilot: Stempilot, command: str) -> None:
    ended = stempilot(*command.split(), "--help")
    assert ended.code == 0
    assert f"Usage: stempilot {command}".strip() in ended.out
    assert ended.err == ""


def test_every_option_has_a_help_text() -> None:
    import typer

    from stempilot.cli import app

    def walk(command: Any) -> None:
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{command.name} {parameter.name}"
        for inner in getattr(command, "commands", {}).values():
            assert inner.help, inner.name
            walk(inner)

    walk(typer.main.get_command(app))


def test_the_version_is_told(stempilot: Stempilot) -> None:
    from importlib.metadata import version

    assert stempilot("--version").out.strip() == version("stempilot")


# --- train, relearn, run -------------------------------------------------------------------------


def test_train_then_evaluate_then_relearn(stempilot: Stempilot) -> None:
    ended = stempilot(*typed("train centring --agent learner --steps 30 --seed 4 --out a --json"))
    assert ended.code == 0
    assert ended.json["timesteps"] == 30
    assert (ended.json["seed"], ended.json["run_dir"]) == (4, "a")
    assert ended.json["report"] == "a/report.html"
    ended = stempilot(*typed("run centring --policy a --episodes 4 --out b --json"))
    assert ended.code == 0
    assert ended.json["episodes"] == 4
    assert "evaluation: 4 episodes, each from a start drawn around" in ended.err
    ended = stempilot(*typed("relearn a --steps 10 --set backend.serial=3 --out c --json"))
    assert ended.code == 0
    assert "kept the response" in ended.err
    assert RunDir.open(Path("c")).record().config["backend"] == {"serial": 3}


def test_settings_come_from_a_file_and_from_set(stempilot: Stempilot) -> None:
    Path("run.toml").write_text("[task]\ntolerance = 0.2\n[run]\nmax_steps = 3\n")
    words = "run centring --agent walker --config run.toml --set task.tolerance=0.05 --out a"
    stempilot(*words.split())
    config = RunDir.open(Path("a")).record().config
    assert config["task"]["tolerance"] == 0.05
    assert config["run"]["max_timesteps"] == 3


def test_without_out_a_run_goes_below_runs(stempilot: Stempilot) -> None:
    ended = stempilot(*typed("run centring --agent exact --json"))
    assert Path(ended.json["run_dir"]).parent == Path("runs")
    assert RunDir.open(Path(ended.json["run_dir"])).record().status == "done"


@pytest.mark.parametrize(
    ("frames", "count"), [("none", 0), ("ends", 2), ("all", None), ("every-1", None)]
)
def test_frames_are_kept_as_asked(stempilot: Stempilot, frames: str, count: int | None) -> None:
    words = typed("run centring --agent exact --out a --json --frames")
    ended = stempilot(*words, frames)
    kept = len(list(Path("a").glob("frames/*")))
    assert kept == (ended.json["steps_mean"] + 1 if count is None else count)


def test_json_is_one_object_whatever_else_is_shown(stempilot: Stempilot) -> None:
    ended = stempilot(*typed("train centring --agent learner --steps 25 --out a --json"))
    assert "train: 25/25 timesteps" in ended.err
    assert ended.out.count("\n") == 1
    assert isinstance(ended.json, dict)


def test_json_says_what_it_says_and_not_what_it_looks_like(stempilot: Stempilot) -> None:
    folder = "[red]:smile: :100:"
    ended = stempilot(*typed("run centring --agent exact --json --out"), folder)
    assert ended.json["run_dir"] == folder


def test_results_are_shown_as_a_table(stempilot: Stempilot) -> None:
    ended = stempilot(*typed("run centring --agent exact --out a"))
    assert "success rate" in ended.out
    assert "run dir" in ended.out


def test_progress_is_shown_in_few_lines_where_there_is_no_terminal(stempilot: Stempilot) -> None:
    ended = stempilot(*typed("train centring --agent learner --steps 200 --out a"), *NO_TWIN)
    lines = [line for line in ended.err.splitlines() if line.startswith("train: ")]
    assert 10 <= len(lines) <= 45
    assert "200/200 timesteps" in lines[-1]
    assert "success" in lines[-1]


def test_in_a_terminal_there_is_a_bar_with_speed_and_rates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=140, color_system=None)
    monkeypatch.setattr(render, "err", console)
    with render.progress("train", "timesteps") as show:
        for done in range(0, 101, 20):
            show(Progress(done=done, total=100, reward=-1.5, success_rate=0.25, note="evaluating"))
            time.sleep(0.01)
    for said in ("train", "100/100", "reward -1.5, success 25%, evaluating", "timesteps/s"):
        assert said in shown.getvalue()


# --- a real instrument ---------------------------------------------------------------------------


def test_a_run_that_succeeds_ends_with_0_and_keeps(stempilot: Stempilot, desk: Desk) -> None:
    ended = stempilot(*RUN, "--yes", "--out", "a", "--json")
    assert (ended.code, ended.json["success"]) == (0, True)
    assert standing(desk) != HOME


def test_put_back_puts_back(stempilot: Stempilot, desk: Desk) -> None:
    assert stempilot(*RUN, "--yes", "--out", "a", "--put-back").code == 0
    assert standing(desk) == pytest.approx(HOME, abs=1e-12)


def test_a_run_that_fails_ends_with_1_and_is_put_back(stempilot: Stempilot, desk: Desk) -> None:
    limits = typed("--set run.max_timesteps=2 --set task.tolerance=1e-6")
    ended = stempilot(*RUN, "--yes", "--out", "a", "--json", *limits)
    assert (ended.code, ended.json["success"], ended.json["outcome"]) == (1, False, "out of steps")
    assert desk.log
    assert standing(desk) == pytest.approx(HOME, abs=1e-12)


def test_adapt_is_refused_where_nobody_notices(stempilot: Stempilot, desk: Desk) -> None:
    ended = stempilot(*RUN, "--yes", "--adapt", "--out", "a")
    assert ended.code == 3
    assert "exact does not notice a changed response" in ended.err
    assert desk.log == []
    assert not Path("a").exists()


def test_what_was_found_changed_is_counted_in_the_table(stempilot: Stempilot, desk: Desk) -> None:
    del desk
    ended = stempilot(*RUN, "--yes", "--out", "a")
    assert [line.split() for line in ended.out.splitlines() if line.startswith("changes")] == [
        ["changes", "0"]
    ]


def test_a_dark_field_at_the_start_ends_with_1(stempilot: Stempilot, desk: Desk) -> None:
    desk.develop = blank
    assert stempilot(*RUN, "--yes", "--out", "a").code == 1
    assert desk.log == []


def test_a_camera_that_dies_ends_with_4(stempilot: Stempilot, desk: Desk) -> None:
    def die(what: str, _: str) -> None:
        if what == "write":
            desk.develop = blank

    desk.before = die
    ended = stempilot(*RUN, "--yes", "--out", "a")
    assert ended.code == 4
    assert "is the camera on" in ended.err


def test_an_instrument_that_fails_ends_with_4(stempilot: Stempilot, desk: Desk) -> None:
    def once(what: str, name: str) -> None:
        if what == "acquire" and desk.log:
            desk.before = lambda what, name: None
            fails("acquire")(what, "")

    desk.before = once
    ended = stempilot(*RUN, "--yes", "--out", "a")
    assert ended.code == 4
    assert "error: acquire" in ended.err
    assert standing(desk) == pytest.approx(HOME, abs=1e-12)


def test_an_instrument_that_is_not_put_back_ends_with_5(stempilot: Stempilot, desk: Desk) -> None:
    def stuck(what: str, name: str) -> None:
        if desk.log:
            fails("write")(what, "")

    desk.before = stuck
    ended = stempilot(*RUN, "--yes", "--out", "a", "--put-back", "--set", "task.tolerance=1e-6")
    assert ended.code == 5
    assert "THE INSTRUMENT WAS NOT PUT BACK, go and look at it (the run had ended" in ended.err
    assert f"{BEAM_SHIFT} should read (0.0, 0.0)" in ended.err


def test_ctrl_c_ends_with_130_and_puts_back(stempilot: Stempilot, desk: Desk) -> None:
    def interrupt(what: str, _: str) -> None:
        if what == "acquire" and desk.log:
            desk.before = lambda what, name: None
            signal.raise_signal(signal.SIGINT)

    desk.before = interrupt
    ended = stempilot(*RUN, "--yes", "--out", "a")
    assert ended.code == 130
    assert "interrupted; the instrument was put back" in ended.err
    assert standing(desk) == pytest.approx(HOME, abs=1e-12)


def test_ctrl_c_in_a_training_says_how_to_go_on(stempilot: Stempilot, desk: Desk) -> None:
    def interrupt(what: str, _: str) -> None:
        if what == "write" and len(desk.log) == 12:
            signal.raise_signal(signal.SIGINT)

    desk.before = interrupt
    words = ["train", "centring", "--agent", "learner", "--steps", "60", *ON_DESK]
    ended = stempilot(*words, "--yes", "--out", "a", "--json")
    assert ended.code == 0
    assert ended.json["interrupted"] is True
    assert "interrupted; put back: beam_shift to (0, 0) m\n" in ended.err
    assert "saved; go on with: stempilot train --resume a" in ended.err
    desk.before = lambda what, name: None
    ended = stempilot("train", "--resume", "a", "--yes", "--json")
    assert (ended.code, ended.json["timesteps"]) == (0, 60)


def test_the_end_of_the_minutes_says_how_to_go_on(stempilot: Stempilot, desk: Desk) -> None:
    words = ["train", "centring", "--agent", "learner", "--steps", "60", *ON_DESK]
    ended = stempilot(*words, "--yes", "--out", "a", "--json", "--minutes", "1e-9")
    assert (ended.code, ended.json["timesteps"]) == (0, 1)
    assert "the limit of 1e-09 minutes is reached" in ended.err
    assert "interrupted; put back: beam_shift to (0, 0) m\n" in ended.err
    assert "saved; go on with: stempilot train --resume a" in ended.err
    ended = stempilot("train", "--resume", "a", "--yes", "--json", "--minutes", "60")
    assert (ended.code, ended.json["timesteps"]) == (0, 60)
    assert stempilot(*RUN, "--yes", "--out", "b", "--minutes", "1e-9").code == 130


def test_a_training_may_end_once_it_has_converged(stempilot: Stempilot) -> None:
    words = ["train", "centring", "--agent", "exact", "--steps", "300", "--until", "converged"]
    ended = stempilot(*words, "--out", "a", "--json")
    assert (ended.code, ended.json["timesteps"], ended.json["best_at"]) == (0, 50, 50)
    ended = stempilot("run", "centring", "--policy", "a", "--best", "--episodes", "2", "--json")
    assert (ended.code, ended.json["success_rate"]) == (0, 1.0)


@pytest.mark.parametrize("keep", [False, True])
def test_ctrl_c_in_an_evaluation_says_what_was_put_back_where(
    stempilot: Stempilot, desk: Desk, keep: bool
) -> None:
    desk.toy.open()
    desk.toy.write(BEAM_SHIFT, (2e-7, -1e-7))

    def interrupt(what: str, _: str) -> None:
        if what == "write" and len(desk.log) == 12:
            signal.raise_signal(signal.SIGINT)

    desk.before = interrupt
    words = [*RUN, "--yes", "--out", "a", "--episodes", "50"]
    ended = stempilot(*words, *(["--keep"] if keep else []))
    assert ended.code == 0
    back = "interrupted; put back: beam_shift to (2e-07, -1e-07) m\n"
    assert (back in ended.err) is not keep
    assert ("interrupted; the knobs stay where they are" in ended.err) is keep
    assert (standing(desk) == pytest.approx((2e-7, -1e-7), abs=1e-12)) is not keep


def test_a_real_instrument_asks_before_it_moves(
    stempilot: Stempilot, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    ended = stempilot(*RUN, "--out", "a", "--json")
    assert ended.code == 2
    assert "desk moves a real instrument. Start?" in ended.err
    assert "desk was not started; nothing was sent" in ended.err
    assert ended.out.strip() == ""
    assert desk.log == []
    assert not Path("a").exists()
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    ended = stempilot(*RUN, "--out", "a", "--json")
    assert ended.code == 0
    assert ended.json["success"] is True


def test_where_nobody_can_answer_nothing_starts(
    stempilot: Stempilot, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    ended = stempilot(*RUN, "--out", "a", "--json")
    assert (ended.code, ended.out.strip()) == (2, "")
    assert "was not confirmed; nothing was sent. Pass --yes" in ended.err
    assert desk.log == []
    assert not Path("a").exists()


def test_what_is_refused_anyway_is_not_asked(
    stempilot: Stempilot, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: pytest.fail("asked"))
    ended = stempilot(*typed("run centring --agent exact --backend desk --out a"))
    assert ended.code == 4
    assert "desk moves a real instrument and needs an envelope" in ended.err
    assert desk.log == []
    assert not Path("a").exists()


def test_a_simulator_does_not_ask(stempilot: Stempilot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: pytest.fail("asked"))
    assert stempilot(*typed("run centring --agent exact --out a")).code == 0


@pytest.mark.parametrize(
    "words",
    [
        [*RUN, "--out", "a"],
        ["train", "centring", "--agent", "learner", *ON_DESK, "--out", "a"],
    ],
)
def test_a_dry_run_asks_nothing_moves_nothing_and_makes_nothing(
    stempilot: Stempilot, desk: Desk, words: list[str]
) -> None:
    ended = stempilot(*words, "--dry-run", "--json")
    assert ended.code == 0
    assert ended.json["dry_run"] is True
    assert "within" in ended.json["moves"]
    assert desk.log == []
    assert not Path("a").exists()


def test_a_report_that_cannot_be_written_changes_nothing_of_the_run(
    stempilot: Stempilot, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> Path:
        msg = "cannot write report.html: No space left on device"
        raise RecordError(msg)

    monkeypatch.setattr("stempilot.report.write_report", full)
    ended = stempilot(*RUN, "--yes", "--out", "a", "--json")
    assert (ended.code, ended.json["success"], ended.json["report"]) == (0, True, None)
    assert "there is no report: cannot write report.html" in ended.err
    assert standing(desk) != HOME


# --- restore, envelope, report -------------------------------------------------------------------


def test_restore_puts_back_what_a_run_left(stempilot: Stempilot, desk: Desk) -> None:
    stempilot(*RUN, "--yes", "--out", "a")
    away = standing(desk)
    ended = stempilot("restore", "a", "--dry-run", "--json")
    assert ended.json["knobs"][BEAM_SHIFT] == {
        "before": list(away),
        "now": list(away),
        "baseline": list(HOME),
    }
    shown = " ".join(stempilot("restore", "a", "--dry-run").out.split())
    assert f"would go to {list(HOME)}" in shown
    assert standing(desk) == away
    ended = stempilot("restore", "a")
    assert ended.code == 0
    assert BEAM_SHIFT in ended.out.replace("beam shift", BEAM_SHIFT)
    assert standing(desk) == pytest.approx(HOME, abs=1e-12)


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that is in use stays there")
def test_without_a_working_folder_nothing_starts_and_restore_works(
    stempilot: Stempilot, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stempilot(*RUN, "--yes", "--out", "a")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    log = list(desk.log)
    elsewhere = ("--out", tmp_path / "b")
    for more in ((), elsewhere, (*elsewhere, "--dry-run")):
        ended = stempilot(*typed("run centring --agent exact"), *more)
        said = "error: the working folder is gone; change into one that exists. Nothing was sent\n"
        assert (ended.code, ended.err) == (2, said)
    assert desk.log == log
    assert not (tmp_path / "b").exists()
    assert stempilot("restore", tmp_path / "a").code == 0
    assert standing(desk) == pytest.approx(HOME, abs=1e-12)


def test_ctrl_c_in_restore_says_how_to_see_what_was_done(stempilot: Stempilot, desk: Desk) -> None:
    stempilot(*RUN, "--yes", "--out", "a")

    def interrupt(what: str, _: str) -> None:
        if what == "write":
            signal.raise_signal(signal.SIGINT)

    desk.before = interrupt
    ended = stempilot("restore", "a")
    assert ended.code == 130
    assert "see where the knobs stand: stempilot restore a --dry-run" in ended.err
    assert standing(desk) == pytest.approx(HOME, abs=1e-12), "what was begun was ended"


class Typed(io.StringIO):
    """A person at the terminal."""

    def isatty(self) -> bool:
        return True


def test_restore_asks_at_the_terminal_whether_another_instrument_is_meant(
    stempilot: Stempilot, desk: Desk, monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    import sys

    stempilot(*RUN, "--yes", "--out", "a")
    other = Desk(3)
    use(toy_registry(desk_plugin(other)))
    question = "this one says model toy, serial 3. Is it the same instrument?"
    for answer, code in (("", 4), ("n\n", 4)):
        monkeypatch.setattr(sys, "stdin", Typed(answer) if answer else io.StringIO("y\n"))
        ended = stempilot("restore", "a")
        assert (ended.code, other.log) == (code, [])
        assert (question in ended.err) is bool(answer)
        assert "Nothing was sent" in ended.err
    monkeypatch.setattr(sys, "stdin", Typed("y\n"))
    assert stempilot("restore", "a").code == 0


def test_after_a_run_that_left_the_instrument_the_next_one_names_the_command(
    stempilot: Stempilot, desk: Desk
) -> None:
    desk.before = lambda what, name: fails("read beam_shift")(what, name if desk.log else "")
    ended = stempilot(*RUN, "--yes", "--out", "a")
    assert ended.code == 5
    desk.before = lambda what, name: None
    ended = stempilot(*RUN, "--yes", "--out", "b")
    assert ended.code == 5
    command = ended.err.split("`stempilot ")[1].split("`")[0]
    assert command == f"restore {Path('a').resolve()}"
    train = ("train", "centring", "--agent", "learner", *ON_DESK, "--yes", "--steps", "3")
    ended = stempilot(*train, "--out", "c", "--accept-position")
    assert ended.code == 0, ended.err
    assert RunDir.open("c").record().accept_position
    assert stempilot(*command.split()).code == 0
    assert standing(desk) == pytest.approx(HOME, abs=1e-12)


def test_envelope_init_writes_what_can_be_read(stempilot: Stempilot, desk: Desk) -> None:
    ended = stempilot("envelope", "init", "--backend", "desk", "--out", "mine.toml")
    assert ended.code == 0
    assert "wrote mine.toml; 7 of its entries are guesses, marked so; read it" in ended.err
    offered = desk.offers().knobs
    found = read_envelope(Path("mine.toml"))
    assert {name: row.spec for name, row in found.knobs.items()} == dict(offered)


def test_envelope_init_as_json_says_where_it_is_and_how_much_is_guessed(
    stempilot: Stempilot, desk: Desk
) -> None:
    del desk
    ended = stempilot("envelope", "init", "--backend", "desk", "--out", "mine.toml", "--json")
    assert ended.json == {"backend": "desk", "envelope": "mine.toml", "guesses": 7}
    assert read_envelope(Path("mine.toml")).backend == "desk"


def test_report_says_where_it_is(stempilot: Stempilot) -> None:
    assert stempilot("report", "a", "--json").json == {"run_dir": "a", "report": "a/report.html"}


def test_products_are_shown_with_unit_and_uncertainty(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(render, "out", Console(file=shown, width=80))
    focus = {"value": 1.5e-7, "unit": "m", "uncertainty": 2e-9}
    count = {"value": 3.0, "unit": "", "uncertainty": None}
    render.result({"products": {"best_focus": focus, "count": count}}, json_wanted=False)
    lines = [" ".join(line.split()) for line in shown.getvalue().splitlines()]
    assert lines == ["best focus 1.500e-07 ± 0.020e-07 m", "count 3 ± -"]


def test_paths_in_a_result_are_never_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(render, "out", Console(file=shown, width=40))
    path = "runs/" + "long-" * 20 + "name"
    render.result({"run_dir": path}, json_wanted=False)
    lines = [line.replace("run dir", "").strip() for line in shown.getvalue().splitlines()]
    assert "".join(lines) == path
