"""``stempilot study``: from a file to a table, resumed without repeating anything."""

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from tests.core.cli.conftest import Stempilot, stempilot, use  # noqa: F401 - fixtures
from tests.core.fakes import Desk, desk_plugin, toy_registry
from tests.core.study.here import STUDY, Answer, InThisProcess, study_file

from stempilot.plugins.registry import Registry
from stempilot.record.owner import owned
from stempilot.runs.execute import execute
from stempilot.study import cells, cluster


@pytest.fixture
def study(client: InThisProcess, stempilot: Stempilot, tmp_path: Path) -> Callable[..., Any]:  # noqa: F811
    """Return what runs a study of toys."""

    def run(*more: str, text: str = STUDY) -> Any:
        return stempilot("study", "run", study_file(tmp_path, text), "--out", "out", *more)

    return run


def table() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parquet.read_table("out/table.parquet").to_pylist()
    return found


def test_a_study_gives_one_row_a_cell(study: Callable[..., Any]) -> None:
    ended = study("--json")
    assert ended.code == 0, ended.err
    assert ended.json["cells"] == {"done": 4}
    rows = table()
    assert [(row["task.tolerance"], row["seed"]) for row in rows] == [
        (0.1, 1),
        (0.1, 2),
        (0.2, 1),
        (0.2, 2),
    ]
    for row in rows:
        assert row["train.timesteps"] == 30
        assert 0 <= row["evaluate.success_rate"] <= 1
        assert (Path("out") / row["train.run_dir"] / "record.json").is_file()
    assert "study: 0/4 cells" in ended.err
    assert re.search(r"study: 2/4 cells about \d+ min left", ended.err)
    assert "study: 4/4 cells" in ended.err


def test_what_travels_is_plain(study: Callable[..., Any], client: InThisProcess) -> None:
    study()
    assert len(client.sent) == 4
    assert json.loads(json.dumps(client.sent)) == [list(one) for one in client.sent]


def test_the_same_command_repeats_nothing(study: Callable[..., Any], client: InThisProcess) -> None:
    study()
    again = study("--json")
    assert len(client.sent) == 4
    assert again.json["cells"] == {"done": 4}
    more = study("--json", text=STUDY.replace("[1, 2]", "[1, 2, 3]"))
    assert more.json["cells"] == {"done": 6}
    assert len(client.sent) == 6


def test_a_failing_cell_is_reported_and_the_rest_go_on(
    study: Callable[..., Any],
    client: InThisProcess,
    stempilot: Stempilot,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    carried_out = execute

    def fails(plan: Any, **more: Any) -> Any:
        if plan.seed == 2:
            msg = "out of cheese"
            raise RuntimeError(msg)
        return carried_out(plan, **more)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "execute", fails)
        ended = study("--json")
    assert ended.code == 1
    assert ended.json["cells"] == {"done": 2, "failed": 2}
    assert "cell 2 (task.tolerance = 0.1, seed 2) failed: RuntimeError: out of" in ended.err
    assert [row["status"] for row in table()] == ["done", "failed", "done", "failed"]
    status = stempilot("study", "status", "out")
    assert "cell 4 (task.tolerance = 0.2, seed 2): RuntimeError: out of cheese" in status.err
    assert study("--json").json["cells"] == {"done": 4}
    assert len(client.sent) == 6


def test_a_cell_whose_worker_dies_costs_itself_alone(
    study: Callable[..., Any],
    client: InThisProcess,
    stempilot: Stempilot,  # noqa: F811
) -> None:
    client.answers = [None, Answer(RuntimeError("killed"))]
    ended = study("--json")
    assert ended.json["cells"] == {"done": 3, "failed": 1}
    assert "failed: RuntimeError: killed" in ended.err
    # Its worker could not say why; the study did.
    status = stempilot("study", "status", "out")
    assert "cell 2 (task.tolerance = 0.1, seed 2): RuntimeError: killed" in status.err
    assert study("--json").json["cells"] == {"done": 4}


LABELS = STUDY.replace("[grid]", "cases = [{'label.g' = 1}, {'label.g' = 2}]\n[grid]")


def test_cells_that_differ_by_a_label_are_carried_out_once_and_all_listed(
    study: Callable[..., Any], client: InThisProcess
) -> None:
    # Tables come last in TOML.
    text = LABELS.replace("[settings.run]\nevaluate = false\n", "")
    ended = study("--json", text=text)
    assert ended.json["cells"] == {"done": 8}
    assert len(client.sent) == 4
    rows = table()
    assert [row["cell"] for row in rows] == list(range(1, 9))
    assert len({row["key"] for row in rows}) == 4


def test_the_table_tells_all_settings_and_the_software(study: Callable[..., Any]) -> None:
    study()
    row = table()[0]
    assert json.loads(row["settings"])["settings"]["run"] == {"evaluate": False}
    assert json.loads(row["software"])["versions"]["torch"]


