"""The figures that a reader looks for first, as cards and as a table to compare with."""

import math

import numpy as np

from stempilot.contract.goals import rounded
from stempilot.files import Json
from stempilot.operation.scores import Episode, score
from stempilot.record.figures import PAPER_PER_S
from stempilot.record.quantities import RAISE
from stempilot.record.record import Record
from stempilot.report.accuracy import rms
from stempilot.report.evidence import Evidence
from stempilot.report.learning import PAPER_STEPS, convergence
from stempilot.report.markup import Html, html, table, tag

UNKNOWN = "\N{EN DASH}"
_MINUTE_S = 60
_RELEARNT = "relearnt_timesteps"
_NAMES = {
    "name": "",
    "success_rate": "success",
    "steps_mean": "steps (mean)",
    "steps_std": "steps (std)",
    "frames_mean": "frames (mean)",
    "frames_median": "frames (median)",
    "oracle_steps_mean": "oracle steps (mean)",
    "oracle_ratio": "steps / oracle",
}


def cards(evidence: Evidence) -> Html:
    """Return the key figures of a run as cards."""
    shown = {
        "training": _training,
        "evaluation": _evaluation,
        "plain": _plain,
    }[evidence.kind](evidence)
    shown += _home(evidence)
    return tag("div", *(_card(*entry) for entry in shown), class_="cards")


def _home(evidence: Evidence) -> list[tuple[str, str, str]]:
    """Return how far from its first place the last frame shows what the task sees."""
    moved_px = evidence.result.get("from_start_px")
    if not isinstance(moved_px, float):
        return []
    note = "last frame against the first, all knobs put back; see approach in the envelope"
    return [("back within", f"{plain(moved_px)} px", note)]


def _card(label: str, value: str, note: str = "") -> Html:
    parts = [tag("div", label, class_="label"), tag("div", value, class_="value")]
    if note:
        parts.append(tag("div", note, class_="note"))
    return tag("div", *parts, class_="card")


def _training(evidence: Evidence) -> list[tuple[str, str, str]]:
    series = evidence.series
    by_success, by_reward = convergence(evidence)
    why = "the average reward stays above 0"
    if evidence.record.goal != RAISE:
        why = "at least 96 % succeed"
    recent = series.complete[-25:]
    good = sum(episode.success for episode in recent)
    asked = evidence.record.steps
    return [
        ("timesteps", plain(series.timesteps), f"of {plain(asked)} asked for"),
        ("episodes", plain(len(series.complete)), "completed"),
        ("converged at", plain(by_success), f"timesteps; from there {why}"),
        (
            "reward converged at",
            plain(by_reward),
            "timesteps; the paper: 3,000-4,000 simulated, 5,000-6,000 on the microscope"
            if series.as_in_paper
            else "timesteps; average reward above 0",
        ),
        ("recent success", share(good, len(recent)), f"of the last {len(recent)} episodes"),
        ("wall time", duration(evidence.result.get("wall_s")), "of the latest start"),
        *_pace(evidence),
    ]


def _pace(evidence: Evidence) -> list[tuple[str, str, str]]:
    """Return the rate of timesteps within episodes; nothing where it was not taken."""
    result = evidence.result
    names = ("corrections_per_s", "cycle_s_median", "cycle_s_p95")
    rate, median, late = (result.get(name) for name in names)
    if not all(isinstance(value, float) for value in (rate, median, late)):
        return []
    cycle = f"cycle {duration(median)} (median), 95 % within {duration(late)}"
    return [("corrections per second", plain(rate), f"{cycle}; the paper {PAPER_PER_S}")]


def figures(evidence: Evidence) -> Json:
    """Return the figures of an evaluation, from the events where there is no result."""
    if evidence.result:
        return evidence.result
    series = evidence.series
    ends = zip(series.complete, series.steps(), series.rewards(), strict=True)
    return score(
        [
            Episode(steps=steps, success=episode.success, reward=reward)
            for episode, steps, reward in ends
        ],
        [],
        [],
    )


def _evaluation(evidence: Evidence) -> list[tuple[str, str, str]]:
    found = figures(evidence)
    mean, std = PAPER_STEPS
    against = [f"paper {mean} ± {std}"] if evidence.series.as_in_paper else []
    if isinstance(found.get("oracle_steps_mean"), float):
        against.insert(0, f"oracle {plain(found['oracle_steps_mean'])}")
    steps = plain(found.get("steps_mean"))
    if found.get("steps_std") is not None:
        steps += f" ± {plain(found['steps_std'])}"
    note = f"of {plain(found.get('episodes'))} episodes"
    return [
        ("success", percent(found.get("success_rate")), note),
        ("steps per success", steps, ", ".join(against)),
        (
            "steps / oracle",
            plain(found.get("oracle_ratio")),
            "over the starts that both solve",
        ),
        ("frames (median)", plain(found.get("frames_median")), "the first exposure included"),
        *_errors(evidence),
    ]


