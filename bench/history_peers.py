"""The peers of the version history's works, as anybody would write them with each library.

Belongs here: deltalake MERGE, DuckDB and Polars over the same files. Does not: ours.
"""

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bench.history_questions import asked, median_of, sampled_events
from bench.history_world import HOUR

if TYPE_CHECKING:
    import duckdb

from kpi_platform.cleaned.sessionization.session_parts import session_parts
from kpi_platform.cleaned.sessionization.sessions import fold_sessions
from kpi_platform.history.sightings import attribute_sightings, sightings
from kpi_platform.history.timeline import (
    fold_history,
    grow,
    runs_of,
    user_version_intervals,
)
from kpi_platform.schemas.diff import diff_rows
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake

_RUNS = """
CREATE TEMP TABLE runs AS
WITH seen AS (
  SELECT DISTINCT ON (event_id) source, service_name, session_id, event_at, transaction_id,
    version, device
  FROM read_parquet({sightings}) WHERE trim(session_id) <> ''
), attributed AS (
  SELECT x.player_id, s.service_name, coalesce(s.device, x.device, 'unknown') AS device, s.version,
    s.event_at, s.transaction_id, s.session_id
  FROM seen AS s ASOF JOIN read_parquet({sessions}) AS x
    ON s.source = x.source AND s.service_name = x.service_name AND s.session_id = x.session_id
    AND s.event_at >= x.started_at
  WHERE s.event_at <= x.ended_at AND x.player_id IS NOT NULL
), kept AS (
  SELECT * FROM attributed
  WINDOW track AS (PARTITION BY player_id, service_name, device
    ORDER BY event_at, transaction_id, session_id, version)
  QUALIFY lead(event_at) OVER track IS DISTINCT FROM event_at
), marked AS (
  SELECT *, CASE WHEN lag(version) OVER track IS DISTINCT FROM version THEN 1 ELSE 0 END AS starts
  FROM kept WINDOW track AS (PARTITION BY player_id, service_name, device ORDER BY event_at)
), numbered AS (
  SELECT *, sum(starts) OVER track AS run
  FROM marked WINDOW track AS (PARTITION BY player_id, service_name, device ORDER BY event_at)
), folded AS (
  SELECT player_id, service_name, device, run, any_value(version) AS version,
    min(event_at) AS valid_from, max(event_at) AS last_seen_at, count(*) AS sightings
  FROM numbered GROUP BY ALL
)
SELECT player_id, service_name, device, version, valid_from,
  lead(valid_from) OVER (PARTITION BY player_id, service_name, device ORDER BY run) AS valid_to,
  last_seen_at, sightings
FROM folded
"""
_INTERVALS = """
COPY (SELECT player_id, service_name, device, version, valid_from, valid_to FROM runs)
TO '{folder}/duckdb_intervals.parquet'
"""
_HISTORY = """
COPY (
  SELECT player_id, arg_max(version, (last_seen_at, service_name, device)) AS current_version,
    arg_max(device, (last_seen_at, service_name, device)) AS current_device,
    arg_max(service_name, (last_seen_at, service_name, device)) AS current_service,
    min(valid_from) AS first_seen_at, max(last_seen_at) AS last_seen_at,
    count(DISTINCT version) AS version_count,
    list({{'service_name': service_name, 'device': device, 'version': version,
      'valid_from': valid_from, 'valid_to': valid_to, 'last_seen_at': last_seen_at,
      'sightings': sightings}} ORDER BY service_name, device, valid_from) AS timeline
  FROM runs GROUP BY player_id
) TO '{folder}/duckdb_history.parquet'
"""
_AS_OF = """
SELECT e.player_id, e.service_name, e.device, e.at, i.version, i.valid_from, i.valid_to
FROM events AS e ASOF LEFT JOIN read_parquet({intervals}) AS i
  ON e.player_id = i.player_id AND e.service_name = i.service_name AND e.device = i.device
  AND e.at >= i.valid_from
"""
_LOOKUP = """
SELECT player_id, service_name, device, version, valid_from, valid_to
FROM read_parquet({intervals})
WHERE player_id = $1 AND valid_from <= $2 AND (valid_to IS NULL OR valid_to > $2)
ORDER BY service_name, device
"""


