"""Writes the world's warehouses and feeds, and what is true of both.

Belongs here: files and tables. Does not: what is in them.
"""

from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from kpi_platform.simulator.sources_file import WAREHOUSES
from kpi_platform.simulator.studios_data.feed_files import feed_tables, write_feeds
from kpi_platform.simulator.studios_data.studio_games import (
    GAMES,
    StudioEvent,
    StudioGame,
    make_events,
)
from kpi_platform.simulator.studios_data.studio_tables import Tables, tables_of
from kpi_platform.simulator.studios_data.studio_truth import truth_of
from kpi_platform.simulator.studios_data.studios_postgres import PostgresPlace

Events = dict[StudioGame, list[StudioEvent]]


def write_studios(
    out: Path,
    start: datetime,
    hours: int,
    players: int,
    seed: int,
    postgres: PostgresPlace | None = None,
) -> None:
    """Write `warehouses/` (or the tables in `postgres`), `feeds/` and `truth/source_*.parquet`
    below `out`.

    `truth/source_hours`, `source_sessions`, `source_intervals` continue the tables without the
    prefix; `source_events` has every usable event of warehouses and console feeds, and
    `stream_stats` the figures of stream feeds.
    """
    start_ms = round(start.timestamp() * 1000)
    events = {game: make_events(game, seed, start_ms, hours, players) for game in GAMES}
    if postgres is None:
        write_duckdb(out / WAREHOUSES, events)
    else:
        postgres.fill({game.schema: tables_of(game, of_game) for game, of_game in events.items()})
    studios = truth_of(events, start_ms, hours)
    feeds = feed_tables(write_feeds(out / "feeds", seed, start, hours, players), hours)
    columns = [
        "source",
        "studio",
        "game",
        "event_name",
        "event_at",
        "player_id",
        "currency",
        "amount",
    ]
    both_hours = pl.concat([studios["hours"], feeds["hours"]], how="diagonal")
    both_events = [studios["events"].select(columns), feeds["events"].select(columns)]
    tables = {
        "source_hours": _dated(both_hours, start),
        "source_events": pl.concat(both_events).sort(columns),
        "source_sessions": studios["sessions"],
        "source_intervals": studios["intervals"],
        "stream_stats": feeds["stream_stats"],
    }
    for name, table in tables.items():
        table.write_parquet(out / "truth" / f"{name}.parquet")


def write_duckdb(folder: Path, events: Events) -> None:
    """Write one DuckDB file per studio, a schema per game."""
    folder.mkdir(parents=True)
    for game, told in events.items():
        with duckdb.connect(str(folder / f"{game.studio}.duckdb")) as con:
            _fill(con, game.schema, tables_of(game, told))


def _fill(con: duckdb.DuckDBPyConnection, schema: str, tables: Tables) -> None:
    con.execute(f"create schema {_quoted(schema)}")
    for name, rows in tables.items():
        con.register("incoming", rows.to_arrow())
        con.execute(f"create table {_quoted(schema)}.{_quoted(name)} as from incoming")
        con.unregister("incoming")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _dated(hours: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """Name the hours as the ledger does."""
    at = pl.lit(start.replace(tzinfo=None)) + pl.duration(hours=pl.col("hour"))
    return hours.with_columns(
        p_ingest_date_utc=at.dt.date(), p_ingest_hour_utc=at.dt.hour().cast(pl.Int32)
    ).select(
        "source",
        "p_ingest_date_utc",
        "p_ingest_hour_utc",
        *("files", "truncated_files", "lines", "rows", "quarantined", "unreadable_files"),
        *("duplicates", "left_out"),
    )
