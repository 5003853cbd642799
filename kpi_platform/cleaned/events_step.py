"""Brings `cleaned_events` up to date for changed hours and completes their ledger rows.

Belongs here: which raw rows an hour reads and the order of its commits. Does not: how a line
becomes an event, which is `events.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.cleaned.events import EventCleaner
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.sources import Sources
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.hour_fingerprints import read_consumed
from kpi_platform.storage.hour_ledger import mark_failed, write_ledger
from kpi_platform.storage.hour_steps import Done
from kpi_platform.storage.lake import Lake, hours_of

VERSION = "3"
LINES_AT_A_TIME = 100_000
# What identifies an hour's events: an event's id stands for everything that its line says.
_CONTENT = ("source", "studio", "game", "rows", "ids_low", "ids_high")


class EventsStep:
    """The hourly work of `cleaned_events`, its quarantined lines and the rest of the ledger."""

    table = "cleaned_events"

    def __init__(self, lake: Lake, sources: Sources) -> None:
        self._lake = lake
        self._sources = sources.frame()
        self._rows: dict[datetime, int] = {}

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """The content of `raw_telemetry`, and which studio and game each source belongs to."""
        consumed = read_consumed(self._lake, "raw_telemetry", hours)
        self._rows = {hour: item.rows for hour, item in consumed.items()}
        ledger = hours_of(self._lake.read_hours("hour_ledger", hours), hours)
        return {
            hour: fingerprint(VERSION, self._games(ledger[hour]["source"]), item.content)
            for hour, item in consumed.items()
        }

    def _games(self, sources: pl.Series) -> str:
        """A hash of the games of these sources: others cannot change what an hour holds."""
        names = pl.col("source").is_in(sources.implode())
        return content_fingerprint(self._sources.filter(names).select("source", "studio", "game"))

    def weight(self, hour: datetime) -> int:
        """Readable lines of the hour."""
        return self._rows[hour]

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, [])

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' events and decode-stage quarantine, then complete their ledger."""
        cleaner = EventCleaner(self._sources)
        cleaner.add_all(self._lake.read_hours_in_parts("raw_telemetry", hours, LINES_AT_A_TIME))
        self._lake.stream_hours("cleaned_events", cleaner.events, hours)
        self._lake.replace_hours(
            "quarantined_events", cleaner.quarantined(), hours, "p_stage = 'decode'"
        )
        accounts = cleaner.accounts()
        self._complete_ledger(accounts, hours)
        by_hour = hours_of(accounts.join(self._sources, on="source", how="left"), hours)
        return {
            hour: Done(content_fingerprint(counted.select(_CONTENT)), int(counted["rows"].sum()))
            for hour, counted in by_hour.items()
        }

    def _complete_ledger(self, accounts: pl.DataFrame, hours: Sequence[datetime]) -> None:
        """Fill in what only decoding tells, keeping what reading the files told."""
        ledger = self._lake.read_hours("hour_ledger", hours)
        completed = ledger.join(
            accounts, on=[*INGEST_HOUR, "source"], how="left", suffix="_counted"
        ).with_columns(
            pl.lit("processed").alias("status"),
            pl.lit(None, pl.String).alias("error"),
            pl.col("rows_counted").fill_null(0).alias("rows"),
            pl.col("duplicates_counted").fill_null(0).alias("duplicates"),
            (pl.col("quarantined_on_read") + pl.col("undecoded").fill_null(0)).alias("quarantined"),
            pl.col("min_event_at_counted").alias("min_event_at"),
            pl.col("max_event_at_counted").alias("max_event_at"),
        )
        write_ledger(self._lake, completed, hours)
