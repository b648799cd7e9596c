"""All that the command line shows: results on stdout, progress and remarks on stderr."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stempilot.errors import RecordError

if TYPE_CHECKING:
    from stempilot.plugins.registry import Registry


class _Results(Console):
    """Stdout, of which nothing may be lost without a word.

    Attributes:
        stream: stdout itself, while all others print on stderr; see `results_alone`.
    """

    stream: TextIO | None = None

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `rich.console.Console.print`.

        Raises:
            RecordError: it cannot be written, for example because the disk is full.
        """
        with contextlib.redirect_stdout(self.stream or sys.stdout):
            try:
                super().print(*objects, **options)
            except (OSError, ValueError) as error:
                _fall_silent(self)
                msg = f"cannot write to the standard output: {_reason(error)}"
                raise RecordError(msg) from error

    def on_broken_pipe(self) -> None:
        """Say that the reader has gone, instead of ending the program, as rich would."""
        raise  # noqa: PLE0704 - rich calls it while it handles the error


class _Remarks(Console):
    """Stderr; a run goes on after its reader has gone."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `rich.console.Console.print`, as long as that can be done."""
        try:
            super().print(*objects, **options)
        except (OSError, ValueError):
            _fall_silent(self)

    def on_broken_pipe(self) -> None:
        """Do not end the program, as rich would."""
        _fall_silent(self)


def _fall_silent(console: Console) -> None:
    console.quiet = True
    with contextlib.suppress(OSError, ValueError):
        # What is left in the file's own buffer would fail again when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), console.file.fileno())


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def ready_streams() -> None:
    """Let stdout and stderr replace what their encoding lacks, such as letters of a file name.

    Where one is closed, its place is taken, before a file of the run gets it and with it whatever
    a library prints.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def results_alone() -> Iterator[None]:
    """Keep a command apart from what is installed: print and metadata of others.

    Stdout is for results: what plug-ins print goes to stderr. Distributions whose metadata cannot
    be read are passed over.
    """
    from stempilot.plugins.installed import readable_only

    out.stream = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr), readable_only():
            yield
    finally:
        out.stream = None


def _columns() -> int | None:
    """Return the width of what goes to a file or pipe, where paths must stay whole."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return None if terminal or "COLUMNS" in os.environ else _FILE_COLUMNS


_FILE_COLUMNS = 200

out = _Results(highlight=False, emoji=False, width=_columns())
err = _Remarks(stderr=True, highlight=False, emoji=False)

_WIDE_COLUMNS = 120
"""From so many on there is room for rates and the remaining time next to the bar."""

_PLAIN_LINES = 20
"""How many progress lines a job prints where there is no terminal."""


def remark(text: str) -> None:
    """Show a remark to a person."""
    err.print(escape(text), soft_wrap=True)


def as_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    out.print(json.dumps(content), markup=False, soft_wrap=True)


def done(content: Mapping[str, Any], *, json_wanted: bool) -> None:
    """Print the result of what is done; that it cannot be printed changes nothing of it."""
    try:
        result(content, json_wanted=json_wanted)
    except RecordError as error:
        remark(f"{error}; see {content['run_dir']}")


