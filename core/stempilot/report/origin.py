"""Where a run comes from: configuration, versions, seeds and how to do it again."""

import json
import shlex
from collections.abc import Mapping

from stempilot.files import Json
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


def command(record: Json) -> str:
    """Return the command line of a run as a shell takes it."""
    argv = record.get("argv")
    return shlex.join(map(str, argv)) if isinstance(argv, list) else UNKNOWN


def _lineage(record: Json) -> Html:
    parts = []
    if record.get("parent"):
        parts.append(tag("p", "It goes on from the agent of ", tag("code", text(record["parent"]))))
    kept = record.get("kept_and_dropped")
    if isinstance(kept, list) and kept:
        parts.append(tag("p", "What relearning kept and dropped:"))
        parts.append(tag("ul", *(tag("li", text(sentence)) for sentence in kept)))
    return tag("div", *parts)


def _facts(record: Json) -> Html:
    rows = [
        ("started", text(record.get("started"))),
        ("seed", text(record.get("seed"))),
        ("seed of the instrument", text(record.get("instrument_seed"))),
        ("source revision", text(record.get("git_commit"))),
        ("Python", text(record.get("python"))),
        ("system", text(record.get("system"))),
        *((f"{kind} plug-in", text(source)) for kind, source in _items(record.get("plugins"))),
        *((f"instrument: {name}", text(value)) for name, value in _items(record.get("identity"))),
        *((name, text(version)) for name, version in _items(record.get("versions"))),
    ]
    return tag(
        "details", tag("summary", "Versions, seeds and plug-ins"), table(("what", "value"), rows)
    )


def _configuration(record: Json) -> Html:
    resolved, settings = record.get("config"), record.get("settings")
    rows: list[tuple[str, ...]] = []
    for section, values in _items(resolved):
        given = dict(_items(dict(_items(settings)).get(section)))
        for name, value in _items(values):
            rows.append(
                (f"{section}.{name}", text(value), "set" if name in given else "default or preset")
            )
        known = dict(_items(values))
        rows += [
            (f"{section}.{name}", text(value), "set")
            for name, value in given.items()
            if name not in known
        ]
    shown = table(("option", "value", "from"), rows)
    return tag("details", tag("summary", "Configuration, defaults included"), shown)


def _items(value: object) -> list[tuple[str, object]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def text(value: object) -> str:
    """Return a JSON value as it is to be read."""
    if value is None:
        return UNKNOWN
    return value if isinstance(value, str) else json.dumps(value)