def _plain(evidence: Evidence) -> list[tuple[str, str, str]]:
    series = evidence.series
    steps = plain(int(series.k[-1])) if len(series.k) else UNKNOWN
    outcome = str(evidence.result.get("outcome", UNKNOWN))
    return [
        ("outcome", outcome, str(evidence.result.get("reason") or "")),
        ("steps", steps, ""),
        *_errors(evidence),
        *_products(evidence),
    ]


def _products(evidence: Evidence) -> list[tuple[str, str, str]]:
    """Return what a run hands on."""
    found = evidence.result.get("products")
    shown = []
    for name, one in found.items() if isinstance(found, dict) else ():
        if isinstance(one, dict):
            value, uncertainty = rounded(one.get("value"), one.get("uncertainty"))
            shown.append((name.replace("_", " "), f"{value} {one.get('unit')}", f"± {uncertainty}"))
    return shown


def _errors(evidence: Evidence) -> list[tuple[str, str, str]]:
    """Return the errors of successful episodes; a lost disk says nothing about precision."""
    errors, main = evidence.errors(), evidence.series.shown.main
    note = "RMS, where the task succeeded"
    known = errors.measured[np.isfinite(errors.measured)]
    if main is None or not (len(errors.px) or len(known)):
        return []
    if main.better == "higher":
        mean = f"{plain(float(known.mean()))} {main.unit}"
        return [(f"{main.symbol} at the end", mean, "mean, where the task succeeded")]
    if len(errors.px):
        found = [("true error", f"{plain(rms(errors.px))} {main.unit}", note)]
        if len(errors.mrad):
            found.append(("true error", f"{plain(rms(errors.mrad))} mrad", note))
        return found
    return [(f"measured {main.symbol}", f"{plain(rms(known))} {main.unit}", note)]


def comparison(evidence: Evidence) -> Html:
    """Return the rows to compare with as a table; empty without any."""
    names = list(dict.fromkeys(name for row in evidence.comparison for name in row))
    if not names:
        return Html()
    rows = [tuple(_cell(name, row.get(name)) for name in names) for row in evidence.comparison]
    head = tuple(_NAMES[name] if name in _NAMES else _rms_name(name) for name in names)
    return tag("section", tag("h2", "Comparison"), table(head, rows))


def _rms_name(name: str) -> str:
    """Return how a figure is called; the RMS of an error has its unit before it."""
    error, is_rms, _ = name.partition("_rms")
    words, _, unit = error.rpartition("_")
    return f"{words.replace('_', ' ')} ({unit} RMS)" if is_rms and words else name.replace("_", " ")


def _cell(name: str, value: object) -> str:
    return percent(value) if name.endswith("success_rate") else plain(value)


def changes(evidence: Evidence) -> Html:
    """Return what the policy found changed, and what was done about it; empty without any."""
    found = evidence.result.get("changes")
    if not isinstance(found, list) or not found:
        return Html()
    rows = [
        tuple(plain(change.get(name)) for name in ("timestep", "episode", "sentence", _RELEARNT))
        for change in found
        if isinstance(change, dict)
    ]
    head = ("timestep", "episode", "what was noticed", "relearnt for (timesteps)")
    return tag("section", tag("h2", "Changes of the response"), table(head, rows))


def plain(value: object) -> str:
    """Return a number to three or more digits with commas, text as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float) or not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"  # noqa: PLR2004


def percent(value: object) -> str:
    """Return a share as per cent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return UNKNOWN
    return f"{100 * value:.4g} %"


def share(count: int, of: int) -> str:
    """Return a count as per cent of another; unknown of nothing."""
    return percent(count / of) if of else UNKNOWN


def duration(seconds: object) -> str:
    """Return a time as hours, minutes and seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return UNKNOWN
    if seconds < _MINUTE_S:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    hours, minutes = divmod(minutes, _MINUTE_S)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def badge(record: Record, result: Json) -> Html:
    """Return the status of a run, coloured by whether all went well."""
    colour = {"done": "good", "failed": "bad"}.get(record.status, "unsure")
    if result.get("success") is False:
        colour = "unsure"
    parts = [tag("span", record.status, class_=f"badge {colour}")]
    if record.reason:
        parts.append(tag("span", record.reason, class_="reason"))
    return html(*parts)
