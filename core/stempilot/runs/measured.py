"""What recorded readings tell of an instrument, for its envelope file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stempilot.contract.backend import Backend, Suggested
from stempilot.contract.names import CAMERA_LENGTH_INDEX
from stempilot.errors import IncompatibleError, RunDirError
from stempilot.files import Json, read_json
from stempilot.instrument.audit import read_audit
from stempilot.instrument.envelope import Response
from stempilot.instrument.envelope_draft import Measured
from stempilot.instrument.unfinished import same_instrument
from stempilot.plugins.no_agent import NO_AGENT
from stempilot.record.recorder import read_events
from stempilot.record.run_dir import RESULT, RunDir

_SAFETY = 3.0
"""The resolution that is written, over the largest difference of a read-back that was seen."""

_ROWS = "xy"


def measured(runs: Sequence[Path], backend: Backend, name: str) -> Measured:
    """Return what readings measured.

    Products ``pixel`` in mrad/px and ``response_xx`` and so on in px per unit are understood; the
    resolution comes from the audit.

    Args:
        runs: run directories of readings; what a later one tells replaces what an earlier one did.
        backend: opened.
        name: its name.

    Raises:
        RunDirError: a run directory is damaged, is no reading, did not succeed or does not say at
            which camera length it was.
        IncompatibleError: a reading is of another instrument, or of another camera length.
        BackendError: the instrument did not answer.
    """
    resolution: dict[str, Suggested] = {}
    pixels: dict[str, dict[int, Suggested]] = {}
    responses: dict[str, tuple[Response, str]] = {}
    for path in runs:
        products = _products(path, backend, name)
        source, index = _seen(path, backend)
        record = RunDir(path).record()
        date = (record.started or "")[:10]
        whence = f"measured {date} by {record.task} in {path}"
        resolution |= _resolutions(path, whence)
        if (pixel := products.get("pixel")) and pixel["unit"] == "mrad/px":
            because = f"{whence}: standard uncertainty {pixel['uncertainty']:.2g} mrad."
            pixels.setdefault(source, {})[index] = Suggested(value=pixel["value"], because=because)
        for knob in _knobs(path):
            if response := _response(products, index, date):
                responses[knob] = response, f"{whence}: px of {source} per unit of {knob}."
    return Measured(resolution=resolution, pixel_mrad=pixels, response=responses)


def _products(path: Path, backend: Backend, name: str) -> Mapping[str, Json]:
    """Return the products of a reading that succeeded on this instrument."""
    run = RunDir.open(path)
    record = run.record()
    if record.agent != NO_AGENT:
        msg = f"{path} is a run of {record.task}, which is no reading; give one that only measures"
        raise RunDirError(msg)
    result = read_json(path / RESULT) if (path / RESULT).exists() else {}
    if record.status != "done" or result.get("success") is not True:
        why = record.reason or result.get("reason") or f"its status is {record.status}"
        msg = f"{path} did not succeed ({why}), so that it measured nothing; repeat it"
        raise RunDirError(msg)
    identity = run.identity()
    if record.backend != name or not same_instrument(identity, backend.identity()):
        msg = (
            f"{path} was measured on {record.backend}, {dict(identity)}; this one is {name}, "
            f"{dict(backend.identity())}; repeat the reading here"
        )
        raise IncompatibleError([msg])
    products: dict[str, Json] = result["products"]
    return products


def _seen(path: Path, backend: Backend) -> tuple[str, int]:
    """Return the source that a reading looked at, and its camera length, which is still the same.

    Raises:
        RunDirError: the run does not tell.
        IncompatibleError: it is another one.
    """
    seen = next((line["seen"] for line in read_events(path) if "seen" in line), None)
    if seen is None or CAMERA_LENGTH_INDEX not in seen["knobs"]:
        msg = f"{path} does not say its camera length; repeat it without --frames none"
        raise RunDirError(msg)
    (then,), (now,) = seen["knobs"][CAMERA_LENGTH_INDEX], backend.read(CAMERA_LENGTH_INDEX)
    if then != now:
        msg = (
            f"{path} was measured at {CAMERA_LENGTH_INDEX} {then:g}, the instrument stands at "
            f"{now:g}; set that camera length, or repeat the reading"
        )
        raise IncompatibleError([msg])
    return next(iter(seen["frames"])), int(then)


def _knobs(path: Path) -> tuple[str, ...]:
    saved = RunDir(path).baseline()
    return tuple(saved.knobs) if saved else ()


def _resolutions(path: Path, whence: str) -> dict[str, Suggested]:
    """Return by how much read-backs of each knob differed from what was sent."""
    differences: dict[str, list[Any]] = {}
    for write in read_audit(path):
        if write.get("read_back") is not None:
            away = np.abs(np.subtract(write["read_back"], write["sent"]))
            differences.setdefault(write["knob"], []).append(away)
    return {
        knob: Suggested(
            value=(_SAFETY * np.max(away, axis=0)).tolist(),
            because=f"{whence}: {_SAFETY:g} times the largest difference of {len(away)} "
            "read-backs, within what is offered and what was allowed.",
        )
        for knob, away in differences.items()
    }


def _response(products: Mapping[str, Json], index: int, date: str) -> Response | None:
    """Return the response that products tell; ``None`` where they do not."""
    columns = [axis for axis in _ROWS if f"response_x{axis}" in products]
    if not columns:
        return None
    values, unsure = (
        tuple(tuple(products[f"response_{row}{c}"][key] for c in columns) for row in _ROWS)
        for key in ("value", "uncertainty")
    )
    return Response(
        px_per_unit=values, uncertainty=unsure, camera_length_index=index, measured=date
    )
