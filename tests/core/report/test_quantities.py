"""A report shows the quantities that a task declares, whatever they are."""

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.core.report.toy import event, frame, save, simulate, write_finals, write_run

from stempilot.contract.goals import Quantity
from stempilot.record.recorder import shrink
from stempilot.report import PLOTS, write_report
from stempilot.report.loading import gather
from stempilot.report.paths import paths_picture
from stempilot.report.pictures import finals_picture
from stempilot.report.rise import rise_picture
from stempilot.report.series import series
from stempilot.report.shown import Shown
from stempilot.report.style import Picture

SHARPNESS = {"name": "sharpness", "unit": "", "better": "higher", "symbol": "", "error": ""}
DEFOCUS = {"name": "defocus_m", "unit": "m", "better": "neither", "symbol": "f", "error": ""}
RAISES = {"goal": "raise", "quantities": [SHARPNESS, DEFOCUS]}


def climbs(episodes: int = 3, *, steps: int = 8) -> list[dict[str, Any]]:
    """Return episodes that raise a sharpness past its best place and come back to it."""
    events = []
    for e in range(episodes):
        for k in range(steps + 1):
            away = (steps - 1.5 * k) if k < steps else 0.0
            last = k == steps
            outcome = "success" if last else "running"
            line = event(e, k, e * steps + k, (0, 0), action=[0.5], reward=1.0, outcome=outcome)
            line["summary"] = {"sharpness": math.exp(-(away**2) / 20) - 0.01 * e, "defocus_m": away}
            events.append(line)
    return events


def plots(run: Path) -> set[str]:
    write_report(run)
    return {path.name for path in (run / PLOTS).iterdir()}


@pytest.mark.parametrize(
    ("command", "episodes", "drawn"),
    [
        ("train", None, {"rise.png", "learning.png", "actions.png"}),
        ("run", 3, {"rise.png", "steps.png", "actions.png"}),
        ("run", None, {"approach.png"}),
    ],
)
def test_a_maximiser_shows_its_curve(
    tmp_path: Path, command: str, episodes: int | None, drawn: set[str]
) -> None:
    run = write_run(tmp_path / "run", climbs(), command=command, episodes=episodes, **RAISES)
    assert plots(run) == drawn
    text = (run / "report.html").read_text()
    assert ("sharpness at the end" in text) is (command == "run")
    assert "paper gives" not in text
    assert "Fig." not in text


def test_the_curve_shows_the_data(tmp_path: Path) -> None:
    pictures = []
    for steps in (8, 9):
        run = write_run(tmp_path / str(steps), climbs(steps=steps), **RAISES)
        picture = rise_picture(gather(run))
        assert isinstance(picture, Picture)
        pictures.append(picture.content)
    assert pictures[0] != pictures[1]


def test_a_maximiser_without_its_quantity_says_so(tmp_path: Path) -> None:
    events = climbs()
    for line in events:
        line["summary"] = {}
    assert "Rise:" in str(rise_picture(gather(write_run(tmp_path / "run", events, **RAISES))))


def test_a_maximiser_converges_by_its_reward(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", climbs(), **RAISES)
    write_report(run)
    text = (run / "report.html").read_text()
    assert "timesteps; from there the average reward stays above 0" in text
    assert "96 % succeed" not in text


def test_what_is_shown_are_the_first_quantities_that_will_do() -> None:
    names = [Quantity(name="a", unit="m"), Quantity(name="b"), Quantity(name="c", better="lower")]
    more = [Quantity(name="d", better="higher"), Quantity(name="e"), Quantity(name="f", unit="m")]
    shown = Shown.of([*names, *more])
    assert shown.main is not None
    assert (shown.main.name, shown.main.symbol) == ("c", "c")
    assert not shown.rises
    assert shown.plane is not None
    assert [quantity.name for quantity in shown.plane] == ["a", "f"]
    assert not shown.on_camera
    assert Shown.of(()) == Shown(main=None, plane=None)


def stigmators(folder: Path) -> Path:
    events = simulate(60, lambda _: 0.9)
    for line in events:
        old = line["summary"]
        line["summary"] = {"a_nm": old["x_px"], "b_nm": old["y_px"] + 900.0, "da_nm": old["dx_px"]}
    quantities = [{"name": "a_nm", "unit": "nm"}, {"name": "b_nm", "unit": "nm"}]
    return write_run(folder, events, command="run", episodes=9, quantities=quantities)


def test_any_two_quantities_of_a_unit_are_a_plane(tmp_path: Path) -> None:
    found = gather(stigmators(tmp_path / "run"))
    picture = paths_picture(found)
    assert isinstance(picture, Picture)
    assert "a nm and b nm" in picture.caption
    assert "paper" not in picture.caption
    assert np.isnan(found.series.true).all()
    assert not found.series.as_in_paper


def test_the_goal_is_where_the_summary_says_how_far_it_is() -> None:
    line = event(0, 0, 0, (0, 0))
    line["summary"] = {"u": 5.0, "v": 1.0, "du": 2.0, "dv": -3.0}
    found = series([line], [Quantity(name="u"), Quantity(name="v")])
    assert found.goal.tolist() == [[3.0, 4.0]]


def test_names_of_quantities_cannot_become_formulas_or_html(tmp_path: Path) -> None:
    hostile = "<script>$\\frac{\ud800"
    quantities = [
        {"name": name, "unit": hostile, "better": better, "symbol": hostile}
        for name, better in (("distance_px", "higher"), ("x_px", "neither"), ("y_px", "neither"))
    ]
    for command, episodes in (("train", None), ("run", 3), ("run", None)):
        run = write_run(
            tmp_path / f"{command}{episodes}",
            simulate(60, lambda _: 0.9),
            command=command,
            episodes=episodes,
            quantities=quantities,
        )
        assert "paths.png" in plots(run)
        assert "<script" not in (run / "report.html").read_text()


def two_cameras(folder: Path, episodes: int) -> Path:
    run = write_run(folder, simulate(99, lambda _: 0.9), command="run", episodes=9)
    write_finals(run, [(0.0, 10.0 * n) for n in range(episodes)], side=130)
    wide = np.stack([shrink(frame((0, 0), side=130)[:60]) for _ in range(episodes)])
    save(run / "finals_1.npy", wide)
    path = run / "finals.json"
    first = json.loads(path.read_text())["finals"]
    second = [{**final, "source": "$wide\ud800", "marks": {}} for final in first]
    path.write_text(json.dumps({"schema": 1, "finals": [*first, *second]}))
    return run


@pytest.mark.parametrize("episodes", [1, 3, 5])
def test_final_pictures_of_each_camera_are_drawn(tmp_path: Path, episodes: int) -> None:
    found = gather(two_cameras(tmp_path / "run", episodes))
    assert [final.source for final in found.finals] == [""] * episodes + ["$wide\ud800"] * episodes
    assert found.finals[-1].pixels.shape == (60, 130)
    assert found.field_px == (130, 130), "that of the first camera"
    picture = finals_picture(found)
    assert isinstance(picture, Picture)
    assert "on each camera" in picture.caption
    with Image.open(io.BytesIO(picture.content)) as image:
        assert min(image.size) > 200


def test_products_are_cards(tmp_path: Path) -> None:
    products = {"best focus": {"value": 1.5, "unit": "nm", "uncertainty": 0.25}, "odd": 3}
    run = write_run(
        tmp_path / "run",
        simulate(9, lambda _: 0.9),
        command="run",
        result={"outcome": "success", "products": products},
    )
    write_report(run)
    text = (run / "report.html").read_text()
    assert "best focus" in text
    assert "1.50 nm" in text
    assert "± 0.25" in text
