"""Hours of events that two platforms take alike, and what is true of them.

Belongs here: drawing events, writing them as each side reads them, and the reference. Does not:
running anybody.

Each event says who played which version; no two of them at the same time. Our side gets the lines
as clients send them, the peer the same events as columns: what parsing costs is ours alone.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

START = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS, PLAYERS = 5_000, 2_000
LATE_BY = timedelta(hours=5)
HISTORIES = ("player_id", "version", "valid_from")
DAILY = ("date", "dau")
_HOUR_MS = 3_600_000


def events_of(number: int) -> pl.DataFrame:
    """The events of the hour of this number after `START`: id, player, time, version, hour."""
    row = pl.int_range(EVENTS, dtype=pl.UInt64)
    drawn = pl.select(row=row).with_columns(
        player=(pl.col("row") + number * EVENTS).hash(1) % PLAYERS,
        minor=(pl.col("row") + number * EVENTS).hash(2) % 2 + number // 4,
    )
    hour = START + timedelta(hours=number)
    return drawn.select(
        event_id=pl.format("e{}-{}", pl.lit(number), "row"),
        player_id=pl.format("p{}", "player"),
        event_at=pl.lit(hour) + pl.duration(milliseconds=pl.col("row") * _HOUR_MS // EVENTS),
        version=pl.format("1.{}", "minor"),
        ingest_hour=pl.lit(hour),
    )


def with_a_late_one(events: pl.DataFrame) -> pl.DataFrame:
    """The same and one event that happened `LATE_BY` before, on a version of its own."""
    late = events.head(1).with_columns(
        event_id=pl.format("{}-late", "event_id"),
        event_at=pl.col("event_at") - LATE_BY + pl.duration(milliseconds=1),
        version=pl.lit("0.9"),
    )
    return pl.concat([events, late])


def corrected(events: pl.DataFrame) -> pl.DataFrame:
    """The same without every tenth event."""
    return events.filter(pl.int_range(pl.len()) % 10 != 0)


def write_lines(events: pl.DataFrame, landing: Path) -> None:
    """The hour's file as clients send it; another one of the hour is replaced."""
    hour = events["ingest_hour"][0]
    path = landing / "game" / f"{hour:%Y/%m/%d/%H}" / "part.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    body = "{'Name': 'SoftwareVersion', 'Version': {}, 'Device': 'deck', 'PlayerId': '{}'}"
    opened, closed = body.split("{}", 1)[0], body.rsplit("{}", 1)[1]
    between = body.split("{}")[1]
    events.select(
        pl.lit("Telemetry"),
        pl.col("event_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000"),
        pl.lit("ClientApp").alias("service"),
        "event_id",
        pl.lit(1).alias("transaction"),
        pl.concat_str(
            pl.lit(opened), "version", pl.lit(between), "player_id", pl.lit(closed)
        ).alias("body"),
    ).write_csv(path, include_header=False, separator="\t", quote_style="never")


def write_columns(events: pl.DataFrame, folder: Path) -> None:
    """The hour's file as the peer reads it; another one of the hour is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    naive = events.with_columns(pl.col("event_at", "ingest_hour").dt.replace_time_zone(None))
    naive.write_parquet(folder / f"{events['ingest_hour'][0]:%Y-%m-%d-%H}.parquet")


def histories(events: pl.DataFrame) -> pl.DataFrame:
    """`HISTORIES` as they should be: one row per player and time at which the version changed."""
    ordered = events.sort("player_id", "event_at")
    before = pl.col("version").shift().over("player_id")
    changes = ordered.filter(pl.col("version").ne_missing(before))
    return changes.select("player_id", "version", valid_from="event_at").sort(HISTORIES)


def daily(events: pl.DataFrame) -> pl.DataFrame:
    """`DAILY` as it should be: players by day."""
    by_day = events.group_by(date=pl.col("event_at").dt.date())
    return by_day.agg(dau=pl.col("player_id").n_unique().cast(pl.Int64)).sort("date")
