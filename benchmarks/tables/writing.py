"""The tables as JSON, CSV and Markdown."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from benchmarks.tables.aggregate import Row

CAPTIONS: Mapping[str, tuple[str, str]] = {
    "unknown": (
        "Unknown instrument, nothing learnt before",
        "A new instrument at every episode (in `paper` always the published one, which no agent "
        "remembers from one episode to the next): what an agent does on an instrument that it "
        "meets for the first time.",
    ),
    "learnt": (
        "One instrument, learnt before",
        "One instrument for each seed, the same for all agents, judged on the same starts, which "
        "training never saw. Learners were trained on that very instrument, in that condition, "
        "for the timesteps given. `adaptive` keeps what it finds of it from "
        "episode to episode, but begins without. `dqn` has eight actions (four directions, two "
        "lengths), all others continuous ones; its ratio is to an oracle with its actions. "
        "`random` is left out: there is nothing for it to know.",
    ),
}
NOTES = (
    "Task and tolerance are the same everywhere (the defaults of `bf-disk-centering`). Steps, "
    "frames and seconds are means over successful episodes, the ratio is to the oracle over the "
    "starts that both solve, seeds weighted by successes. The oracle knows the instrument and "
    "has no probe to make; its row is from the starts that the most successful agent solves "
    "too. Seconds are frames, the first one included, at 170 ms. The error is the true distance "
    "at the end, RMS, failures included. *Learnt at* is the median of `converged_at` over the "
    "seeds that converged (their number in brackets), seconds to learn are those timesteps at "
    "the whole training's mean pace on this machine, evaluations left out. The published agent "
    "took 21.4 ± 10.4 steps in its own simulator, with positions rounded to bins and another "
    "goal; that is a yardstick, not a row."
)
_HEAD = (
    "condition",
    "agent",
    "success",
    "worst seed",
    "steps",
    "ratio",
    "frames",
    "s at 170 ms",
    "error / px",
    "trained",
    "learnt at",
    "s to learn",
)


def as_json(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """Return rows and what they are of as JSON."""
    return json.dumps({**about, "rows": [attrs.asdict(row) for row in rows]}, indent=1) + "\n"


def as_csv(rows: Sequence[Row]) -> str:
    """Return one line for each row under a header; nothing where there is nothing to say."""
    text = io.StringIO()
    names = [attribute.name for attribute in attrs.fields(Row)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = {**attrs.asdict(row), "seeds": " ".join(map(str, row.seeds))}
        writer.writerow(["" if values[name] is None else values[name] for name in names])
    return text.getvalue()


def as_markdown(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """Return the tables with their captions and where they come from."""
    parts = [f"`{about['command']}`", "", _origin(about), "", NOTES, ""]
    for table in dict.fromkeys(row.table for row in rows):
        title, caption = CAPTIONS[table]
        parts += [f"## {title}", "", caption, "", *_table(rows, table), ""]
        parts += [f"![{title}]({table}.png)", ""]
    return "\n".join(parts)


def _origin(about: Mapping[str, Any]) -> str:
    software = about["software"]
    versions = ", ".join(
        f"{name} {version}" for name, version in software["versions"].items() if version
    )
    revisions = ", ".join(commit[:12] for commit in about["revisions"])
    return (
        f"Seeds {', '.join(map(str, about['seeds']))}, {about['episodes']} episodes each; "
        f"{versions}, Python {software['python']}, {software['system']}; revision {revisions}."
    )


def _table(rows: Sequence[Row], table: str) -> list[str]:
    chosen = [row for row in rows if row.table == table]
    # Who has not learnt before has no columns about learning.
    width = len(_HEAD) if any(row.trained_timesteps for row in chosen) else len(_HEAD) - 3
    lines = [_line(_HEAD[:width]), _line(["---"] * width)]
    return lines + [_line(_cells(row)[:width]) for row in chosen]


def _cells(row: Row) -> list[str]:
    return [
        row.condition,
        row.agent,
        _percent(row.success),
        _percent(row.success_worst_seed),
        _number(row.steps, 2),
        _number(row.ratio, 3),
        _number(row.frames, 2),
        _number(row.seconds, 2),
        _number(row.error_px, 1),
        _number(row.trained_timesteps, 0),
        _number(row.learnt_timesteps, 0)
        + (f" ({row.converged_seeds}/{len(row.seeds)})" if row.trained_timesteps else ""),
        _number(row.learnt_s, 1),
    ]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
