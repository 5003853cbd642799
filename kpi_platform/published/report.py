"""The daily report of a lake: its figures read once, in three forms with their charts.

Belongs here: reading the template and drawing the charts' pictures. Does not: the figures, their
words, where the report is kept, and sending it.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import vl_convert

from kpi_platform.published.dashboard import Inputs
from kpi_platform.published.open_incidents import incident_lines
from kpi_platform.published.report_figures import ReportFigures, report_figures
from kpi_platform.published.report_words import (
    chart_svg,
    report_html,
    report_slack,
    report_text,
)
from kpi_platform.schemas.kpi_definitions import read_definitions
from kpi_platform.schemas.sources import Sources


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
    names = {studio.key: studio.name for studio in sources.studios}
    figures = report_figures(
        inputs.tables, inputs.ledger, inputs.now, names, read_definitions(manifest)
    )
    attention = (*incident_lines(inputs.incidents), *figures.attention)
    figures = replace(figures, attention=attention)
    images = {
        series.kpi.label: vl_convert.svg_to_png(chart_svg(series), scale=2.0)
        for series in figures.series
    }
    embedded = {
        label: f"data:image/png;base64,{base64.b64encode(png).decode()}"
        for label, png in images.items()
    }
    folder = files("kpi_platform.published") / "report_page"
    template = (folder / "report.html").read_text(encoding="utf-8")
    page = report_html(figures, template, embedded)
    return Report(figures, page, report_text(figures), report_slack(figures), images)
