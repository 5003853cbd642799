"""The figures of the daily report: the newest complete day, or one named, beside those before it.

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
    """A KPI of the day, of the day before and of the same weekday before; None if there is none.

    `is_complete`: whether the day's value is not provisional; no value is none that may change.
    """

    kpi: Definition
    value: float | None
    day_before: float | None
    week_before: float | None
    is_complete: bool = True


@dataclass(frozen=True)
class Line:
    """A studio, or a game of the one studio that is told of, and its figures, in their order."""

    name: str
    figures: tuple[Figure, ...]
    studio: str = ""
    game: str = "all"


@dataclass(frozen=True)
class Series:
    """A KPI of the whole report by day, oldest first; a provisional day is marked."""

    kpi: Definition
    days: tuple[tuple[date, float | None, bool], ...]


@dataclass(frozen=True)
class ReportFigures:
    """Everything that a daily report says. `day` is None before a day is complete.

    `portfolio`: of everything that is told of; `studios`: its parts, which are games if it is of
    one studio alone: `studio` is its name, `studio_key` its key. `missing`: what the day waits for;
    `corrections`: what was told and is otherwise now: both are said before all else.
    """

    day: date | None
    now: datetime | None
    portfolio: tuple[Figure, ...]
    studios: tuple[Line, ...]
    series: tuple[Series, ...]
    attention: tuple[str, ...]
    studio: str = ""
    studio_key: str = "all"
    missing: str = ""
    corrections: tuple[str, ...] = ()


def report_figures(
    tables: Mapping[str, pl.DataFrame],
    ledger: pl.DataFrame,
    now: datetime | None,
    names: Mapping[str, str],
    definitions: Sequence[Definition],
    day: date | None = None,
    studio: str = "all",
) -> ReportFigures:
    """The figures of `day`, or, without one, of the newest complete day.

    `ledger`: `hour_ledger`; `names`: of studios, or of games if one `studio` is told of, whose
    tables alone are given then; `definitions`: which KPIs the report shows, and how.
    """
    rows = tables.get("kpi_daily")
    total = None if rows is None else _grain(rows, studio, "all")
    if day is None and total is not None:
        newest = total.filter("is_complete")["date"].max()
        day = newest if isinstance(newest, date) else None
    if rows is None or total is None or day is None:
        attention = tuple(_ledger_attention(ledger))
        return ReportFigures(day, now, (), (), (), attention, studio_key=studio)
    is_one = studio != "all"
    total = _told(total, studio, "all", tables) if is_one else total
    parts = sorted(set(rows["game" if is_one else "studio"]) - {"all"})
    by_part = shown_in(definitions, "report_by_studio", "kpi_daily")
    lines = []
    for part in parts:
        whose, game = (studio, part) if is_one else (part, "all")
        own = _told(_grain(rows, whose, game), whose, game, tables)
        lines.append(Line(names.get(part) or part, _figures(own, day, by_part), whose, game))
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
        tuple(_attention(tables, ledger, day, studio)),
        studio_key=studio,
    )


def _grain(rows: pl.DataFrame, studio: str, game: str) -> pl.DataFrame:
    return rows.filter(
        pl.col("studio") == studio, pl.col("game") == game, pl.col("platform") == "all"
    )


def _told(
    rows: pl.DataFrame, studio: str, game: str, tables: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """The rows of a studio or game without the KPIs that it never tells: no crash is no 100 %."""
    coverage = tables.get("kpi_coverage")
    if coverage is None:
        return rows
    silent = _grain(coverage, studio, game).filter(~pl.col("is_available"))["kpi"]
    return rows.with_columns(pl.lit(None).alias(n) for n in rows.columns if n in set(silent))


def _figures(rows: pl.DataFrame, day: date, kpis: Sequence[Definition]) -> tuple[Figure, ...]:
    before, week = day - timedelta(days=1), day - timedelta(days=7)
    return tuple(
        Figure(
            kpi,
            _value(rows, day, kpi.kpi),
            _value(rows, before, kpi.kpi),
            _value(rows, week, kpi.kpi),
            is_complete=_is_complete(rows, day, kpi),
        )
        for kpi in kpis
        if kpi.kpi in rows.columns
    )


def _value(rows: pl.DataFrame, day: date, name: str) -> float | None:
    found = rows.filter(pl.col("date") == day)[name]
    return None if found.is_empty() or found[0] is None else float(found[0])


def _is_complete(rows: pl.DataFrame, day: date, kpi: Definition) -> bool:
    column = kpi.complete_by if kpi.complete_by in rows.columns else "is_complete"
    return all(rows.filter(pl.col("date") == day)[column])


def _series(rows: pl.DataFrame, kpi: Definition, day: date) -> Series:
    recent = rows.filter(pl.col("date") > day - timedelta(days=CHART_DAYS)).sort("date")
    days = recent.select("date", pl.col(kpi.kpi).cast(pl.Float64), ~pl.col("is_complete"))
    return Series(kpi, tuple(days.iter_rows()))


def _attention(
    tables: Mapping[str, pl.DataFrame], ledger: pl.DataFrame, day: date, studio: str
) -> list[str]:
    lines = [*_ledger_attention(ledger), *_restated(tables.get("kpi_restatements"), day, studio)]
    lines += _focus(tables.get("version_focus"))
    return lines[:_ATTENTION]


def _ledger_attention(ledger: pl.DataFrame) -> list[str]:
    """Failed hours and sources without lines in the newest day that was processed."""
    recent = ledger.filter(pl.col("p_ingest_date_utc") == pl.col("p_ingest_date_utc").max())
    by_source = recent.group_by("source").agg(
        pl.col("lines").sum(),
        failed=(pl.col("status") == "failed").sum(),
        day=pl.col("p_ingest_date_utc").max().cast(pl.String),
    )
    lines = []
    for row in by_source.sort("source").iter_rows(named=True):
        if row["failed"]:
            hours = "1 hour" if row["failed"] == 1 else f"{row['failed']} hours"
            lines.append(f"{row['source']}: {hours} of {row['day']} failed")
        if not row["lines"]:
            lines.append(f"{row['source']}: no data on {row['day']}")
    return lines


def _restated(rows: pl.DataFrame | None, day: date, studio: str) -> list[str]:
    """How many figures were changed after they had been published as complete, since the day."""
    if rows is None:
        return []
    since = rows.filter(pl.col("restated_at").dt.date() > day)
    total = _grain(since, studio, "all").height
    whole = "portfolio" if studio == "all" else "whole studio"
    return (
        [f"{since.height:,} published figures were restated, {total} of the {whole}"]
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
