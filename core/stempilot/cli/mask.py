"""``stempilot mask``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stempilot.cli import options as o, render
from stempilot.cli.common import settings_of

if TYPE_CHECKING:
    from stempilot.runs.defects import Defects


class Light(StrEnum):
    """How frames were taken."""

    DARK = "dark"
    FLAT = "flat"


Kind = Annotated[
    Light, typer.Argument(metavar="dark|flat", help="Frames without light, or of a screen all lit.")
]
FrameFiles = Annotated[
    list[Path] | None, typer.Argument(metavar="[FRAMES]", help="NPY files, or TIFF or PNG in grey.")
]
MaskFile = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="File to write, of type .npy.")
]
FromCamera = Annotated[
    str | None,
    typer.Option(
        "--backend", "-b", metavar="NAME", help="Take frames from its camera; moves nothing."
    ),
]
Count = Annotated[int, typer.Option("--count", "-n", min=1, help="How many to take from there.")]
Source = Annotated[
    str | None,
    typer.Option("--source", metavar="NAME", help="Which camera. (default: the only one)"),
]
Add = Annotated[
    Path | None, typer.Option("--add", metavar="MASK", help="Also mask what this mask does.")
]
Replace = Annotated[bool, typer.Option("--replace", help="Write over a file that is there.")]


def mask(
    light: Kind,
    out: MaskFile,
    frames: FrameFiles = None,
    backend: FromCamera = None,
    count: Count = 5,
    source: Source = None,
    add: Add = None,
    replace: Replace = False,
    config: o.ConfigFile = None,
    settings: o.Settings = None,
    as_json: o.AsJson = False,
) -> None:
    """Make a mask of a camera's defective pixels from a few dark or flat frames.

    Tasks take it as an option, such as --set task.mask=FILE. Dark frames show pixels that are hot,
    flat ones also those that are dead; --add joins both.
    """
    from stempilot.runs import masking

    masking.require_room(out, replace=replace)
    taken, saturation = masking.read_frames(frames or ()), None
    if backend is not None:
        from stempilot.contract.backend import Opening
        from stempilot.plugins.parts import part
        from stempilot.plugins.registry import discover

        made = part(discover(), "backend", backend, settings_of(config, settings)["backend"])
        more, saturation = masking.take_frames(made.load(Opening()), backend, count, source)
        taken += more
    found, share = masking.make_mask(
        taken, out, flat=light is Light.FLAT, add=add, replace=replace, saturation=saturation
    )
    render.result(_told(found, share, out, plain=as_json), json_wanted=as_json)


def _told(found: "Defects", share: float, out: Path, *, plain: bool) -> dict[str, Any]:
    return {
        "mask": str(out),
        "dead": found.dead,
        "hot_or_clipped": found.hot,
        "columns": list(found.columns) if plain else _lines(found.columns),
        "rows": list(found.rows) if plain else _lines(found.rows),
        "masked": share if plain else f"{share:.3%} of the frame",
    }


def _lines(numbers: tuple[int, ...]) -> str:
    few = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")  # noqa: PLR2004
    return f"{len(numbers)} ({few})" if numbers else "0"
