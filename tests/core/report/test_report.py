import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.core.report.toy import (
    event,
    frame,
    save,
    simulate,
    write_finals,
    write_run,
)

from stempilot.errors import RunDirError
from stempilot.report import PLOTS, page, write_report
from stempilot.report.loading import gather
from stempilot.report.pictures import finals_picture
from stempilot.report.style import Picture

HOSTILE = "<script>alert('x')</script>\"&$\\frac{\ud800"


class Reader(HTMLParser):
    """Collects elements and checks that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.sources: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "img", "hr"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    @property
    def finished(self) -> bool:
        return not self._open


def read(report: Path) -> tuple[str, Reader]:
    text = report.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert reader.finished
    return text, reader


def plots(run: Path) -> set[str]:
    return {path.name for path in (run / PLOTS).iterdir()}


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a short training with its report."""
    events = simulate(150, lambda t: min(0.9, t / 80))
    passes = [{"timestep": t, "episodes": 100, "successes": t} for t in range(10, 101, 10)]
    run = write_run(tmp_path_factory.mktemp("reported") / "run", events, evaluations=passes)
    write_finals(run, [(20.0, 30.0)], side=130)
    assert write_report(str(run)) == run / "report.html"
    return run


def test_a_training_gets_all_its_figures(reported: Path) -> None:
    assert plots(reported) == {
        "learning.png",
        "actions.png",
        "paths.png",
        "finals.png",
        "errors.png",
    }
    for path in (reported / PLOTS).iterdir():
        with Image.open(path) as image:
            assert min(image.size) > 200
    text, _ = read(reported / "report.html")
    assert "sac" in text
    assert "Fig. 2" in text


def test_an_evaluation_gets_all_its_figures(evaluated: Path) -> None:
    write_report(evaluated)
    assert plots(evaluated) == {"steps.png", "actions.png", "paths.png", "finals.png", "errors.png"}


def test_a_single_run_gets_all_its_figures(tmp_path: Path) -> None:
    events = simulate(999, lambda _: 0.95, episodes=1)
    every = {"every": 1, "ends": False}
    run = write_run(tmp_path / "run", events, command="run", frames=every)
    write_finals(run, [(10.0, 30.0)], side=130)
    (run / "frames").mkdir()
    for k in range(3):
        save(run / "frames" / f"e00000_k{k:04d}.npy", frame((k, k), side=130))
    write_report(run)
    assert plots(run) == {"approach.png", "paths.png", "finals.png", "animation.gif"}


def test_the_page_needs_nothing_but_itself(reported: Path) -> None:
    text, reader = read(reported / "report.html")
    assert "http" not in text
    assert "url(" not in text
    assert "script" not in reader.names
    assert "link" not in reader.names
    assert len(reader.sources) == 5
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)


def test_embedded_pictures_are_the_files(reported: Path) -> None:
    _, reader = read(reported / "report.html")
    embedded = {base64.b64decode(source.partition(",")[2]) for source in reader.sources}
    assert embedded == {path.read_bytes() for path in (reported / PLOTS).iterdir()}


def test_large_pictures_are_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run", simulate(999, lambda _: 0.9, episodes=1), command="run")
    monkeypatch.setattr(page, "LARGEST_EMBEDDED", 100)
    _, reader = read(write_report(run))
    assert all((run / source).is_file() for source in reader.sources)


