"""Brings `cleaned_events` up to date for changed hours and completes their ledger rows.

Belongs here: which raw rows an hour reads and the order of its commits. Does not: how a line
becomes an event, which is `events.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.cleaned.events import CleanedHour, clean_events
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint, text_fingerprint
from kpi_platform.schemas.sources import Sources
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.hour_fingerprints import read_consumed
from kpi_platform.storage.hour_ledger import mark_failed, write_ledger
from kpi_platform.storage.hour_steps import Done
from kpi_platform.storage.lake import Lake, hours_of

VERSION = "1"


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
        games = content_fingerprint(self._sources.select("source", "studio", "game"))
        return {hour: fingerprint(VERSION, games, item.content) for hour, item in consumed.items()}

    def weight(self, hour: datetime) -> int:
        """Readable lines of the hour."""
        return self._rows[hour]

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, [])

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' events and decode-stage quarantine, then complete their ledger."""
        raw = hours_of(self._lake.read_hours("raw_telemetry", hours), hours)
        cleaned = {hour: clean_events(rows, self._sources) for hour, rows in raw.items()}
        events = pl.concat([item.events for item in cleaned.values()])
        quarantined = pl.concat([item.quarantined for item in cleaned.values()])
        self._lake.replace_hours("cleaned_events", events, hours)
        self._lake.replace_hours("quarantined_events", quarantined, hours, "p_stage = 'decode'")
        self._complete_ledger(cleaned, hours)
        return {
            hour: Done(_content(item.events), item.events.height) for hour, item in cleaned.items()
        }

    def _complete_ledger(
        self, cleaned: Mapping[datetime, CleanedHour], hours: Sequence[datetime]
    ) -> None:
        """Fill in what only decoding tells, keeping what reading the files told."""
        counted = [
            _counts(item).with_columns(
                pl.lit(hour.date()).alias("p_ingest_date_utc"),
                pl.lit(hour.hour, pl.Int32).alias("p_ingest_hour_utc"),
            )
            for hour, item in cleaned.items()
        ]
        key = [*INGEST_HOUR, "source"]
        ledger = self._lake.read_hours("hour_ledger", hours)
        completed = ledger.join(
            pl.concat(counted), on=key, how="left", suffix="_counted"
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


def _counts(cleaned: CleanedHour) -> pl.DataFrame:
    """Per source what became of the readable lines of an hour."""
    events = cleaned.events.group_by("source").agg(
        pl.len().cast(pl.Int64).alias("rows"),
        pl.col("event_at").min().alias("min_event_at"),
        pl.col("event_at").max().alias("max_event_at"),
    )
    undecoded = cleaned.quarantined.group_by("source").agg(
        pl.len().cast(pl.Int64).alias("undecoded")
    )
    return cleaned.duplicates.join(events, on="source", how="left").join(
        undecoded, on="source", how="left"
    )


def _content(events: pl.DataFrame) -> str:
    """A hash of the events; their ids stand for everything that the lines say."""
    return text_fingerprint(
        events.select(
            pl.concat_str("event_id", "studio", "game", separator="\x1f", ignore_nulls=False)
        ).to_series()
    )
