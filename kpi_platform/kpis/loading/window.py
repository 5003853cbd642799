"""The events of a run: what its models read, taken from the lake and from nowhere else.

Belongs here: which events those are, told by what is kept of every hour, and reading them. Does
not: where they are put (storage), and what the models take of them (attributed_events).
"""

from collections.abc import Iterator, Sequence
from datetime import date

import duckdb
import polars as pl

from kpi_platform.kpis.loading.event_rows import GROUP, EventRows, in_groups
from kpi_platform.kpis.loading.load import EVENTS, LakeTable

# Few rows of many ingest hours are handed on together.
ROWS_AT_A_TIME = 100_000

# Affected hours whole; of affected dates what affected players did and console platforms told; of
# sessions that may be others now every sighting. The model says it by the same books: some more
# do no harm.
_WANTED = """
create or replace temp table wanted as
with pending as (select load_id from lake.loads where not is_built),
hours as (
    select distinct hour from lake.affected_hours join pending using (load_id)
    where reason = 'events'
),
dates as (
    select distinct hour::date as date from lake.affected_hours join pending using (load_id)
    where reason in ('events', 'sessions')
),
changed_sessions as (
    select distinct source, service_name, session_id
    from lake.affected_sessions join pending using (load_id)
),
players as (
    select player_id from lake.affected_players join pending using (load_id)
    union
    select player_id from lake.affected_versions join pending using (load_id)
    union
    select player_id from lake.sessions join changed_sessions
        using (source, service_name, session_id)
    where player_id is not null
),
touched as (
    select source, service_name, session_id, started_at
    from lake.sessions s join players using (player_id)
    where s.ended_at >= (select min(date) from dates)
        and exists (from dates where date between s.started_at::date and s.ended_at::date)
    union all
    select source, service_name, session_id, started_at
    from lake.sessions join changed_sessions using (source, service_name, session_id)
),
earliest as (
    select min(hour) as hour
    from (
        select hour from hours
        union all
        select date from dates
        union all
        select date_trunc('hour', started_at) from touched
    )
),
sessions as (
    select source, service_name, session_id from touched
    union
    select source, service_name, session_id from changed_sessions
)
select distinct e.partition_id, e.hour, e.source, e.service_name, e.session_id
from lake.event_hours e
left join hours h on h.hour = e.hour
left join dates d on d.date = e.hour::date
left join sessions s
    on s.source = e.source and s.service_name = e.service_name and s.session_id = e.session_id
left join players p on p.player_id = e.own_player_id
left join (select source from lake.sources where kind = 'console') k on k.source = e.source
where e.hour >= (select hour from earliest) and (
    h.hour is not null
    or d.date is not null
        and (s.source is not null or p.player_id is not null or k.source is not null)
    or e.is_sighted and s.source is not null
)
"""
_PARTITIONS = (
    "select partition_id, partition_key from lake.loaded_partitions where table_name = ?"
    " order by partition_id"
)


def window_frames(
    con: duckdb.DuckDBPyConnection,
    events: LakeTable,
    rows: EventRows,
    days: Sequence[date] | None = None,
) -> Iterator[pl.DataFrame]:
    """What a build of all that is pending reads of `events`, or all events of `days` (UTC); some
    rows at a time.

    Columns: `event_rows.COLUMNS` and `partition_id`. `events` is as it was loaded, or later: what
    it no longer has is left out, which the next load says in its turn.
    """
    keys = {int(number): tuple(key.split("/")) for number, key in _partitions(con)}
    if days is not None:
        picked = _rows_of_days(con, events, keys, days)
    else:
        picked = _wanted_rows(con, events, keys)
    waiting: list[pl.DataFrame] = []
    for number, found in picked:
        waiting.append(rows.rows(found).with_columns(partition_id=pl.lit(number, pl.Int32)))
        if sum(frame.height for frame in waiting) >= ROWS_AT_A_TIME:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def _partitions(con: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    return con.execute(_PARTITIONS, [EVENTS]).fetchall()


def _rows_of_days(
    con: duckdb.DuckDBPyConnection,
    events: LakeTable,
    keys: dict[int, tuple[str, ...]],
    days: Sequence[date],
) -> Iterator[tuple[int, pl.DataFrame]]:
    holding = con.execute(
        "select distinct partition_id from lake.event_hours where list_contains(?, hour::date)"
        " order by 1",
        [list(days)],
    ).fetchall()
    for (number,) in holding:
        if keys[number] not in events.partitions:
            continue
        found = events.read(keys[number])
        yield number, found.filter(pl.col("event_at").dt.date().is_in(list(days)))


def _wanted_rows(
    con: duckdb.DuckDBPyConnection, events: LakeTable, keys: dict[int, tuple[str, ...]]
) -> Iterator[tuple[int, pl.DataFrame]]:
    con.execute(_WANTED)
    wanted = pl.DataFrame(con.sql("from wanted order by partition_id").to_arrow_table())
    for (number,), groups in wanted.partition_by("partition_id", as_dict=True).items():
        if keys[int(number)] not in events.partitions:
            continue
        found = events.read(keys[int(number)])
        places = found.select(in_groups()).with_row_index("row")
        yield number, found[places.join(groups, on=list(GROUP), how="semi")["row"].sort()]
