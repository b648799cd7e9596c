"""Puts an instrument back after a run that could not do so itself, for example a power cut."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stempilot.contract.backend import Opening
from stempilot.contract.values import KnobNeed, KnobValue, Needs, Offers, as_knob_value
from stempilot.errors import RecordError, RunDirError
from stempilot.instrument.envelope import open_envelope
from stempilot.instrument.opening import open_instrument
from stempilot.instrument.putting_back import put_back
from stempilot.instrument.unfinished import Ask, decline, require_same, unmark
from stempilot.plugins.parts import part
from stempilot.plugins.registry import Registry
from stempilot.record.owner import owned
from stempilot.record.run_dir import BASELINE, RunDir

_log = logging.getLogger(__name__)


def restore(
    registry: Registry, run: str | Path, *, dry_run: bool = False, ask: Ask = decline
) -> dict[str, Any]:
    """Ramp every knob back to where it stood before the run's first write, and verify it.

    Args:
        registry: what is installed.
        run: the run directory.
        dry_run: only read where the knobs stand.
        ask: asked where this is not known to be the instrument of the run.

    Returns:
        The run directory and, per knob, what it read ``before``, what it reads ``now`` and the
        ``baseline`` that it belongs to.

    Raises:
        RunDirError: the run never got as far as a baseline, that is damaged, or a run writes into
            the folder; what else is damaged changes nothing.
        EnvelopeError: the baseline lies outside of what the run was allowed; nothing was sent.
        InstrumentBusyError: a run drives the instrument, perhaps this very one.
        BackendError: the instrument cannot be reached, or is another one.
        RestoreError: a knob is not back.
    """
    directory = RunDir(Path(run))
    run = directory.path
    saved = directory.way_back()
    baseline = {knob: as_knob_value(value) for knob, value in saved.knobs.items()}
    made = part(registry, "backend", saved.backend or "", saved.settings)
    backend = made.load(Opening(purpose="restore", seed=saved.seed))
    offers = backend.offers()
    envelope = saved.allowed() or open_envelope(made.name, offers)
    with open_instrument(
        backend,
        [("the baseline", _needs(run, baseline, offers))],
        name=made.name,
        envelope=envelope,
        baseline=baseline,
        run_dir=None if dry_run else run,
        locks=not dry_run,
    ) as instrument:
        guard = instrument.guard
        if not dry_run:
            require_same(directory.identity(), backend, run, ask)
        before = {knob: guard.read(knob) for knob in baseline}
        if not dry_run:
            with owned(run, must=False):
                put_back(guard, baseline, may_park=envelope.may_park)
            unmark(run)
        now = {knob: guard.read(knob) for knob in baseline}
    if not dry_run:
        _note_restored(directory)
    return {
        "run_dir": str(run),
        "knobs": {
            knob: {"before": list(before[knob]), "now": list(now[knob]), "baseline": list(value)}
            for knob, value in baseline.items()
        },
    }


def _note_restored(run: RunDir) -> None:
    """Note that the instrument is back; it is, also where the record is damaged."""
    try:
        run.update_record(status="restored", displaced=False)
    except (RecordError, RunDirError) as error:
        _log.warning("the instrument is back, which could not be noted in %s: %s", run.path, error)


def _needs(run: Path, baseline: Mapping[str, KnobValue], offers: Offers) -> Needs:
    """Return what putting back needs: the knobs of the baseline, in steps of any size."""
    knobs = {}
    for knob, value in baseline.items():
        spec = offers.knobs.get(knob)
        if spec is None or spec.size != len(value):
            msg = f"{run / BASELINE} says {knob} = {value}, which the backend has no such knob for"
            raise RunDirError(msg)
        knobs[knob] = KnobNeed(unit=spec.unit, size=spec.size, largest_step=(0.0,) * spec.size)
    return Needs(knobs=knobs)