def merge(folder: Path, *_: str) -> None:
    """The hour's sessions, history and intervals by three MERGEs on their keys, with our folds.

    It leaves out what keeps late and corrected hours right: parts, sightings and the queue. That
    sessions are looked for among those of the same day only, it is told: else it reads them all.
    """
    lake = Lake(str(folder))
    events = lake.read_hours("cleaned_events", [HOUR])
    sessions = fold_sessions(
        session_parts(events, ["PlayerId"], timedelta(hours=24)), timedelta(hours=24)
    )
    _merge(lake, "sessions", sessions)
    won = attribute_sightings(sightings(events, ["PlayerId"]), sessions)
    players = won.lazy().select("player_id").unique()
    table = lake.scan("user_version_history")
    old = table.join(players, on="player_id", how="semi").collect(engine="streaming")
    runs = runs_of(old)
    grown = grow(runs, won)
    before, after = user_version_intervals(runs), user_version_intervals(grown)
    upserts, _deletes = diff_rows(before, after, TABLES["user_version_intervals"].row_keys)
    _merge(lake, "user_version_intervals", upserts)
    _merge(lake, "user_version_history", fold_history(grown))


def _merge(lake: Lake, table: str, rows: pl.DataFrame) -> None:
    target = lake.open(table)
    assert target is not None
    started = time.monotonic()
    on = " AND ".join(f"t.{name} = s.{name}" for name in TABLES[table].keys)
    if table == "sessions":
        days = rows["p_started_date_utc"].unique().sort()
        named = ", ".join(f"'{day}'" for day in days)
        on += f" AND t.p_started_date_utc IN ({named})"
    merger = target.merge(rows, on, source_alias="s", target_alias="t")
    merger.when_matched_update_all().when_not_matched_insert_all().execute()
    sys.stdout.write(f"MERGE of {table}: {time.monotonic() - started:.1f} s\n")


def duckdb_rebuild(folder: Path, *_: str) -> None:
    """Intervals and history by window functions, from sightings and sessions."""
    connection = _connect(folder)
    files = {name: _files(folder, name) for name in ("sightings", "sessions")}
    connection.execute(_RUNS.format(**files))
    for statement in (_INTERVALS, _HISTORY):
        connection.execute(statement.format(folder=folder))


def duckdb_lookup(folder: Path, players: str, *_: str) -> float:
    """The version of one player after the other, in one connection."""
    connection = _connect(folder)
    query = _LOOKUP.format(intervals=_files(folder, "user_version_intervals"))

    def ask(player: str, at: object) -> int:
        return len(connection.execute(query, [player, at]).fetchall())

    return median_of(ask, asked(int(players)))


def duckdb_as_of(folder: Path, players: str, *_: str) -> float:
    """ASOF JOIN over the files."""
    events = sampled_events(int(players))
    connection = _connect(folder)
    started = time.monotonic()
    query = _AS_OF.format(intervals=_files(folder, "user_version_intervals"))
    rows = connection.execute(query).to_arrow_table()
    assert rows is not None and len(rows) == events.height
    return time.monotonic() - started


def polars_as_of(folder: Path, players: str, *_: str) -> float:
    """`join_asof` with all intervals."""
    events = sampled_events(int(players))
    started = time.monotonic()
    table = Lake(str(folder)).scan("user_version_intervals").drop("p_state", "p_month")
    rows = (
        events.lazy()
        .sort("at")
        .join_asof(
            table.sort("valid_from"),
            left_on="at",
            right_on="valid_from",
            by=["player_id", "service_name", "device"],
            check_sortedness=False,
        )
        .collect()
    )
    assert rows.height == events.height
    return time.monotonic() - started


def _connect(folder: Path) -> "duckdb.DuckDBPyConnection":
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET temp_directory = '{folder}/duckdb'; SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = false")
    return connection


def _files(folder: Path, table: str) -> str:
    target = Lake(str(folder)).open(table)
    assert target is not None
    return str([uri.removeprefix("file://") for uri in target.file_uris()])


WORKS: dict[str, Callable[..., float | None]] = {
    "merge": merge,
    "duckdb_rebuild": duckdb_rebuild,
    "duckdb_lookup": duckdb_lookup,
    "duckdb_as_of": duckdb_as_of,
    "polars_as_of": polars_as_of,
}

if __name__ == "__main__":
    begun = time.monotonic()
    seconds = WORKS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
    sys.stdout.write(f"worked {time.monotonic() - begun if seconds is None else seconds}\n")
