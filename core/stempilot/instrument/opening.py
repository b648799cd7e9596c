"""Opens an instrument, and is the only module that does.

Fit, envelope and calibration come first, then the lock, then the instrument: its states, where its
knobs stand, and what may be written.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from stempilot.contract.backend import Backend
from stempilot.contract.values import KnobNeed, KnobValue, Needs, Offers
from stempilot.errors import EnvelopeError, IncompatibleError, RecordError, RunDirError
from stempilot.instrument.asleep import sleep_told
from stempilot.instrument.audit import AuditFile
from stempilot.instrument.checks import as_allowed, read_back
from stempilot.instrument.envelope import (
    Envelope,
    check_calibration,
    effective_limits,
    open_envelope,
)
from stempilot.instrument.fit import check_states, mismatches
from stempilot.instrument.guard import GuardedBackend
from stempilot.instrument.lock import instrument_lock
from stempilot.instrument.signals import interrupts_once
from stempilot.instrument.unfinished import Ask, decline, require_finished

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Instrument:
    """An opened instrument behind its limits.

    Attributes:
        backend: the opened backend. Write through `guard`, never through this.
        guard: the backend behind its limits.
        baseline: where the knobs stand, or where they are to be put back to.
        envelope: what the site allows.
    """

    backend: Backend
    guard: GuardedBackend
    baseline: Mapping[str, KnobValue]
    envelope: Envelope


def combined_needs(needs: Sequence[Needs]) -> Needs:
    """Return the needs of several tasks together; of steps of one knob the largest.

    Raises:
        IncompatibleError: two tasks need the instrument in different states.
    """
    knobs: dict[str, KnobNeed] = {}
    states: dict[str, str] = {}
    for each in needs:
        for name, need in each.knobs.items():
            other = knobs.get(name, need)
            largest = tuple(map(max, need.largest_step, other.largest_step))
            knobs[name] = evolve(need, largest_step=largest)
        for name, value in each.states.items():
            if states.setdefault(name, value) != value:
                problem = f"one task needs {name} = {states[name]}, another {name} = {value}"
                raise IncompatibleError([problem])
    sources = dict.fromkeys(source for each in needs for source in each.sources)
    numbers = {name: unit for each in needs for name, unit in each.numbers.items()}
    return Needs(knobs=knobs, sources=tuple(sources), states=states, numbers=numbers)


def require_envelope(envelope: Envelope | None, offers: Offers, name: str) -> Envelope:
    """Return the envelope to use; a simulator may do without a file.

    Raises:
        EnvelopeError: none for a real instrument, or one written for another backend.
    """
    if envelope is None:
        if not offers.simulated:
            msg = (
                f"{name} moves a real instrument and needs an envelope; write one with "
                f"`stempilot envelope init --backend {name} --out envelope.toml`, check it, "
                "and pass it with --envelope envelope.toml"
            )
            raise EnvelopeError(msg)
        return open_envelope(name, offers)
    if envelope.backend != name:
        msg = f"this envelope was written for {envelope.backend}, not for {name}"
        raise EnvelopeError(msg)
    return envelope


@contextlib.contextmanager
def open_instrument(
    backend: Backend,
    needs: Sequence[tuple[str, Needs]],
    *,
    name: str,
    envelope: Envelope | None,
    baseline: Mapping[str, KnobValue] | None = None,
    run_dir: Path | None = None,
    locks: bool = True,
    accept_position: bool = False,
    ask: Ask = decline,
    any_state: bool = False,
) -> Iterator[Instrument]:
    """Open a backend with nothing written, and close it when the block ends.

    Args:
        backend: a backend that is not open yet.
        needs: who needs what.
        name: the backend's name, for messages and to compare with the envelope's.
        envelope: what the site allows; simulators may do without.
        baseline: where to put the knobs back to, after a run that could not. Neither a calibration
            nor an audit that cannot be written prevents that.
        run_dir: an existing folder for the audit of all writes; there is none without.
        locks: keep all others away.
        accept_position: begin where the knobs stand, also where a run before left them displaced.
        ask: asked whether this is another instrument than that of such a run.
        any_state: whoever uses the instrument checks its states later.

    Raises:
        IncompatibleError: the backend does not offer what is needed.
        EnvelopeError: the envelope excludes the start or what is needed.
        InstrumentBusyError: another run drives the instrument.
        BackendError: the instrument failed or is not ready.
        RestoreError: a run before left it displaced.
        RecordError: the audit cannot be written.
    """
    offers = backend.offers()
    problems = [p for who, need in needs for p in mismatches(need, offers, task=who, backend=name)]
    if problems:
        raise IncompatibleError(list(dict.fromkeys(problems)))
    envelope = require_envelope(envelope, offers, name)
    together = combined_needs([evolve(need, states={}) if any_state else need for _, need in needs])
    if baseline is None:
        check_calibration(envelope, offers, name)
    else:
        # What must not be gone back to is refused before the instrument is touched.
        effective_limits(envelope, offers, together, baseline)
    lock = instrument_lock(backend, name, run_dir=run_dir) if locks else contextlib.nullcontext()
    with interrupts_once(), lock, sleep_told(), contextlib.ExitStack() as recorded, backend:
        if baseline is None:
            require_finished(backend, name, accept=accept_position, ask=ask)
        check_states(together, {state: backend.state(state) for state in together.states})
        standing = None if baseline is not None else read_all(backend, together, offers)
        baseline = standing or baseline or {}
        limits = effective_limits(envelope, offers, together, baseline)
        baseline = {knob: as_allowed(baseline[knob], spec) for knob, spec in limits.items()}
        audit = audited(run_dir, ahead=not offers.simulated, must=standing is not None)
        guard = GuardedBackend(
            backend,
            limits,
            writes_per_s=envelope.writes_per_s,
            max_writes=envelope.max_writes,
            standing=standing,
            audit=recorded.enter_context(audit),
            pixel_mrad=envelope.pixel_mrad,
            approaches={k: row.approach for k, row in envelope.knobs.items() if row.approach},
        )
        yield Instrument(backend=backend, guard=guard, baseline=baseline, envelope=envelope)


@contextlib.contextmanager
def look_at(backend: Backend, name: str) -> Iterator[Backend]:
    """Open a backend only to read it: no envelope is needed, for nothing is written.

    Args:
        backend: a backend that is not open yet.
        name: its name, for messages.

    Raises:
        InstrumentBusyError: a run drives the instrument; it is not disturbed.
        BackendError: the instrument failed or is not ready.
    """
    with instrument_lock(backend, name), sleep_told(), backend:
        yield backend


def read_all(backend: Backend, needs: Needs, offers: Offers) -> dict[str, KnobValue]:
    """Return where all knobs stand that are needed; raises as `read_back`."""
    return {knob: read_back(backend, knob, offers.knobs[knob]) for knob in needs.knobs}


@contextlib.contextmanager
def audited(run_dir: Path | None, *, ahead: bool, must: bool = True) -> Iterator[AuditFile | None]:
    """Open the audit of a run directory, if there is one; where it must not be, it may fail to.

    Raises:
        RecordError: it cannot be written, and must be.
    """
    if run_dir is None:
        yield None
        return
    try:
        audit = AuditFile(run_dir, ahead=ahead)
    except (RecordError, RunDirError) as error:
        if must:
            raise
        _log.warning("putting back without an audit: %s", error)
        yield None
        return
    with audit:
        yield audit
