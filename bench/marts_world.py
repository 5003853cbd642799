"""A warehouse filled as the load fills it: days of telemetry of six games, and the next hours.

Belongs here: what the benchmarks of the marts build on. Does not: running dbt on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from kpi_platform.kpis.loading.event_rows import EventRows
from kpi_platform.kpis.loading.load import EVENTS, LOADED, Key, LakeTable, LoadReport, load
from kpi_platform.kpis.loading.slices import all_days
from kpi_platform.kpis.loading.window import window_frames
from kpi_platform.storage.kpi_database import events_file
from kpi_platform.storage.kpi_database.embedded import connect, loaded_partitions

START = datetime(2026, 1, 1)  # noqa: DTZ001 (the warehouse is naive)
DAY = timedelta(days=1)
# Nothing arrives later than a day and an hour after it happened, and no session lasts longer.
REACH = 3
GAMES = 6
EVENTS_PER_PLAYER_DAY = 23.4
# Of the players of a day three of four are steady ones, who come on a fifth of the days.
STEADY, NEWCOMERS = 3.75, 0.07
ATTRIBUTES = ("PlayerId",)
_HERE = Path(__file__).parent
# The relation (of the SQL beside this) that each table comes from, and the key of its partitions.
_BY_DAY = {
    EVENTS: ("arrived", "ingest_hour::date || '/' || hour(ingest_hour)"),
    "sessions": ("folded", "started_at::date::varchar"),
}
_WHOLE = {
    "hour_ledger": ("ledger", "p_ingest_date_utc::varchar"),
    "stream_stats": ("streams", "hour::date::varchar"),
    "user_version_history": ("histories", "date_trunc('week', last_seen_at)::date::varchar"),
    "user_version_intervals": ("intervals", "date_trunc('month', valid_from)::date::varchar"),
}


def sources() -> pl.DataFrame:
    """Six games of three studios, and the feed of a console platform."""
    games = [(f"game-{n}", f"studio-{n // 2}", f"game-{n}", "telemetry") for n in range(GAMES)]
    rows = [*games, ("console", "platform", "console", "console")]
    always = pl.lit(None, pl.Datetime("us", "UTC"))
    found = pl.DataFrame(rows, schema=["source", "studio", "game", "kind"], orient="row")
    return found.with_columns(player_ids=pl.lit("global"), since=always, until=always)


@contextmanager
def open_world(path: Path, events_per_day: int) -> Iterator["MartsWorld"]:
    """The warehouse at `path`, as part of this world."""
    with connect(path) as con:
        yield MartsWorld(con, path, events_per_day)


class MartsWorld:
    """An open warehouse that is, or gets, filled with days of so many events each."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path, events_per_day: int) -> None:
        self._con = con
        self._path = path
        players = events_per_day / EVENTS_PER_PLAYER_DAY
        con.execute(f"set variable steady = {round(players * STEADY)}")
        con.execute(f"set variable newcomers = {round(players * NEWCOMERS)}")

    def fill(self, through: datetime) -> None:
        """Load everything that arrives up to and with the ingest hour `through`."""
        load(self._con, [], sources(), ATTRIBUTES)
        self._con.execute("create schema if not exists bench")
        self._con.execute(
            "create table bench.sightings (player_id varchar, service_name varchar,"
            " device varchar, version varchar, event_at timestamp, ingest_hour timestamp)"
        )
        self._set_hour(through)
        for day in range(_day(through) + 1):
            self._make_day(day, "true")
            self._keep("true", is_first=not day)
            self._insert("sessions", *_BY_DAY["sessions"])
        load(self._con, [self._events()], sources(), ATTRIBUTES)
        self._con.execute((_HERE / "marts_world.sql").read_text())
        for name, place in _WHOLE.items():
            self._insert(name, *place)

    def arrive(self, hour: datetime) -> LoadReport:
        """Load the ingest hour `hour`, which comes after those that did."""
        self._set_hour(hour)
        first = max(0, _day(hour) - REACH)
        for day in range(first, _day(hour) + 1):
            self._make_day(day, f"ingest_hour = timestamp '{hour}'")
            self._keep(f"ingest_hour = timestamp '{hour}'")
            how = "create or replace temp table {} as" if day == first else "insert into {}"
            self._con.execute(f"{how.format('new_sessions')} select * from folded")
        self._con.execute((_HERE / "marts_world.sql").read_text())
        # Of the first of these days sessions may be missing, and all its events came long ago.
        since = START + (first + 1) * DAY if first else START
        sessions = ("new_sessions", _BY_DAY["sessions"][1], f"started_at >= timestamp '{since}'")
        tables = [self._events(), self._table("sessions", *sessions, hour)]
        tables += [self._table(name, *place, "true", hour) for name, place in _WHOLE.items()]
        return load(self._con, tables, sources(), ATTRIBUTES)

    def lay_down_events(self, *, everything: bool) -> None:
        """Put the events of a run where its models read them."""
        rows = EventRows.of(sources(), ATTRIBUTES)
        days = all_days(self._con) if everything else None
        frames = window_frames(self._con, self._events(), rows, days)
        events_file.lay_down(self._con, self._path, frames)

    def _keep(self, arrived: str, *, is_first: bool = False) -> None:
        """Put what arrived of a day into the lake."""
        key = _BY_DAY[EVENTS][1]
        how = "create table bench.events as" if is_first else "insert into bench.events"
        self._con.execute(f"{how} select *, {key} as key from arrived where {arrived} order by key")

    def _events(self) -> LakeTable:
        keys = self._con.execute("select distinct key from bench.events").fetchall()

        def read(partition: Key) -> pl.DataFrame:
            found = self._con.execute("from bench.events where key = ?", ["/".join(partition)])
            return pl.DataFrame(found.to_arrow_table())

        return LakeTable(EVENTS, {tuple(key.split("/")): "arrived" for (key,) in keys}, read)

    def _set_hour(self, hour: datetime) -> None:
        self._con.execute(f"set variable through = timestamp '{hour}'")

    def _make_day(self, day: int, sighted: str) -> None:
        self._con.execute(f"set variable day = {day}")
        self._con.execute(f"set variable start = timestamp '{START + day * DAY}'")
        self._con.execute((_HERE / "marts_day.sql").read_text())
        self._con.execute(
            "insert into bench.sightings select player_id, service_name, device, version, event_at,"
            f" ingest_hour from arrived where event_name = 'SoftwareVersion' and {sighted}"
        )

    def _insert(self, name: str, relation: str, key: str) -> None:
        self._con.execute(
            "insert into lake.loaded_partitions"
            f" select '{name}', key, nextval('lake.partition_ids'), 'filled'"
            f" from (select distinct {key} as key from {relation}) where key not in"
            f" (select partition_key from lake.loaded_partitions where table_name = '{name}')"
        )
        [copy] = LOADED[name]
        columns, order = ", ".join(copy.columns), ", ".join(copy.order_by)
        self._con.execute(
            f"insert into lake.{name} (partition_id, {columns}) select partition_id, {columns}"
            f" from {relation} join lake.loaded_partitions on table_name = '{name}'"
            f" and partition_key = {key} order by {order}"
        )

    def _table(self, name: str, relation: str, key: str, where: str, hour: datetime) -> LakeTable:
        """The table as the lake has it: partitions that `where` leaves out are as they were."""
        frame = self._con.sql(f"select *, {key} as key from {relation} where {where}").pl()
        parts = frame.partition_by("key", as_dict=True)
        new: dict[str, pl.DataFrame] = {str(key): rows for (key,), rows in parts.items()}
        known = loaded_partitions(self._con, name).items()
        old = {tuple(k.split("/")): text for k, text in known}

        def read(partition: Key) -> pl.DataFrame:
            return new["/".join(partition)]

        return LakeTable(name, old | {tuple(k.split("/")): str(hour) for k in new}, read)


def _day(hour: datetime) -> int:
    return (hour - START).days
