"""How a run ends: whether the knobs are put back at once, and what its record says of it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from stempilot.errors import RestoreError, StempilotError
from stempilot.record.run_dir import RunDir
from stempilot.runs.job import Job


def leave(job: Job, *, success: bool = True, interrupted: bool = False) -> None:
    """Put the knobs back before anything else is done, where they must not stay.

    They must not stay where a task that failed brought them, even where its result was to be kept.
    And whoever presses Ctrl-C waits for the knobs, not for files. All else is the session's.
    """
    if not success or (interrupted and not job.plan.keeps):
        job.session.put_back()


@contextmanager
def ending(run: RunDir) -> Iterator[dict[str, Any]]:
    """Note in the record how a run ends.

    Yields:
        The result of the run, to be filled in.
    """
    result: dict[str, Any] = {}
    try:
        yield result
    except BaseException as error:
        # The disk that failed the run may refuse this note too; the first error matters more.
        with suppress(StempilotError):
            _note_raised(run, error)
        raise
    status = "interrupted" if result.get("interrupted") else "done"
    run.update_record(status=status, displaced=False)


def _note_raised(run: RunDir, error: BaseException) -> None:
    if isinstance(error, KeyboardInterrupt):
        run.update_record(status="interrupted", reason=None, displaced=False)
    else:
        # A run that was refused because of another one before it has moved nothing.
        displaced = isinstance(error, RestoreError) and run.record().displaced
        reason = f"{type(error).__name__}: {error}"
        run.update_record(status="failed", reason=reason, displaced=displaced)
