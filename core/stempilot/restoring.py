"""Puts an instrument back after a run that could not do so itself, for example a power cut."""

from pathlib import Path
from typing import Any

from stempilot.backend import Opening
from stempilot.compose import part
from stempilot.envelope import GuardedBackend
from stempilot.envelope_file import parse_envelope
from stempilot.errors import RunDirError
from stempilot.model import KnobSpec, as_reading
from stempilot.registry import Registry
from stempilot.rundir import BASELINE, RunDir, read_json
from stempilot.savepoint import put_back


def restore(registry: Registry, run: Path, *, dry_run: bool = False) -> dict[str, Any]:
    """Ramp every knob back to where it stood before the run's first write, and verify it.

    Args:
        registry: what is installed.
        run: the run directory.
        dry_run: only read where the knobs stand.

    Returns:
        The run directory and, per knob, what it read ``before`` and what it reads ``now``.

    Raises:
        RunDirError: the run never got as far as a baseline.
        BackendError: the instrument cannot be reached.
        RestoreError: a knob is not back.
    """
    directory = RunDir.open(run)
    record = directory.record()
    if not (run / BASELINE).exists():
        msg = f"{run} has no baseline: it never moved anything, so there is nothing to put back"
        raise RunDirError(msg)
    knobs = read_json(run / BASELINE)["knobs"]
    baseline = {knob: as_reading(value) for knob, value in knobs.items()}
    made = part(registry, "backend", record["backend"], record["settings"].get("backend", {}))
    backend = made.plugin.load(made.config, Opening(purpose="run", seed=record["seed"]))
    with backend:
        guard = GuardedBackend(backend, _limits(record, backend.capabilities().knobs, baseline))
        before = {knob: backend.read(knob) for knob in baseline}
        if not dry_run:
            put_back(guard, baseline, may_park=False)
        now = {knob: backend.read(knob) for knob in baseline}
    if not dry_run:
        directory.update_record(status="restored")
    return {
        "run_dir": str(run),
        "knobs": {k: {"before": list(before[k]), "now": list(now[k])} for k in baseline},
    }


def _limits(record: dict[str, Any], offered: Any, baseline: Any) -> dict[str, KnobSpec]:
    """Return the limits to ramp within: the narrower of the backend's and the run's envelope."""
    rows = {}
    if record.get("envelope"):
        rows = dict(parse_envelope(record["envelope"], "record.json").knobs)
    return {knob: rows[knob].spec if knob in rows else offered[knob] for knob in baseline}
