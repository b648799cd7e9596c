"""What ``stempilot doctor`` finds at a site: locks, runs, envelope and instrument."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stempilot.runs.machine import (
    Check,
    Finding,
    caches,
    clock,
    examine,
    packages,
    places,
    plugins,
    python,
)

Settings = Callable[[], Mapping[str, Mapping[str, Any]]]


def diagnose(
    *, runs: Path, envelope: Path | None, backend: str | None, settings: Settings
) -> list[Finding]:
    """Return what a machine and a site have of what runs need; nothing is moved.

    Args:
        runs: where run directories are made.
        envelope: the envelope file of the site.
        backend: opened to see whether it answers, and its cameras read once; ``None`` for none,
            and then no plug-in is imported.
        settings: reads the options, by section.
    """
    checks: list[tuple[str, Check]] = [
        ("python", python),
        ("packages", packages),
        ("plug-ins", plugins),
        ("places", lambda: places(runs)),
        ("caches", caches),
        ("clock", clock),
        ("locks", locks),
        ("unfinished", displaced),
        ("runs", lambda: unfinished(runs)),
    ]
    if envelope is not None:
        checks.append(("envelope", lambda: site_envelope(envelope, backend)))
    if backend is not None:
        checks.append(("instrument", lambda: instrument(backend, settings)))
    return examine(checks)


def locks() -> Iterator[Finding]:
    """Yield which instruments are in use on this computer, by whom, and who left one untidily."""
    from stempilot.instrument.lock import holder_said, is_held, lock_folder

    files = sorted(lock_folder().glob("*.lock"))
    held = 0
    for file in files:
        note = file.with_suffix(".json")
        said = f"{file.stem} {{}} {holder_said(note)}"
        if is_held(file, note):
            held += 1
            advice = "wait until that run has ended, or end it"
            yield Finding("locks", said.format("is in use"), "note", advice)
        elif note.exists():
            advice = "see where the knobs stand: stempilot restore RUN --dry-run"
            yield Finding("locks", said.format("is free; a run was killed,"), "note", advice)
    free = f"{len(files) - held} of {len(files)} known instruments are free"
    yield Finding("locks", free if files else "no real instrument has been opened here yet")


def displaced() -> Iterator[Finding]:
    """Yield which runs on this computer, wherever recorded, may have left an instrument displaced.

    The next run on that instrument would refuse to start.
    """
    from stempilot.instrument.lock import is_held
    from stempilot.instrument.unfinished import unfinished_runs
    from stempilot.record.owner import HOLDER, LOCK

    marks = unfinished_runs()
    if not marks:
        yield Finding("unfinished", "no run has left an instrument displaced")
    for each in marks:
        run, instrument = each.run_dir, ", ".join(f"{k} {v}" for k, v in each.identity.items())
        said = f"{run} did not put its instrument back ({instrument or 'unknown'})"
        if not run.is_dir():
            advice = "its folder is gone: see where the knobs stand, then begin --accept-position"
            yield Finding("unfinished", said, "problem", advice)
        elif not is_held(run / LOCK, run / HOLDER):
            yield Finding("unfinished", said, "problem", f"stempilot restore {run}")


def _told() -> set[Path]:
    """Return the runs that `displaced` tells of."""
    from stempilot.instrument.unfinished import unfinished_runs

    with contextlib.suppress(Exception):
        return {each.run_dir for each in unfinished_runs()}
    return set()


def unfinished(runs: Path) -> Iterator[Finding]:
    """Yield which runs below a folder are going on, and which ended without putting back.

    Args:
        runs: the folder; a run directory itself is looked at too.
    """
    from stempilot.instrument.lock import holder_said, is_held
    from stempilot.record.owner import HOLDER, LOCK
    from stempilot.record.record import RECORD
    from stempilot.record.run_dir import RunDir

    told = _told()
    found = [path.parent for path in sorted([*runs.glob(RECORD), *runs.glob(f"*/{RECORD}")])]
    for run in found:
        if is_held(run / LOCK, run / HOLDER):
            yield Finding("runs", f"{run} is in use {holder_said(run / HOLDER)}", "note")
            continue
        try:
            record = RunDir(run).record()
        except Exception as error:  # noqa: BLE001 - the others are looked at all the same
            yield Finding("runs", f"{run}: {error}", "note")
            continue
        if not record.must_be_restored or run.resolve() in told:
            continue
        if record.simulated:
            yield Finding("runs", f"{run} did not come to its end", "note")
        else:
            said = f"{run} ended without putting {record.backend} back ({record.status})"
            yield Finding("runs", said, "problem", f"stempilot restore {run}")
    yield Finding("runs", f"{len(found)} below {runs}")


def site_envelope(path: Path, backend: str | None) -> Iterator[Finding]:
    """Yield whether an envelope file can be used, and for which backend.

    Args:
        path: the file.
        backend: the one it is to be used with, where that is known.
    """
    from stempilot.instrument.envelope_file import read_envelope

    envelope = read_envelope(path)
    said = f"{path} is for {envelope.backend} and allows {', '.join(sorted(envelope.knobs))}"
    if backend not in {None, envelope.backend}:
        yield Finding("envelope", f"{said}; not for {backend}", "problem", "give the right one")
    else:
        yield Finding("envelope", said)


def instrument(name: str, settings: Settings) -> Iterator[Finding]:
    """Yield whether an instrument answers, what it says that it is, and what its cameras see.

    Args:
        name: of the backend.
        settings: reads the options, by section.
    """
    from stempilot.contract.backend import Opening
    from stempilot.instrument.opening import look_at
    from stempilot.plugins.parts import part
    from stempilot.plugins.registry import discover

    made = part(discover(), "backend", name, settings()["backend"]).load(Opening())
    offers = made.offers()
    with look_at(made, name) as backend:
        identity = ", ".join(f"{key} {value}" for key, value in backend.identity().items())
        kind = "simulated" if offers.simulated else "a real instrument"
        yield Finding(name, f"answers; {kind}; {identity}")
        states = {state: backend.state(state) for state in offers.states}
        yield Finding(f"{name}: states", ", ".join(f"{k} = {v}" for k, v in states.items()) or "-")
        for knob, spec in offers.knobs.items():
            yield Finding(f"{name}: {knob}", f"{list(backend.read(knob))} {spec.unit}")
        for source in offers.sources:
            frame = backend.acquire(source)
            low, high = frame.pixels.min(), frame.pixels.max()
            shape = " x ".join(map(str, frame.pixels.shape))
            said = f"{shape}, from {low} to {high}, exposed for {frame.exposure_s:.3g} s"
            if low == high:
                advice = "see whether beam and camera are in"
                yield Finding(f"{name}: {source}", said, "problem", advice)
            else:
                yield Finding(f"{name}: {source}", said)
