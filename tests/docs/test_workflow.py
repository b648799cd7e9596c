"""What the page on workflows shows can be read and run."""

import re
from pathlib import Path

import pytest

from stempilot.plugins.registry import discover
from stempilot.workflow.file import read_workflow
from stempilot.workflow.plans import check_workflow, plan_workflow
from stempilot.workflow.steps import OperatorStep, Step

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to-workflow.md"


def test_the_file_on_the_page_passes_its_check(tmp_path: Path) -> None:
    (file,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    (tmp_path / "steps.toml").write_text(file, encoding="utf-8")
    workflow = read_workflow(tmp_path / "steps.toml")
    assert len(check_workflow(plan_workflow(discover(), workflow))) == 3


def test_the_page_names_every_key() -> None:
    keys = {name for kind in (Step, OperatorStep) for name in kind.__annotations__}
    named = set(re.findall(r"`(\w+)`", PAGE.read_text("utf-8")))
    assert keys - named == set()


def test_the_script_of_the_page_goes_through_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    exec(script, {})  # noqa: S102 - our own page
    assert capsys.readouterr().out.startswith("True  ['began', 'done', 'began', 'done']")
