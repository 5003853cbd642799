"""The figures of the daily report: the newest complete day beside the days before it.

Belongs here: which day is told of, its figures and what needs attention. Does not: their words in
HTML, text or Slack, and reading tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from kpi_platform.schemas.kpi_definitions import Definition, shown_in

CHART_DAYS = 28
_ATTENTION = 12


@dataclass(frozen=True)
class Figure:
    """A KPI of the day, of the day before and of the same weekday before; None if there is none."""

    kpi: Definition
    value: float | None
    day_before: float | None
    week_before: float | None


@dataclass(frozen=True)
class Line:
    """A studio or game (then with its studio's name) and its figures, in their order."""

    name: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Series:
    """A KPI of the portfolio by day, oldest first; a provisional day is marked."""

    kpi: Definition
    days: tuple[tuple[date, float | None, bool], ...]


@dataclass(frozen=True)
class ReportFigures:
    """Everything that a daily report says. `day` is None before a day is complete."""

    day: date | None
    now: datetime | None
    portfolio: tuple[Figure, ...]
    studios: tuple[Line, ...]
    series: tuple[Series, ...]
    attention: tuple[str, ...]


def report_figures(
    tables: Mapping[str, pl.DataFrame],
    ledger: pl.DataFrame,
    now: datetime | None,
    studio_names: Mapping[str, str],
    definitions: Sequence[Definition],
) -> ReportFigures:
    """The figures of the newest complete day. `ledger`: `hour_ledger`; names by studio key;
    `definitions`: which KPIs the report shows, and how."""
    rows = tables.get("kpi_daily")
    total = None if rows is None else _grain(rows, "all", "all")
    day = None if total is None else total.filter("is_complete")["date"].max()
    if rows is None or total is None or not isinstance(day, date):
        return ReportFigures(None, now, (), (), (), tuple(_ledger_attention(ledger)))
    studios = sorted(set(rows["studio"]) - {"all"})
    by_studio = shown_in(definitions, "report_by_studio", "kpi_daily")
    lines = [
        Line(
            studio_names.get(studio) or studio,
            _figures(_told(_grain(rows, studio, "all"), studio, tables), day, by_studio),
        )
        for studio in studios
    ]
    return ReportFigures(
        day,
        now,
        _figures(total, day, shown_in(definitions, "report", "kpi_daily")),
        tuple(sorted(lines, key=lambda line: -(line.figures[0].value or 0))),
        tuple(
            _series(total, kpi, day)
            for kpi in shown_in(definitions, "report_charts", "kpi_daily")
            if kpi.kpi in rows.columns
        ),
        tuple(_attention(tables, ledger, day)),
    )


def _grain(rows: pl.DataFrame, studio: str, game: str) -> pl.DataFrame:
    return rows.filter(
        pl.col("studio") == studio, pl.col("game") == game, pl.col("platform") == "all"
    )


def _told(rows: pl.DataFrame, studio: str, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The rows of a studio without the KPIs that none of its games tells: no crash is no 100 %."""
    coverage = tables.get("kpi_coverage")
    if coverage is None:
        return rows
    silent = _grain(coverage, studio, "all").filter(~pl.col("is_available"))["kpi"]
    return rows.with_columns(pl.lit(None).alias(n) for n in rows.columns if n in set(silent))


def _figures(rows: pl.DataFrame, day: date, kpis: Sequence[Definition]) -> tuple[Figure, ...]:
    return tuple(
        Figure(kpi, *(_value(rows, day - timedelta(days=n), kpi.kpi) for n in (0, 1, 7)))
        for kpi in kpis
        if kpi.kpi in rows.columns
    )


def _value(rows: pl.DataFrame, day: date, name: str) -> float | None:
    found = rows.filter(pl.col("date") == day)[name]
    return None if found.is_empty() or found[0] is None else float(found[0])


def _series(rows: pl.DataFrame, kpi: Definition, day: date) -> Series:
    recent = rows.filter(pl.col("date") > day - timedelta(days=CHART_DAYS)).sort("date")
    days = recent.select("date", pl.col(kpi.kpi).cast(pl.Float64), ~pl.col("is_complete"))
    return Series(kpi, tuple(days.iter_rows()))


def _attention(tables: Mapping[str, pl.DataFrame], ledger: pl.DataFrame, day: date) -> list[str]:
    found = [*_ledger_attention(ledger), *_restated(tables.get("kpi_restatements"), day)]
    found += _focus(tables.get("version_focus"))
    return found[:_ATTENTION]


def _ledger_attention(ledger: pl.DataFrame) -> list[str]:
    """Failed hours and sources without lines in the newest day that was processed."""
    recent = ledger.filter(pl.col("p_ingest_date_utc") == pl.col("p_ingest_date_utc").max())
    by_source = recent.group_by("source").agg(
        pl.col("lines").sum(),
        failed=(pl.col("status") == "failed").sum(),
        day=pl.col("p_ingest_date_utc").max().cast(pl.String),
    )
    found = []
    for row in by_source.sort("source").iter_rows(named=True):
        if row["failed"]:
            hours = "1 hour" if row["failed"] == 1 else f"{row['failed']} hours"
            found.append(f"{row['source']}: {hours} of {row['day']} failed")
        if not row["lines"]:
            found.append(f"{row['source']}: no data on {row['day']}")
    return found


def _restated(rows: pl.DataFrame | None, day: date) -> list[str]:
    """How many figures were changed after they had been published as complete, since the day."""
    if rows is None:
        return []
    since = rows.filter(pl.col("restated_at").dt.date() > day)
    total = since.filter(
        pl.col("studio") == "all", pl.col("game") == "all", pl.col("platform") == "all"
    )
    return (
        [f"{since.height:,} published figures were restated, {total.height} of the portfolio"]
        if since.height
        else []
    )


def _focus(rows: pl.DataFrame | None) -> list[str]:
    """The first thing to fix of every service's newest version, if it got worse."""
    if rows is None:
        return []
    worse = rows.filter("is_newest", pl.col("direction") == "worse", pl.col("kind") != "feature")
    first = worse.sort("service_name", "priority").unique("service_name", maintain_order=True)
    return [
        f"{row['service_name']} {row['version']}: {row['kind']} {row['name']} affects"
        f" {row['players_affected']:,} players, more than on {row['previous_version']}"
        for row in first.iter_rows(named=True)
    ]