def test_a_folder_of_something_else_is_left_alone(study: Callable[..., Any]) -> None:
    Path("out").mkdir()
    mine = Path("out/table.parquet")
    mine.write_text("mine")
    ended = study()
    assert ended.code == 2
    assert "out exists already; choose another --out" in ended.err
    assert [path.name for path in Path("out").iterdir()] == ["table.parquet"]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("damaged", ["{", '{"schema": 1, "status": 3}', "[]"])
def test_a_damaged_cell_is_carried_out_again(study: Callable[..., Any], damaged: str) -> None:
    study()
    (Path("out") / table()[0]["train.run_dir"]).parent.joinpath("cell.json").write_text(damaged)
    assert study("--json").json["cells"] == {"done": 4}


class Late(Answer):
    """What became of a cell that no one looked at until its time was over."""

    def cancel(self) -> None:
        """Nothing is to be done."""


def test_a_cell_that_is_over_counts_however_late_it_is_looked_at(
    study: Callable[..., Any], client: InThisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_HANGING_S", -1e9)
    assert study("--json").json["cells"] == {"done": 4}
    assert len(client.sent) == 4


@pytest.mark.parametrize("began", [False, True])
def test_a_cell_that_no_worker_has_is_sent_again(
    study: Callable[..., Any],
    client: InThisProcess,
    monkeypatch: pytest.MonkeyPatch,
    *,
    began: bool,
) -> None:
    monkeypatch.setattr(cluster, "_HANGING_S", -1e9)
    waits = Late({}, status="pending")
    waits.key = "one"  # type: ignore[attr-defined]
    client.answers = [waits]
    if began:
        left = InThisProcess.submit

        def submit(call: Any, values: Any, key: str, place: str, **more: Any) -> Any:
            Path(place).mkdir(parents=True, exist_ok=True)
            (Path(place) / ".lock.json").touch()
            return left(client, call, values, key, place, **more)

        monkeypatch.setattr(client, "submit", submit)
    # One has it in hand behind another cell, and is left to that, also where one began before.
    monkeypatch.setattr(client, "processing", lambda: {"here": ["other", "one"]}, raising=False)
    assert study("--json").json["cells"] == {"done": 4}
    assert len(client.sent) == 5


def test_cells_that_are_no_longer_listed_are_said(
    study: Callable[..., Any], client: InThisProcess
) -> None:
    assert "are not in this one" not in study().err
    assert "are not in this one" not in study(text=STUDY.replace("[1, 2]", "[1, 2, 3]")).err
    ended = study(text=STUDY.replace("[1, 2]", "[1]"))
    assert "out: 4 cells that a study had here are not in this one" in ended.err
    assert study("--json").json["cells"] == {"done": 4}
    assert len(client.sent) == 6


def test_all_names_of_the_whole_file_mean_one_folder(
    client: InThisProcess,
    stempilot: Stempilot,  # noqa: F811
    tmp_path: Path,
) -> None:
    for more in ((), ("--scale", "full")):
        ended = stempilot("study", "run", study_file(tmp_path), *more, "--json")
        assert Path(ended.json["run_dir"]) == Path("studies/toys")
    assert len(client.sent) == 4


def test_cells_of_another_revision_are_said(
    study: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "another revision" not in study().err
    monkeypatch.setattr("stempilot.record.provenance._commit", lambda: "f" * 40)
    assert "4 of them were made by another revision of the source than fffffffff;" in study().err


def test_a_report_says_how_many_cells_it_is_of(
    study: Callable[..., Any],
    client: InThisProcess,
    stempilot: Stempilot,  # noqa: F811
) -> None:
    client.answers = [None, Answer(RuntimeError("killed"))]
    study()
    found = stempilot("study", "report", "out", "--json").json
    assert found["cells"] == {"done": 3, "failed": 1}


def test_a_picture_that_cannot_be_drawn_keeps_nothing_else_away(
    study: Callable[..., Any],
    stempilot: Stempilot,  # noqa: F811
) -> None:
    drawn = '[[plots]]\nkind = "points"\naxes = ["seed"]\ny = "train.no_such"\n'
    found = '[[findings]]\nsays = "it is so"\nof = "train.timesteps"\nabove = 0\n'
    study(text=f"{STUDY}\n{drawn}{found}")
    Path("out/table.parquet").unlink()
    ended = stempilot("study", "report", "out")
    assert "no finished cell has a number train.no_such" in ended.err
    assert table()
    assert json.loads(Path("out/findings.json").read_text())["findings"][0]["effect"] == 30


def test_it_says_that_it_waits_for_workers(
    study: Callable[..., Any], client: InThisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = [{}, {}, {"here": 1}]
    monkeypatch.setattr(client, "nthreads", lambda: workers.pop(0) if workers else {"here": 1})
    assert study().err.count("waiting for workers") == 1


def test_a_scheduler_that_comes_back_is_waited_for(
    study: Callable[..., Any], client: InThisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [OSError("connection reset")] * 3

    def asked() -> dict[str, int]:
        if client.sent and broken:
            raise broken.pop()
        return {"here": 1}

    monkeypatch.setattr(client, "nthreads", asked)
    assert study("--json").json["cells"] == {"done": 4}
    assert not broken


def test_a_cell_that_a_scheduler_forgot_is_sent_again(
    study: Callable[..., Any], client: InThisProcess
) -> None:
    client.answers = [Answer(None, status="cancelled"), Answer(None, status="lost")]
    assert study("--json").json["cells"] == {"done": 4}
    assert len(client.sent) == 6


def test_a_scheduler_that_is_gone_ends_the_study_and_what_is_done_is_tabled(
    study: Callable[..., Any], client: InThisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> dict[str, int]:
        if client.sent:
            msg = "connection refused"
            raise OSError(msg)
        return {"here": 1}

    monkeypatch.setattr(client, "nthreads", gone)
    monkeypatch.setattr(cluster, "_TIMEOUT_S", 0.1)
    ended = study()
    assert ended.code == 1
    assert (
        "the scheduler is gone: OSError: connection refused; finished cells are kept" in ended.err
    )
    assert [row["status"] for row in table()] == ["done", "not run", "not run", "not run"]


def test_ctrl_c_stops_and_the_same_command_goes_on(
    study: Callable[..., Any], client: InThisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out = execute

    def interrupts(plan: Any, **more: Any) -> Any:
        if plan.seed == 2:
            raise KeyboardInterrupt
        return carried_out(plan, **more)

    submit = client.submit

    def stopped(*what: Any, **more: Any) -> Any:
        answer = submit(*what, **more)
        if answer.result()["reason"] == "stopped":
            raise KeyboardInterrupt
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(cells, "execute", interrupts)
        patch.setattr(client, "submit", stopped)
        ended = study()
    assert ended.code == 130
    assert "the same command goes on" in ended.err
    assert not Path("out/stop").exists()
    assert study("--json").json["cells"] == {"done": 4}


def test_two_studies_never_share_a_folder(study: Callable[..., Any]) -> None:
    with owned(Path("out")):
        ended = study()
    assert ended.code == 2
    assert "out is in use by process" in ended.err


def test_a_real_backend_is_refused_before_anything_opens(
    study: Callable[..., Any],
    use: Callable[[Registry], None],  # noqa: F811
    client: InThisProcess,
) -> None:
    desk = Desk()
    desk.before = lambda what, name: pytest.fail(f"{what} {name}")
    use(toy_registry(desk_plugin(desk)))
    ended = study(text=f'backend = "desk"\n{STUDY}')
    assert ended.code == 2
    assert "desk is a real instrument, which no study drives" in ended.err
    assert client.sent == []
    assert not Path("out").exists()


def test_an_unknown_setting_is_named_before_anything_starts(
    study: Callable[..., Any], client: InThisProcess
) -> None:
    ended = study(text=STUDY.replace("task.tolerance", "task.tolerence"))
    assert ended.code == 2
    assert "4 of 4 cells are impossible" in ended.err
    assert "did you mean task.tolerance?" in ended.err
    assert not Path("out").exists()


def test_a_study_without_dask_says_how_to_install_it(
    study: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    ended = study()
    assert ended.code == 2
    assert 'pip install "stempilot[study]"' in ended.err


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "10.0.0.1:8786"])
def test_a_scheduler_without_encryption_needs_a_reason(
    study: Callable[..., Any], address: str
) -> None:
    ended = study("--scheduler", address)
    assert ended.code == 2
    assert "say in a sentence why" in ended.err
    assert study("--scheduler", address, "--insecure", "a closed network").code == 0
    # Whoever goes on here, without a scheduler, leaves it as it is.
    for more in ((), ("--insecure", "a quiet network", "--scheduler", address)):
        assert json.loads(Path("out/study.json").read_text())["insecure"] == "a closed network"
        assert study(*more).code == 0
    assert json.loads(Path("out/study.json").read_text())["insecure"] == "a quiet network"


def test_a_job_of_slurm_has_one_worker(
    stempilot: Stempilot,  # noqa: F811
    tmp_path: Path,
) -> None:
    Path("slurm.toml").write_text('queue = "short"\nprocesses = 2\nmemory = "1GB"\n')
    words = ("--slurm", "slurm.toml", "--insecure", "loopback")
    ended = stempilot("study", "run", study_file(tmp_path), *words)
    assert ended.code == 2
    assert "a job has one worker, processes = 1; ask for more with --workers" in ended.err


def test_slurm_without_encryption_needs_a_reason(study: Callable[..., Any]) -> None:
    Path("slurm.toml").write_text('queue = "short"\n')
    assert "say in a sentence why" in study("--slurm", "slurm.toml").err
    Path("slurm.toml").write_text("security = true\n")
    assert study("--slurm", "slurm.toml").code == 0


def test_a_scheduler_that_is_not_there_is_an_error(
    stempilot: Stempilot,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(cluster, "_TIMEOUT_S", 0.3)
    words = ("--scheduler", address, "--insecure", "loopback")
    ended = stempilot("study", "run", study_file(tmp_path), *words)
    assert ended.code == 1
    assert f"{address}: OSError" in ended.err