def hostile_run(folder: Path) -> Path:
    events = simulate(40, lambda _: 0.9)
    run = write_run(
        folder,
        events,
        command="run",
        episodes=3,
        status=HOSTILE,
        reason=HOSTILE,
        task=HOSTILE,
        backend=HOSTILE,
        agent=HOSTILE,
        plugins={HOSTILE: HOSTILE},
        settings={HOSTILE: {HOSTILE: HOSTILE}},
        config={HOSTILE: {HOSTILE: [HOSTILE]}},
        parent=HOSTILE,
        kept_and_dropped=[HOSTILE],
        argv=[HOSTILE],
        identity={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        git_commit=HOSTILE,
        result={"outcome": HOSTILE, "success_rate": HOSTILE, "steps_mean": HOSTILE},
    )
    (run / "comparison.json").write_text('{"rows": [{"name": "</table><script>"}]}')
    return run


def test_names_and_values_cannot_become_html(tmp_path: Path) -> None:
    text, reader = read(write_report(hostile_run(tmp_path / "run")))
    assert "<script" not in text
    assert "script" not in reader.names
    assert "&lt;script&gt;alert(" in text


def test_outcomes_cannot_become_formulas(trained: Path) -> None:
    """Matplotlib would fail on the unbalanced braces of a text between dollars."""
    finals = trained / "finals.json"
    finals.write_text(finals.read_text().replace('"failure"', '"$\\\\frac{$"'))
    assert isinstance(finals_picture(gather(trained)), Picture)


def third_party_events() -> list[dict[str, Any]]:
    events = simulate(60, lambda _: 0.9, truth=False)
    for line in events:
        line["summary"] = {"contrast": 0.25, "note": "x"}
        if line["k"]:
            line["action"] = line["t"] % 3
    return events


@pytest.mark.parametrize("command", ["train", "run"])
def test_a_task_without_positions_gets_the_rest(tmp_path: Path, command: str) -> None:
    run = write_run(
        tmp_path / "run", third_party_events(), command=command, episodes=5, task="stranger"
    )
    text, _ = read(write_report(run))
    assert "actions.png" in plots(run)
    assert "paths.png" not in plots(run)
    assert "two quantities of one unit" in text
    assert "a better and a worse" in text
    assert "21.4" not in text


@pytest.mark.parametrize("command", ["train", "run", "relearn"])
@pytest.mark.parametrize("episodes", [None, 7])
@pytest.mark.parametrize("status", ["failed", "interrupted", "running", "starting"])
def test_runs_that_recorded_nothing_have_a_report(
    tmp_path: Path, command: str, episodes: int | None, status: str
) -> None:
    run = write_run(
        tmp_path / "run",
        [],
        command=command,
        episodes=episodes,
        status=status,
        reason="BackendError: <gone>",
    )
    (run / "events.jsonl").unlink()
    text, _ = read(write_report(run))
    assert status in text
    assert "&lt;gone&gt;" in text
    assert plots(run) == set()


@pytest.mark.parametrize("command", ["train", "run"])
@pytest.mark.parametrize("episodes", [None, 7])
def test_runs_that_only_began_have_a_report(
    tmp_path: Path, command: str, episodes: int | None
) -> None:
    run = write_run(
        tmp_path / "run", [event(0, 0, 0, (10, 10))], command=command, episodes=episodes
    )
    read(write_report(run))


def test_runs_that_ended_in_their_first_episode_have_a_report(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", simulate(4, lambda _: 0.0), status="interrupted")
    text, _ = read(write_report(run))
    assert "no episode was completed" in text
    assert "paths.png" in plots(run)


def test_relearning_says_what_it_kept(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run",
        simulate(30, lambda _: 0.9),
        command="relearn",
        parent="runs/first",
        kept_and_dropped=["kept the networks", "dropped the replay buffer"],
    )
    text, _ = read(write_report(run))
    for said in ("runs/first", "kept the networks", "dropped the replay buffer"):
        assert said in text


def test_the_page_says_how_to_do_it_again(reported: Path) -> None:
    text, _ = read(reported / "report.html")
    assert "stempilot train bf-disk-centering --agent sac --seed 3" in text
    assert "0123456789abcdef0123456789abcdef01234567" in text
    row = re.search(r"<td>task\.binning</td><td>4</td><td>(.*?)</td>", text)
    assert row is not None
    assert row[1] == "set"


def test_a_report_can_be_written_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", simulate(999, lambda _: 0.9, episodes=1), command="run")
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="is this a run directory"):
        write_report(tmp_path)


def test_nothing_heavy_and_no_global_figure_is_imported() -> None:
    code = (
        "import sys, stempilot.report\n"
        "bad = {'torch', 'stable_baselines3', 'matplotlib.pyplot', 'stempilot_tasks'}\n"
        "sys.exit(', '.join(bad & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_largest_usual_training_is_drawn_in_ten_seconds_of_work(tmp_path: Path) -> None:
    import time

    from tests.core.report.toy import learned

    run = write_run(tmp_path / "run", simulate(20_000, learned))
    write_finals(run, [(0, 0)] * 12)
    begun = time.process_time()
    write_report(run)
    assert time.process_time() - begun < 10
