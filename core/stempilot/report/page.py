"""The report as one HTML file that opens offline."""

import base64
from collections.abc import Sequence
from importlib import resources

from stempilot.report.evidence import Evidence
from stempilot.report.headline import badge, cards, changes, comparison
from stempilot.report.markup import Html, html, tag
from stempilot.report.origin import origin
from stempilot.report.style import Picture

LARGEST_EMBEDDED = 8_000_000
"""Bytes above which a picture is linked and not embedded."""
_PAPER = "“The paper” is Xu, Kumar and LeBeau, Microscopy and Microanalysis 28 (2022) 1952-1960."


def whole_page(evidence: Evidence, pictures: Sequence[Picture], left_out: Sequence[str]) -> str:
    """Return the report.

    Args:
        evidence: what the run left behind.
        pictures: in the order in which they are shown.
        left_out: sentences on what could not be drawn.
    """
    record = evidence.record
    names = [record.command, record.task, record.backend, record.agent]
    return document(
        f"{names[0]} {names[1]} with {names[3]}",
        _header(evidence, names),
        cards(evidence),
        changes(evidence),
        comparison(evidence),
        *(figure(picture) for picture in pictures),
        _left_out(left_out),
        origin(evidence),
        footer=_PAPER,
    )


def document(title: str, *parts: str, footer: str = "") -> str:
    """Return a page with the project's style."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} - stempilot"),
        tag("style", Html(_style())),
    )
    body = tag("main", *parts, tag("footer", "Written by stempilot. ", footer))
    return html(Html("<!doctype html>\n"), tag("html", head, tag("body", body), lang="en"), "\n")


def _style() -> str:
    return resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")


def _header(evidence: Evidence, names: Sequence[str]) -> Html:
    command, task, backend, agent = names
    kind = {True: " (simulated)", False: " (a real instrument)", None: ""}
    where = kind[evidence.record.simulated]
    described = {
        "training": f"Training of {agent} on {backend}{where}",
        "evaluation": f"Evaluation of {agent} on {backend}{where}",
        "plain": f"Run of {agent} on {backend}{where}",
    }[evidence.kind]
    return tag(
        "header",
        tag("div", f"stempilot {command}", class_="eyebrow"),
        tag("h1", task),
        tag("p", f"{described}, seed {evidence.record.seed}", class_="lead"),
        tag("p", badge(evidence.record, evidence.result)),
    )


def figure(picture: Picture) -> Html:
    """Return a picture with its title and caption."""
    source = f"plots/{picture.name}"
    if len(picture.content) < LARGEST_EMBEDDED:
        kind = picture.name.rsplit(".", 1)[-1]
        source = f"data:image/{kind};base64,{base64.b64encode(picture.content).decode()}"
    image = tag("img", src=source, alt=picture.title, class_="plot", width=str(picture.width))
    return tag(
        "section",
        tag("h2", picture.title),
        tag("figure", image, tag("figcaption", picture.caption)),
    )


def _left_out(reasons: Sequence[str]) -> Html:
    if not reasons:
        return Html()
    listed = tag("ul", *(tag("li", reason) for reason in reasons))
    return tag("section", tag("h2", "Not shown"), listed, class_="quiet")
