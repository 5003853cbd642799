"""Building everything in slices of days, so that what a run holds of events stays bounded.

Belongs here: which days a build of everything begins with, and making the next ones look like days
that came late, one load after the other. Does not: building.

What is built of some days' events is right for these, and every update goes from there: the order
law says that all of them together make the tables that one build of everything makes.
"""

from collections.abc import Sequence
from datetime import date

import duckdb

from kpi_platform.storage.kpi_database.embedded import count, open_load, transaction

# The events of a slice, unless a day has more.
MOST_EVENTS = 4_000_000
# Of which days events can be read, and how many.
_DAYS = "select hour::date as day, sum(events)::bigint as events from lake.event_hours group by 1"

_LATE = (
    """
    insert into lake.affected_hours
    select distinct $load_id, hour, 'events' from lake.event_hours
    where list_contains($days, hour::date)
    """,
    """
    insert into lake.affected_players
    with slice as (
        select distinct source, service_name, session_id, own_player_id from lake.event_hours
        where list_contains($days, hour::date)
    )
    select $load_id, player_id
    from lake.sessions join slice using (source, service_name, session_id)
    where player_id is not null
    union
    select $load_id, own_player_id from slice where own_player_id <> ''
    """,
)


def begin(con: duckdb.DuckDBPyConnection, most: int = MOST_EVENTS) -> list[date]:
    """The days (UTC, of event time) that a build of everything begins with; the others wait."""
    with transaction(con):
        con.execute("delete from lake.waiting_days")
        con.execute(f"insert into lake.waiting_days select day from ({_DAYS})")
        return _taken(con, most)


def all_days(con: duckdb.DuckDBPyConnection) -> list[date]:
    """Every day (UTC) of which events can be read."""
    return [day for day, _ in con.execute(_DAYS).fetchall()]


def take(con: duckdb.DuckDBPyConnection, most: int = MOST_EVENTS) -> bool:
    """Note the next days that wait, if any do, as affected, as a load of them would; not while
    something is to be built: a build that is killed again and again never has more at once."""
    if count(con, "select count(*) from lake.loads where not is_built"):
        return False
    with transaction(con):
        days = _taken(con, most)
        if days:
            load_id = count(con, "select nextval('lake.load_ids')")
            open_load(con, load_id)
            for statement in _LATE:
                con.execute(statement, {"load_id": load_id, "days": days})
    return bool(days)


def _taken(con: duckdb.DuckDBPyConnection, most: int) -> list[date]:
    waiting = con.execute(
        f"select day, events from ({_DAYS}) join lake.waiting_days using (day) order by day"
    ).fetchall()
    days = _first(waiting, most)
    # With those whose events went meanwhile: nothing would ever take them.
    con.execute(
        "delete from lake.waiting_days"
        f" where list_contains(?, day) or day not in (select day from ({_DAYS}))",
        [days],
    )
    return days


def _first(days: Sequence[tuple[date, int]], most: int) -> list[date]:
    """The first of these days that have `most` events together, but one at least."""
    taken: list[date] = []
    events = 0
    for day, found in days:
        events += found
        if taken and events > most:
            break
        taken.append(day)
    return taken
