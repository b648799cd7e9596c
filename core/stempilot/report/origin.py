"""Where a run comes from: configuration, versions, seeds and how to do it again."""

import json
import shlex

from stempilot.record.record import Record
from stempilot.report.evidence import Evidence
from stempilot.report.headline import UNKNOWN
from stempilot.report.markup import Html, table, tag


def origin(evidence: Evidence) -> Html:
    """Return the section on where a run comes from."""
    record = evidence.record
    return tag(
        "section",
        tag("h2", "Where this comes from"),
        tag("p", "The command to do it again:"),
        tag("pre", command(record)),
        tag("p", "Give it another --out: a directory that exists is not written over."),
        _lineage(record),
        _facts(record),
        _configuration(record),
    )


def command(record: Record) -> str:
    """Return the command line of a run as a shell takes it."""
    return shlex.join(record.argv) or UNKNOWN


def _lineage(record: Record) -> Html:
    parts = []
    if record.parent:
        parts.append(tag("p", "It goes on from the agent of ", tag("code", record.parent)))
    if record.kept_and_dropped:
        parts.append(tag("p", "What relearning kept and dropped:"))
        parts.append(tag("ul", *(tag("li", sentence) for sentence in record.kept_and_dropped)))
    return tag("div", *parts)


def _facts(record: Record) -> Html:
    rows = [
        ("started", text(record.started)),
        ("seed", text(record.seed)),
        ("seed of the instrument", text(record.instrument_seed)),
        ("source revision", text(record.git_commit)),
        ("Python", text(record.python)),
        ("system", text(record.system)),
        *((f"{kind} plug-in", text(source)) for kind, source in record.plugins.items()),
        *((f"instrument: {name}", text(value)) for name, value in record.identity.items()),
        *((name, text(version)) for name, version in record.versions.items()),
    ]
    return tag(
        "details", tag("summary", "Versions, seeds and plug-ins"), table(("what", "value"), rows)
    )


def _configuration(record: Record) -> Html:
    rows: list[tuple[str, ...]] = []
    for section, values in record.config.items():
        given = record.settings.get(section, {})
        for name, value in (values | given | values).items():
            where = "set" if name in given else "default or preset"
            rows.append((f"{section}.{name}", text(value), where))
    shown = table(("option", "value", "from"), rows)
    return tag("details", tag("summary", "Configuration, defaults included"), shown)


def text(value: object) -> str:
    """Return a JSON value as it is to be read."""
    if value is None:
        return UNKNOWN
    return value if isinstance(value, str) else json.dumps(value)
