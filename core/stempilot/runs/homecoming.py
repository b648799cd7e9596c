"""Where a task sees what it works on before the first write, and again once the knobs are back.

That every knob reads what it did is promised; that the column stands where it did is not, because
of hysteresis. So the two are compared, and the difference is told.
"""

import logging
import math

from stempilot.contract.task import Drawable
from stempilot.errors import StempilotError
from stempilot.runs.job import Job

Place = tuple[float, float]
"""(x, y) in pixels of the frame."""

FROM_START_PX = "from_start_px"
"""The figure of a result: how far the two places are from each other."""

_log = logging.getLogger(__name__)


def place_seen(job: Job) -> Place | None:
    """Return where the task sees what it works on; ``None`` where it sees or draws nothing.

    Simulated instruments are not looked at: a frame more would change what they draw.

    Raises:
        BackendError: the instrument failed.
    """
    simulated = job.session.backend.offers().simulated
    if simulated or not isinstance(job.task, Drawable) or not job.task.needs.sources:
        return None
    state, seen = job.session.env(job.task, plain=True).look()
    return job.task.marks(state).get("found") if seen else None


def come_home(job: Job, first: Place | None) -> dict[str, float]:
    """Put the knobs back, and return how far from its first place what the task sees is then.

    Returns:
        The figure under its name; nothing where it is not known.

    Raises:
        RestoreError: a knob is not back.
    """
    job.session.put_back()
    if first is None:
        return {}
    try:
        last = place_seen(job)
    except StempilotError as error:
        _log.warning("no last frame was taken: %s", error)
        return {}
    if last is None:
        job.log("the knobs are back, but the last frame does not show what the first one did")
        return {}
    return {FROM_START_PX: math.dist(first, last)}
