"""What others do with the same sightings: a real dbt snapshot and a hand-written SCD2 MERGE.

Belongs here: both peers, each as good as its own documentation makes it. Does not: judging them.

Both see, hour by hour as it arrives, what a pipeline without our attribution sees: the players
named by the sign-ins that had arrived by then, and per player the last sighting of the hour.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb

Sighting = tuple[str, str, datetime]
Span = tuple[str, str, datetime, datetime | None]

_SNAPSHOT = """
snapshots:
  - name: versions
    relation: source('raw', 'sightings')
    config:
      unique_key: player_id
      strategy: check
      check_cols: [version]
      updated_at: seen_at
sources:
  - name: raw
    schema: main
    tables: [{name: sightings}]
"""
_PROJECT = """
name: peers
version: "1.0"
profile: peers
flags: {send_anonymous_usage_stats: false}
"""
_PROFILE = """
peers:
  target: here
  outputs:
    here: {type: duckdb, path: peers.duckdb, schema: main, settings: {TimeZone: UTC}}
"""
_HISTORY = "(player_id TEXT, version TEXT, valid_from TIMESTAMPTZ, valid_to TIMESTAMPTZ)"
# Closes the current row and adds the new one; a sighting older than the current row is not let
# in, which is what keeps intervals from ending before they begin.
_CLOSE = """
MERGE INTO history AS t USING sightings AS s
ON t.player_id = s.player_id AND t.valid_to IS NULL
WHEN MATCHED AND t.version <> s.version AND s.seen_at > t.valid_from
THEN UPDATE SET valid_to = s.seen_at
"""
_ADD = """
INSERT INTO history
SELECT s.player_id, s.version, s.seen_at, NULL FROM sightings AS s
LEFT JOIN history AS t ON t.player_id = s.player_id AND t.valid_to IS NULL
LEFT JOIN history AS h ON h.player_id = s.player_id AND h.valid_to > s.seen_at
WHERE t.player_id IS NULL AND h.player_id IS NULL
"""


def dbt_snapshot(folder: Path, loads: Sequence[Sequence[Sighting]]) -> list[Span]:
    """Run `dbt snapshot` after each load replaced the source table; return what it made."""
    (folder / "snapshots").mkdir(parents=True)
    for name, text in (
        ("dbt_project.yml", _PROJECT),
        ("profiles.yml", _PROFILE),
        ("snapshots/versions.yml", _SNAPSHOT),
    ):
        (folder / name).write_text(text)
    for load in loads:
        with duckdb.connect(str(folder / "peers.duckdb")) as connection:
            _replace_sightings(connection, load)
        subprocess.run(
            [Path(sys.executable).with_name("dbt"), "snapshot", "--quiet"],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "DBT_PROFILES_DIR": "."},
            check=True,
        )
    with duckdb.connect(str(folder / "peers.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(
            "SELECT player_id, version, dbt_valid_from, dbt_valid_to FROM versions "
            "ORDER BY player_id, dbt_valid_from"
        ).fetchall()


def merge_by_hand(loads: Sequence[Sequence[Sighting]]) -> list[Span]:
    """MERGE each load into an SCD2 table in DuckDB; return what it made."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE history {_HISTORY}")
        for load in loads:
            _replace_sightings(connection, load)
            connection.execute(_CLOSE)
            connection.execute(_ADD)
        return connection.execute("SELECT * FROM history ORDER BY 1, 3").fetchall()


def _replace_sightings(connection: duckdb.DuckDBPyConnection, load: Sequence[Sighting]) -> None:
    connection.execute(
        "CREATE OR REPLACE TABLE sightings (player_id TEXT, version TEXT, seen_at TIMESTAMPTZ)"
    )
    if load:
        connection.executemany("INSERT INTO sightings VALUES (?, ?, ?)", load)
