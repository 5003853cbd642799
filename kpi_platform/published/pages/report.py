"""The daily report of a lake: its figures read once, in three forms with their charts.

Belongs here: reading the template and drawing the charts' pictures. Does not: the figures, their
words, where the report is kept, and sending it (`reports`).
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from typing import Any

import vl_convert

from kpi_platform.published.pages.dashboard import Inputs
from kpi_platform.published.pages.open_incidents import incident_lines
from kpi_platform.published.pages.own_inputs import own_inputs
from kpi_platform.published.pages.report_figures import ReportFigures, report_figures
from kpi_platform.published.pages.report_words import (
    chart_svg,
    report_html,
    report_slack,
    report_text,
)
from kpi_platform.schemas.kpi_definitions import read_definitions
from kpi_platform.schemas.sources_file.sources import Sources


@dataclass(frozen=True)
class Report:
    """A daily report: a page with its pictures inside, plain text, text for Slack, and the
    pictures (PNG) by the label of their KPI, for an e-mail that carries them as parts."""

    figures: ReportFigures
    html: str
    text: str
    slack: str
    images: dict[str, bytes]


def make_report(inputs: Inputs, sources: Sources, manifest: Mapping[str, Any]) -> Report:
    """The report of the newest complete day, of the KPIs that dbt's manifest says are in it."""
    return drawn(figures_of(inputs, sources, manifest), _inside)


def figures_of(
    inputs: Inputs,
    sources: Sources,
    manifest: Mapping[str, Any],
    day: date | None = None,
    studio: str = "all",
) -> ReportFigures:
    """The figures of `day` (None: the newest complete one), of everything or of one studio, of
    which nothing but its own is read."""
    if studio == "all":
        names = {each.key: each.name for each in sources.studios}
    else:
        inputs = own_inputs(inputs, sources, studio)
        games = [game for each in sources.studios if each.key == studio for game in each.games]
        names = {game.key: game.name for game in games}
    figures = report_figures(
        inputs.tables, inputs.ledger, inputs.now, names, read_definitions(manifest), day, studio
    )
    attention = (*incident_lines(inputs.incidents), *figures.attention)
    called = {each.key: each.name or each.key for each in sources.studios}
    name = "" if studio == "all" else called.get(studio, studio)
    return replace(figures, attention=attention, studio=name)


def drawn(figures: ReportFigures, source_of: Callable[[int, bytes], str]) -> Report:
    """The report in all its forms. `source_of`: the `src` of a picture, by its number."""
    images = {
        series.kpi.label: vl_convert.svg_to_png(chart_svg(series), scale=2.0)
        for series in figures.series
    }
    named = {label: source_of(n, png) for n, (label, png) in enumerate(images.items(), start=1)}
    folder = files("kpi_platform.published.pages") / "report_page"
    template = (folder / "report.html").read_text(encoding="utf-8")
    page = report_html(figures, template, named)
    return Report(figures, page, report_text(figures), report_slack(figures), images)


def _inside(_: int, png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
