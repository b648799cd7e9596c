"""The report of a workflow: its steps in order, with what each handed on and saw at its end."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from stempilot.errors import StempilotError
from stempilot.record.run_dir import REPORT, read_checked
from stempilot.report.loading import gather
from stempilot.report.markup import Html, html, table, tag
from stempilot.report.page import document, figure
from stempilot.report.pictures import finals_picture
from stempilot.report.style import Picture
from stempilot.workflow.log import Line, read_log, run_of
from stempilot.workflow.plans import WORKFLOW, WorkflowRecord

MOST_SHOWN = 24
"""Of so many tries, the last ones, the report has pictures."""

_COLOURS = {"done": "good", "failed": "bad", "stopped": "bad"}


@frozen
class _Try:
    """A try of a step: its first line and, if it ended, its last."""

    begun: Line
    ended: Line

    @property
    def number(self) -> str:
        return str(self.begun.get("n", ""))


def workflow_page(folder: Path, write_report: Callable[[Path], Path]) -> str:
    """Return the report of a workflow; the runs of its last tries get reports of their own.

    Args:
        folder: the run directory of the whole.
        write_report: writes the report of a run.

    Raises:
        RunDirError: a file of the workflow is damaged.
    """
    record, lines = read_checked(folder / WORKFLOW, WorkflowRecord), read_log(folder)
    ends = {line.get("n"): line for line in lines if line["event"] != "began"}
    tries = [
        _Try(line, ends.get(line.get("n"), {"event": "killed"}))
        for line in lines
        if line["event"] == "began"
    ]
    return document(
        f"workflow {record.workflow}",
        _header(record),
        tag("section", tag("h2", "Steps"), _overview(tries)),
        *(_section(folder, each, write_report) for each in tries[-MOST_SHOWN:]),
    )


def _header(record: WorkflowRecord) -> Html:
    return tag(
        "header",
        tag("div", "stempilot workflow", class_="eyebrow"),
        tag("h1", record.workflow),
        tag("p", f"On {record.backend}, seed {record.seed}", class_="lead"),
        tag("p", _badge(record.status, record.reason)),
    )


def _badge(status: str, reason: str = "") -> Html:
    shown = tag("span", status, class_=f"badge {_COLOURS.get(status, 'unsure')}")
    return html(shown, tag("span", reason, class_="reason")) if reason else shown


def _overview(tries: list[_Try]) -> Html:
    rows = [
        (
            each.number,
            str(each.begun.get("step")),
            str(each.begun.get("at", ""))[:19].replace("T", " "),
            each.ended["event"],
            str(each.ended.get("then", "")),
        )
        for each in tries
    ]
    return table(("try", "step", "began (UTC)", "ended", "then"), rows)


def _section(folder: Path, each: _Try, write_report: Callable[[Path], Path]) -> Html:
    parts: list[str] = [
        tag("h2", f"{each.number}. {each.begun.get('step')}"),
        tag("p", _badge(each.ended["event"], str(each.ended.get("reason", "")))),
    ]
    parts += _numbers("option", each.begun.get("values"))
    parts += _products(each.ended.get("products"))
    parts += _numbers("read back", each.ended.get("read_back"))
    unread = each.ended.get("not_read")
    if isinstance(unread, list) and unread:
        parts.append(tag("p", f"Could not be read back: {', '.join(map(str, unread))}."))
    run = run_of(folder, each.begun)
    return tag("section", *parts, *([] if run is None else _run(folder, run, write_report)))


def _numbers(what: str, values: Any) -> list[str]:
    if not isinstance(values, Mapping) or not values:
        return []
    return [table((what, "value"), [(str(name), str(value)) for name, value in values.items()])]


def _products(products: Any) -> list[str]:
    if not isinstance(products, Mapping) or not products:
        return []
    rows = [
        (str(name), *(_shown(one.get(key)) for key in ("value", "uncertainty", "unit")))
        for name, one in products.items()
        if isinstance(one, Mapping)
    ]
    return [table(("product", "value", "standard uncertainty", "unit"), rows)]


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _run(folder: Path, run: Path, write_report: Callable[[Path], Path]) -> list[str]:
    """Return the last frame of a run and the way to its report, as far as there are any."""
    try:
        picture = finals_picture(gather(run))
        if not (run / REPORT).exists():
            write_report(run)
    except StempilotError as error:
        return [tag("p", f"Its run has no report: {error}")]
    link = (run / REPORT).relative_to(folder).as_posix()
    shown = [figure(picture)] if isinstance(picture, Picture) else []
    return [*shown, tag("p", tag("a", "Report of this step", href=link))]
