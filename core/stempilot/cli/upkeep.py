"""``stempilot report``, ``stempilot restore`` and ``stempilot envelope init``."""

from pathlib import Path
from typing import Annotated

import typer

from stempilot.cli import options as o, render
from stempilot.cli.common import INTERRUPTED, ask_at_terminal, no_way_out, settings_of

Video = Annotated[
    bool,
    typer.Option("--video", help="Also a video of all frames: MP4 where ffmpeg is, else WebP."),
]

envelope_app = typer.Typer(no_args_is_help=True, help="The safety envelope of a site.")


def report(run: o.RunPath, video: Video = False, as_json: o.AsJson = False) -> None:
    """Write report.html and its pictures into a run directory, and a video where asked."""
    from stempilot.report import write_report

    told = {"run_dir": str(run), "report": str(write_report(run))}
    if video:
        from stempilot.report.video import write_video
        from stempilot.runs.progress import Progress

        with render.progress("video", "frames") as show:
            shown = write_video(run, lambda done, total: show(Progress(done=done, total=total)))
        told["video"] = str(shown)
    render.done(told, json_wanted=as_json)


def restore(run: o.RunPath, dry_run: o.DryRun = False, as_json: o.AsJson = False) -> None:
    """Put the instrument back to where it stood before a run, as after a power cut.

    Of a workflow it is the step under way that is put back.

    It begins at once, without a question unless the instrument does not say that it is that of
    the run; --dry-run only reads where the knobs stand, and says where they would go.
    """
    from stempilot.plugins.registry import discover
    from stempilot.runs.restore import restore as put_back
    from stempilot.workflow.recorded import run_to_restore

    run = run_to_restore(run)
    try:
        with no_way_out():
            done = put_back(discover(), run, dry_run=dry_run, ask=ask_at_terminal)
    except KeyboardInterrupt:
        render.remark(f"interrupted; see where the knobs stand: stempilot restore {run} --dry-run")
        raise typer.Exit(INTERRUPTED) from None
    knobs = {
        knob: f"{at['now']}, would go to {at['baseline']}"
        if dry_run
        else f"{at['before']} -> {at['now']}"
        for knob, at in done["knobs"].items()
    }
    show = render.result if dry_run else render.done
    show(done if as_json else {**done, **knobs}, json_wanted=as_json)


@envelope_app.command("init")
@render.results_alone()
def envelope_init(
    backend: Annotated[str, typer.Option("--backend", "-b", help="Name of the backend.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write.")],
    config: o.ConfigFile = None,
    settings: o.Settings = None,
    measured: Annotated[
        list[Path] | None,
        typer.Option(
            "--measured", metavar="RUN", help="Run directory of a reading; may be given twice."
        ),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Write a commented envelope file for a backend, to be narrowed by the site.

    With --measured, what readings measured stands in place of guesses: resolution, response and
    the angle of a pixel. It never widens bounds, steps or rates.
    """
    from stempilot.contract.backend import Opening, SuggestsEnvelope
    from stempilot.instrument.envelope_draft import NOTHING
    from stempilot.instrument.envelope_file import write_envelope
    from stempilot.plugins.parts import part
    from stempilot.plugins.registry import discover
    from stempilot.record.run_dir import RunDir
    from stempilot.runs.measured import measured as read_measured

    sections = settings_of(config, settings)
    made = part(discover(), "backend", backend, sections["backend"])
    opening, found = Opening(), NOTHING
    if measured:
        record = RunDir.open(measured[0]).record()
        opening = Opening(seed=record.seed, instrument_seed=record.instrument_seed)
    loaded = made.load(opening)
    if measured:
        with loaded:
            found = read_measured(measured, loaded, backend)
    suggestion = loaded.suggest_envelope() if isinstance(loaded, SuggestsEnvelope) else None
    write_envelope(out, backend, loaded.offers(), suggestion, found)
    guesses = out.read_text(encoding="utf-8").count("GUESS: ")
    marked = f"; {guesses} of its entries are guesses, marked so" if guesses else ""
    render.remark(f"wrote {out}{marked}; read it, narrow it, and pass it with --envelope {out}")
    if as_json:
        render.as_json({"backend": backend, "envelope": str(out), "guesses": guesses})
