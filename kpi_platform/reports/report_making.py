"""One report of one day, as it is written down: figures, what is missing, what was told otherwise.

Belongs here: putting it together from the tables. Does not: when it is made (`report_round.py`),
and the rules, which are pure modules.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import polars as pl

from kpi_platform.delivery.messages import Letter
from kpi_platform.engine.platform import Platform
from kpi_platform.published.pages.dashboard import Inputs
from kpi_platform.published.pages.report import drawn, figures_of
from kpi_platform.published.pages.report_figures import ReportFigures
from kpi_platform.published.pages.report_words import titled
from kpi_platform.reports.corrections import (
    TABLE,
    Corrections,
    corrections,
    figures_now,
    figures_told,
)
from kpi_platform.reports.due_days import is_whole
from kpi_platform.reports.missing import missing_of
from kpi_platform.reports.report_settings import Reports
from kpi_platform.reports.report_tables import (
    DAILY,
    month_of,
    read_arrivals,
    read_days,
    read_report_inputs,
    read_restated_days,
    read_told,
)
from kpi_platform.schemas.kpi_definitions import read_definitions
from kpi_platform.schemas.tables import TABLES

_PICTURE = "chart-{}@kpi-platform"


@dataclass(frozen=True)
class Known:
    """What is kept between the reports of one kind: the newest day that was told, the days of which
    figures may yet have to be told anew, and until when restatements were looked at."""

    last: date | None = None
    waiting: tuple[date, ...] = ()
    restated_until: datetime | None = None


def is_day_whole(
    parts: Platform, manifest: Mapping[str, Any], rows: pl.DataFrame | None, day: date, report: str
) -> bool:
    """Whether the rows of `kpi_daily` of the day, platforms together, are complete for all that the
    report shows."""
    if rows is None or rows.is_empty():
        return False
    ledger = pl.DataFrame(schema=TABLES["hour_ledger"].polars_schema)
    inputs = Inputs({DAILY: rows.filter(pl.col("date") == day)}, ledger, ())
    return is_whole(figures_of(inputs, parts.sources, manifest, day, report))


def make_report_row(
    parts: Platform,
    manifest: Mapping[str, Any],
    reports: Reports,
    asked: tuple[str, date],
    known: Known,
    at: datetime,
) -> dict[str, object]:
    """The row of `daily_reports` of what is asked for, a report and a day, as things stand."""
    report, day = asked
    restated, until = read_restated_days(parts.lake, known.restated_until)
    inputs = read_report_inputs(parts.lake, day)
    figures = figures_of(inputs, parts.sources, manifest, day, report)
    whole = is_whole(figures)
    if not whole:
        runs, books = read_arrivals(parts)
        start = parts.settings.start_hour.replace(tzinfo=None)
        figures = replace(figures, missing=missing_of(day, start, runs, books, report, figures))
    days = sorted({*known.waiting, *(each for each in restated if each < day)})
    corrected = _corrections(parts, manifest, reports, inputs, asked, days)
    told = pl.concat([figures_told(figures), corrected.told])
    figures = replace(figures, corrections=corrected.lines)
    drawing = drawn(figures, lambda number, _: f"cid:{_PICTURE.format(number)}")
    pictures = {
        _PICTURE.format(n): base64.b64encode(png).decode()
        for n, png in enumerate(drawing.images.values(), start=1)
    }
    waiting = sorted({*corrected.waiting, *([] if whole else [day])})
    return {
        "report": report,
        "day": day,
        "made_at": at,
        "is_complete": whole,
        "subject": _subject(figures, day),
        "text": drawing.text,
        "page": drawing.html,
        "pictures": json.dumps(pictures),
        "told": told.write_json(),
        "waiting_days": " ".join(str(each) for each in waiting),
        "restated_until": until,
        "p_month": month_of(day),
    }


def known_after(row: Mapping[str, Any]) -> Known:
    """What is known once the report of a row is told."""
    waiting = tuple(date.fromisoformat(text) for text in str(row["waiting_days"]).split())
    return Known(row["day"], waiting, row["restated_until"])


def told_in(row: Mapping[str, Any]) -> pl.DataFrame:
    """The figures that the report of a row tells, as `Corrections.told`."""
    names = ["day", "studio", "game", "kpi", "value", "is_complete"]
    schema = {name: TABLES[TABLE].polars_schema[name] for name in names}
    found = pl.DataFrame(json.loads(str(row["told"])), schema=schema | {"day": pl.String})
    return found.with_columns(pl.col("day").str.to_date())


def letter_of(row: Mapping[str, Any], operator: str) -> Letter:
    """What a mail of the report of a row carries."""
    pictures = json.loads(str(row["pictures"]))
    images = tuple((name, base64.b64decode(text)) for name, text in pictures.items())
    return Letter(str(row["page"]), images, operator)


def _corrections(
    parts: Platform,
    manifest: Mapping[str, Any],
    reports: Reports,
    inputs: Inputs,
    asked: tuple[str, date],
    days: Sequence[date],
) -> Corrections:
    report, today = asked
    daily = read_days(parts.lake, days) if days else None
    if daily is None:
        return Corrections()
    told = read_told(parts.lake, report, days)
    definitions = read_definitions(manifest)
    now = figures_now(daily, inputs.tables.get("kpi_coverage"), definitions)
    names = {game.key: game.name for each in parts.sources.studios for game in each.games}
    names |= {studio.key: studio.name for studio in parts.sources.studios}
    return corrections(told, now, reports.limit, definitions, names, today)


def _subject(figures: ReportFigures, day: date) -> str:
    missing = " (not complete)" if figures.missing else ""
    corrected = " (corrects earlier ones)" if figures.corrections else ""
    return f"{titled(figures)}, {day}{missing}{corrected}"
