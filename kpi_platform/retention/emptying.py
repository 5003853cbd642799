"""Keeps what was made of days, then takes their events away; killed at any moment, the next run
completes it.

Belongs here: the order of commits. Does not: which days and hours (`events.py`).

First the days are closed: whoever begins to work on an hour from then on changes nothing of them.
Whoever had begun before has made the hour's fingerprints be forgotten, and the days are let be.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime

import polars as pl

from kpi_platform.engine.books.kept_days import (
    Closed,
    close_days,
    note_emptied,
    note_kept,
    open_days,
)
from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.loading.kept_rows import KEPT_ROWS, PURCHASES, rows_to_keep
from kpi_platform.kpis.loading.told_values import told_values
from kpi_platform.retention.events import EVENTS, Events, unsettled_hours, what_is_not_built_in
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.storage.kpi_database.embedded import connect
from kpi_platform.storage.lake.lake import Lake, hours_in
from kpi_platform.storage.lake.locks import file_lock, warehouse_lock

HOURS_AT_A_TIME = 240
_EVER = date(1, 1, 1)


def keep_days(platform: Platform, wanted: Closed, kept: Closed | None, at: datetime) -> str:
    """Keep these days; if a run is working on them, why they are not, and nothing is changed."""
    lake = platform.lake
    close_days(lake, wanted, at)
    if hours := unsettled_hours(platform, wanted):
        open_days(lake)
        return f"a run is working on {hours[0]:%Y-%m-%d-%H:%M}"
    path = platform.settings.warehouse_file
    with file_lock(warehouse_lock(path)), connect(path) as con:
        if reason := what_is_not_built_in(platform, con):
            open_days(lake)
            return reason
        after = kept.through if kept else _EVER
        # Of a run that was killed.
        lake.delete(KEPT_ROWS, f"event_date > '{after}'")
        for rows in rows_to_keep(con, after, wanted.through):
            lake.append(KEPT_ROWS, rows)
        for rows in _purchases(lake, after, wanted):
            lake.append(KEPT_ROWS, rows)
        note_kept(lake, wanted, at)
    return ""


def empty_hours(
    platform: Platform, found: Events, progress: Callable[[str, int, int], None]
) -> None:
    """Take the events of these hours away, all of their days being kept."""
    lake, hours, done = platform.lake, found.hours, 0
    nothing = pl.DataFrame(schema=TABLES[EVENTS].polars_schema)
    for some in _pieces(hours):
        note_emptied(lake, {hour: found.hour_rows[hour] for hour in some})
        lake.replace_hours(EVENTS, nothing, some)
        done += len(some)
        progress("hours without their events", done, len(hours))


def _purchases(lake: Lake, after: date, wanted: Closed) -> list[pl.DataFrame]:
    """The purchases of these days, which refunds of later ones may name."""
    rows = lake.scan("hour_ledger").filter(pl.col(INGEST_HOUR[0]) <= wanted.before.date())
    rows = rows.filter(
        pl.col("max_event_at").dt.date() > after, pl.col("min_event_at").dt.date() <= wanted.through
    )
    hours = hours_in(rows.select(INGEST_HOUR).unique().collect())
    day = pl.col("event_at").dt.date()
    found = []
    for some in _pieces(hours):
        events = lake.scan_hours(EVENTS, some).filter(
            pl.col("event_name") == "Purchase", day > after, day <= wanted.through
        )
        named = told_values(events.collect()).filter(
            pl.col("purchase_id").is_not_null(), pl.col("refund_of").is_null()
        )
        at = pl.col("event_at").dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
        contents = pl.struct("source", "purchase_id", event_at=at).struct.json_encode()
        kept = named.select(model=pl.lit(PURCHASES), event_date=day, contents=contents).unique()
        if kept.height:
            found.append(kept)
    return found


def _pieces(hours: Sequence[datetime]) -> list[Sequence[datetime]]:
    return [hours[n : n + HOURS_AT_A_TIME] for n in range(0, len(hours), HOURS_AT_A_TIME)]
