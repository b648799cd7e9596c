"""The report of a run: one HTML file with its figures, read from the run directory alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

from stempilot.errors import StempilotError
from stempilot.files import own_folder, write_file
from stempilot.record.run_dir import REPORT
from stempilot.report import plain  # first: it imports matplotlib
from stempilot.report.accuracy import accuracy_picture
from stempilot.report.actions import actions_picture
from stempilot.report.animation import animation_picture
from stempilot.report.evidence import Evidence, Kind
from stempilot.report.learning import approach_picture, learning_picture, steps_picture
from stempilot.report.loading import gather
from stempilot.report.page import whole_page
from stempilot.report.paths import paths_picture
from stempilot.report.pictures import finals_picture
from stempilot.report.rise import rise_picture
from stempilot.report.style import Picture
from stempilot.report.workflow import workflow_page
from stempilot.workflow.recorded import is_workflow

__all__ = ["PLOTS", "write_report"]

PLOTS = "plots"
"""Folder of the figures in a run directory."""

_Draw = Callable[[Evidence], Picture | str]
_DRAWN: dict[Kind, Sequence[_Draw]] = {
    "training": (
        learning_picture,
        actions_picture,
        paths_picture,
        finals_picture,
        accuracy_picture,
    ),
    "evaluation": (
        steps_picture,
        paths_picture,
        finals_picture,
        accuracy_picture,
        actions_picture,
    ),
    "plain": (approach_picture, paths_picture, finals_picture),
}


def write_report(run: str | Path) -> Path:
    """Write ``report.html`` and the figures in ``plots/`` of a run directory, or of a workflow's.

    The page is one file that opens offline. What a task or a backend does not tell is left out
    and named as such; so is what an interrupted or failed run did not get to, and a picture that
    could not be drawn. What the user has set for matplotlib changes nothing.

    Args:
        run: the run directory.

    Returns:
        The page.

    Raises:
        RunDirError: there is no record, or a file that is there is damaged.
        RecordError: the disk refused.
    """
    run = Path(run)
    if is_workflow(run):
        with plain.defaults():
            page = workflow_page(run, write_report)
        write_file(run / REPORT, page.encode(errors="replace"))
        return run / REPORT
    evidence = gather(run)
    draws = [*_DRAWN[evidence.kind], animation_picture]
    if evidence.series.shown.rises:
        draws = [rise_picture if draw is accuracy_picture else draw for draw in draws]
    with plain.defaults():
        drawn = [_drawn(draw, evidence) for draw in draws]
    pictures = [picture for picture in drawn if isinstance(picture, Picture)]
    plots = own_folder(run / PLOTS)
    for picture in pictures:
        write_file(plots / picture.name, picture.content)
    reasons = [reason for reason in drawn if isinstance(reason, str)]
    write_file(run / REPORT, whole_page(evidence, pictures, reasons).encode(errors="replace"))
    return run / REPORT


def _drawn(draw: _Draw, evidence: Evidence) -> Picture | str:
    """Return a picture, or why there is none: fonts and libraries of a machine may fail one."""
    try:
        return draw(evidence)
    except StempilotError:
        raise
    except Exception as error:  # noqa: BLE001 - all else of the report is worth having
        name = draw.__name__.removesuffix("_picture")
        return f"{name.capitalize()}: could not be drawn: {type(error).__name__}: {error}"