def result(content: Mapping[str, Any], *, json_wanted: bool) -> None:
    """Print the result of a command as a table or as JSON.

    Raises:
        RecordError: it cannot be printed.
    """
    if json_wanted:
        as_json(content)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    # Paths are there to be copied, so they must be whole.
    table.add_column(overflow="fold")
    for name, value in content.items():
        if name == "products":
            for name_of, number in value.items():
                table.add_row(name_of.replace("_", " "), escape(product(number)))
        elif not isinstance(value, dict):
            table.add_row(name.replace("_", " "), escape(_shown(value)))
    out.print(table)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return str(len(value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def product(number: Mapping[str, Any]) -> str:
    """Return a product as people read it."""
    from stempilot.contract.goals import rounded

    value, uncertainty = rounded(number["value"], number["uncertainty"])
    return f"{value} \N{PLUS-MINUS SIGN} {uncertainty} {number['unit']}".rstrip()


def plugins(registry: "Registry", *, json_wanted: bool) -> None:
    """Print all plug-ins; what is broken with its reason and traceback."""
    if json_wanted:
        as_json({"plugins": [_entry(entry) for entry in registry.entries]})
        return
    table = Table("kind", "name", "from", "what")
    for entry in registry.entries:
        what = entry.plugin.summary if entry.plugin and entry.usable else entry.problem
        if entry.plugin and entry.plugin.default:
            what = f"{what} (default)"
        style = None if entry.usable else "red"
        if entry.plugin and entry.usable and entry.plugin.serves:
            what = f"{what} Serves goals of kind {' or '.join(entry.plugin.serves)}."
        source = f"{entry.distribution} {entry.version}"
        cells = (entry.kind or "-", entry.name, source, what)
        table.add_row(*map(escape, cells), style=style)
    out.print(table)
    for entry in registry.entries:
        if not entry.usable:
            source = escape(f"{entry.distribution} {entry.version}, {entry.name}")
            out.print(f"\n[red]{source}:[/red] {escape(entry.problem)}", soft_wrap=True)
            out.print(escape(entry.trace), soft_wrap=True)


def _entry(entry: Any) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "summary": entry.plugin.summary if entry.plugin else "",
        "serves": list(entry.plugin.serves) if entry.plugin else [],
        "default": entry.plugin is not None and entry.plugin.default,
        "usable": entry.usable,
        "problem": entry.problem,
        "traceback": entry.trace,
    }


def steps(content: Mapping[str, Any], *, json_wanted: bool) -> None:
    """Print the steps of a workflow that is to be done."""
    if json_wanted:
        as_json(content)
        return
    table = Table("step", "who", "what", "moves", title=escape(content["workflow"]))
    for row in content["steps"]:
        table.add_row(*(escape(row[key]) for key in ("step", "who", "what", "moves")))
    out.print(table)
    for knob, stands in content.get("now", {}).items():
        out.print(f"{escape(knob)}: {escape(stands)}")


def checks(name: str, found: Mapping[str, Sequence[Any]], *, again: str, json_wanted: bool) -> None:
    """Print which parts of a contract the plug-ins of a name keep, by kind, and what to mend.

    Args:
        name: of the plug-ins.
        found: `stempilot.testing.CheckResult` by kind.
        again: the command that makes the checks again.
        json_wanted: as one JSON object.
    """
    if json_wanted:
        keys = ("check", "passed", "message", "remedy")
        rows = [
            {"kind": kind} | {key: getattr(one, key) for key in keys}
            for kind, results in found.items()
            for one in results
        ]
        as_json({"kind": ", ".join(found), "name": name, "results": rows})
        return
    for kind, results in found.items():
        table = Table("check", "", "what was found", title=f"{kind} {escape(name)}")
        for one in results:
            mark = "[green]ok[/green]" if one.passed else "[red]fails[/red]"
            table.add_row(escape(one.check), mark, escape(one.message))
        out.print(table)
    for one in (one for results in found.values() for one in results if not one.passed):
        # An object that cannot be made is found before any check.
        alone = f" --only {one.check}" if one.check != "can_be_made" else ""
        text = f"\n{one.check}: {one.remedy}\n  again: {again}{alone}"
        out.print(escape(text), soft_wrap=True)


_MARKS = {"ok": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "problem": "[red]fails[/red]"}


def findings(found: Sequence[Any], *, json_wanted: bool) -> None:
    """Print what was found of a machine (`stempilot.runs.machine.Finding`), with the next steps."""
    if json_wanted:
        keys = ("what", "state", "found", "advice")
        as_json({"findings": [{key: getattr(each, key) for key in keys} for each in found]})
        return
    table = Table("", "what", "found")
    for each in found:
        table.add_row(_MARKS[each.state], escape(each.what), escape(each.found))
    out.print(table)
    # Below it, where commands and paths stay whole, to be copied.
    for each in found:
        if each.advice:
            out.print(
                f"{_MARKS[each.state]} {escape(each.what)}: {escape(each.advice)}", soft_wrap=True
            )


@contextlib.contextmanager
def progress(what: str, unit: str) -> Iterator[Callable[[Any], None]]:
    """Show the progress of a long job: a bar in a terminal, plain lines elsewhere.

    Yields:
        A function that takes `stempilot.runs.progress.Progress`.
    """
    if not err.is_terminal:
        yield _plain_progress(what, unit)
        return
    from rich import progress as rich_progress
    from rich.table import Column

    wide = err.width >= _WIDE_COLUMNS
    bar = rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(40 if wide else 8),
        # What is cut off first must not be the count.
        rich_progress.MofNCompleteColumn(table_column=Column(min_width=11)),
        rich_progress.TextColumn("{task.fields[figures]}"),
        rich_progress.TimeElapsedColumn(),
        *((rich_progress.TimeRemainingColumn(),) if wide else ()),
        console=err,
        refresh_per_second=5,
    )
    job = bar.add_task(what, total=None, figures="")

    def show(now: Any) -> None:
        speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
        rate = f" {speed:.0f} {unit}/s" if speed and wide else ""
        bar.update(job, completed=now.done, total=now.total, figures=_figures(now) + rate)

    # A terminal that is gone ends no run.
    with contextlib.suppress(OSError, ValueError):
        bar.start()
    try:
        yield show
    finally:
        with contextlib.suppress(OSError, ValueError):
            bar.stop()


def _plain_progress(what: str, unit: str) -> Callable[[Any], None]:
    next_line = 0

    def show(now: Any) -> None:
        nonlocal next_line
        if now.done < next_line and now.done < now.total:
            return
        next_line = now.done + max(1, now.total // _PLAIN_LINES)
        remark(f"{what}: {now.done}/{now.total} {unit} {_figures(now)}")

    return show


def _figures(now: Any) -> str:
    parts = []
    if now.reward is not None:
        parts.append(f"reward {now.reward:.1f}")
    if now.success_rate is not None:
        parts.append(f"success {now.success_rate:.0%}")
    if now.note:
        parts.append(now.note)
    return ", ".join(parts)
