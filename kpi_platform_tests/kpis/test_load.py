"""What a load reads, replaces and notes as affected, without dbt."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.kpis.loading import slices
from kpi_platform.kpis.loading.arrival_books import record_days, stored_waits
from kpi_platform.kpis.loading.load import LEDGER_SCHEMA, LakeTable, load
from kpi_platform.kpis.loading.slices import all_days
from kpi_platform.kpis.loading.told_values import own_players
from kpi_platform.schemas.sources_file.platform_names import PlatformNames
from kpi_platform.storage.kpi_database.embedded import (
    EVERY_TABLE,
    WarehouseError,
    affected_periods_to_publish,
    clear_published,
    connect,
    count,
    mark_built,
    needs_full_refresh,
    pending,
    prepare,
)
from kpi_platform_tests.kpis.builds import (
    NO_SOURCES,
    Lake,
    by_hour,
    hours_from,
    run_events,
    utc,
)
from kpi_platform_tests.reference import PLAYER_ID_ATTRIBUTES, Event, cleaned_events

Con = duckdb.DuckDBPyConnection
HOURS = hours_from(utc(1), 12)
# The folder as a source that is waited for.
NAMED = pl.DataFrame(
    [("folder", "s", "g", "global", utc(1), None)], NO_SOURCES.schema, orient="row"
)


@pytest.fixture
def con(tmp_path: Path) -> Iterator[Con]:
    with connect(tmp_path / "warehouse.duckdb") as connection:
        yield connection


def event(at: datetime, name: str = "FeatureUsed", session: str = "s1", **attributes: str) -> Event:
    """An event that arrives in the hour in which it happened."""
    return Event(session, at, name, at.replace(minute=0, second=0), attributes, source="folder")


def lake_of(*events: Event) -> Lake:
    """The events over twelve processed hours."""
    return Lake(by_hour(events, HOURS), {"folder": ("unassigned", "folder")})


def load_and_build(con: Con, lake: Lake, sources: pl.DataFrame = NO_SOURCES) -> None:
    """Load as if dbt and publishing followed."""
    load(con, lake.tables(), sources, PLAYER_ID_ATTRIBUTES)
    mark_built(con, "project")
    clear_published(con)


def affected(con: Con, lake: Lake, sources: pl.DataFrame = NO_SOURCES) -> dict[str, list[object]]:
    """Hours of the day by reason, dates and players that loading this lake affects."""
    load(con, lake.tables(), sources, PLAYER_ID_ATTRIBUTES)
    found: dict[str, list[object]] = {}
    for reason, hour in con.execute(
        "select distinct reason, hour(hour) from lake.affected_hours order by all"
    ).fetchall():
        found.setdefault(reason, []).append(hour)
    for table in ("date", "player"):
        column = "date" if table == "date" else "player_id"
        rows = con.execute(f"select distinct {column} from lake.affected_{table}s order by all")
        if values := [row[0] for row in rows.fetchall()]:
            found[f"{table}s"] = values
    return found


def test_an_unchanged_lake_reads_nothing(con: Con) -> None:
    lake = lake_of(event(utc(1, 5), PlayerId="p1"))
    load_and_build(con, lake)

    def fail(key: object) -> pl.DataFrame:
        raise AssertionError(f"read {key}")

    unread = [LakeTable(table.name, table.partitions, fail) for table in lake.tables()]
    report = load(con, unread, NO_SOURCES, PLAYER_ID_ATTRIBUTES)

    assert report.partitions == {}
    assert not pending(con)


def test_an_event_affects_its_hour_and_the_start_of_its_session(con: Con) -> None:
    first = event(utc(1, 5, 10), PlayerId="p1")
    load_and_build(con, lake_of(first), NAMED)

    found = affected(con, lake_of(first, event(utc(1, 8, 20))), NAMED)

    assert found == {
        "events": [8],
        "running": [5, 6, 7, 8],
        "sessions": [5],
        "players": ["p1"],
        "progress": [6, 7, 8],  # until now the newest data was that of hour 5
    }


def test_a_session_inside_affects_only_the_hour_of_its_event(con: Con) -> None:
    ends = [event(utc(1, 5, 10), PlayerId="p1"), event(utc(1, 9))]
    load_and_build(con, lake_of(*ends))

    assert affected(con, lake_of(*ends, event(utc(1, 7)))) == {"events": [7], "players": ["p1"]}


@pytest.mark.parametrize("batch_rows", [1, 500_000])
def test_an_interval_that_ends_affects_the_dates_from_its_end_on(con: Con, batch_rows: int) -> None:
    """It leaves its partition for another, and partitions may be loaded one by one."""

    def affected_versions(lake: Lake) -> list[tuple[object, ...]]:
        load(con, lake.tables(), NO_SOURCES, PLAYER_ID_ATTRIBUTES, batch_rows=batch_rows)
        found = con.execute("select from_date, to_date from lake.affected_versions order by all")
        rows = found.fetchall()
        mark_built(con, "project")
        clear_published(con)
        return rows

    old = event(utc(1, 1), "SoftwareVersion", Version="1.0", PlayerId="p1")
    new = replace(
        old,
        at=datetime(2026, 3, 20, tzinfo=UTC),
        session="s2",
        attributes={"Version": "2.0", "PlayerId": "p1"},
    )
    assert affected_versions(lake_of(old)) == [(date(2026, 1, 1), None)]
    # The old one no longer goes on after its end, the new one does.
    assert affected_versions(lake_of(old, new)) == [(date(2026, 3, 20), None)]
    # Opened again.
    assert affected_versions(lake_of(old)) == [(date(2026, 3, 20), None)]
    assert affected_versions(lake_of(old)) == []


def test_a_late_sign_in_affects_the_hours_with_events_of_its_session(con: Con) -> None:
    events = [event(utc(1, 2)), event(utc(1, 4)), event(utc(1, 9)), event(utc(1, 4), session="s2")]
    load_and_build(con, lake_of(*events))

    found = affected(con, lake_of(*events, event(utc(1, 6), "SessionStart", PlayerId="p1")))

    # 6 is the sign-in's own hour; 3, 5, 7 and 8 hold nothing of the session.
    running = list(range(2, 10))
    assert found == {"events": [2, 4, 6, 9], "running": running, "players": ["p1"]}


def test_an_emptied_hour_affects_what_it_held(con: Con) -> None:
    kept = event(utc(1, 3), PlayerId="p1")
    gone = event(utc(1, 6), session=" ", UserId="p2")
    load_and_build(con, lake_of(kept, gone), NAMED)

    found = affected(con, lake_of(kept), NAMED)

    # No later hour had data: the hours 4 to 11 wait again, up to 6 newly.
    assert found == {"events": [6], "players": ["p2"], "progress": [4, 5, 6]}


def test_arrival_affects_the_hours_and_dates_that_waited_for_it(con: Con) -> None:
    sources = pl.DataFrame(
        [("late", "s", "g", "global", utc(1, 4), None), ("folder", "s", "g", "global", None, None)],
        NO_SOURCES.schema,
        orient="row",
    )
    lake = lake_of(event(utc(1, 11)))
    load(con, lake.tables(), sources, PLAYER_ID_ATTRIBUTES)
    mark_built(con, "project")
    clear_published(con)
    late = Event("s9", utc(1, 6, 5), "Crash", utc(1, 6), source="late")

    found = affected(con, lake_of(event(utc(1, 11)), late), sources)

    assert found == {"events": [6], "running": [6], "sessions": [6], "progress": [4, 5, 6]}


def test_days_that_were_over_and_arrive_turn_what_trails_behind_them(con: Con) -> None:
    """Hours never run, two days before: the day, and the flags of windows that reach to it."""
    hours = hours_from(utc(1), 96)
    lake = Lake(by_hour([event(hour) for hour in hours], hours), {"folder": ("s", "g")})
    whole = dict(lake.hours)
    lake.hours = {hour: found for hour, found in whole.items() if hour.day != 2 or hour.hour < 20}
    load_and_build(con, lake, NAMED)
    assert stored_waits(con)[0].first_hour == datetime(2026, 1, 2, 20)  # noqa: DTZ001

    lake.hours = whole
    affected(con, lake, NAMED)

    dates = con.execute("select date from lake.affected_dates where reason = 'arrivals'")
    assert dates.fetchall() == [(date(2026, 1, 2),)]
    # What is yet to come is all that is waited for, by the game, its studio and the portfolio.
    assert {wait.first_hour for wait in stored_waits(con)} == {datetime(2026, 1, 5)}  # noqa: DTZ001
    assert count(con, "select count(*) from lake.source_hours") == 2


def test_hours_before_a_source_was_known_stand_for_it_unless_files_of_it_lie_there(
    con: Con,
) -> None:
    """A feed added late, two of whose hours hold files, until a run has looked at them."""
    late = pl.DataFrame(
        [*NAMED.rows(), ("late", "s", "h", "global", utc(1), None)], NO_SOURCES.schema, orient="row"
    )
    of_late = [Event("s9", utc(1, 11), "Crash", utc(1, 11), source="late")]
    asked: list[str] = []

    def files_in(source: str, hours: Sequence[datetime]) -> list[datetime]:
        asked.append(source)
        return [hour for hour in hours if hour.hour in (4, 6)]

    def waits_of_late(*events: Event) -> list[int]:
        lake = Lake(by_hour([event(utc(1, 11)), *events], HOURS), {"folder": ("s", "g")})
        load(con, lake.tables(), late, PLAYER_ID_ATTRIBUTES, files_in=files_in)
        return [w.first_hour.hour for w in stored_waits(con) if w.game == "h"]

    load_and_build(con, lake_of(event(utc(1, 11))), NAMED)

    assert waits_of_late() == [0, 4, 6]
    # The runs that read its newest hour looked at all others too; what is yet to come is left.
    assert waits_of_late(*of_late) == [12]
    assert asked == ["late"]


def test_an_hour_that_was_read_but_not_decoded_has_not_arrived(con: Con) -> None:
    """It failed between the two, or a run of the raw table alone came before."""
    lake = lake_of(event(utc(1, 5)), event(utc(1, 11)))
    [ledger, *others] = lake.tables()
    undecoded = pl.col("p_ingest_hour_utc") == 5
    raw = LakeTable(
        ledger.name,
        {key: f"raw {signature}" for key, signature in ledger.partitions.items()},
        lambda key: ledger.read(key).with_columns(
            rows=pl.when(undecoded).then(None).otherwise("rows")
        ),
    )

    load(con, [raw, *others], NAMED, PLAYER_ID_ATTRIBUTES)
    assert utc(1, 5).replace(tzinfo=None) in {wait.first_hour for wait in stored_waits(con)}
    load(con, [ledger, *others], NAMED, PLAYER_ID_ATTRIBUTES)
    assert utc(1, 5).replace(tzinfo=None) not in {wait.first_hour for wait in stored_waits(con)}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 23), st.integers(0, 4)), max_size=40))
def test_books_kept_day_by_day_are_those_of_the_whole_ledger(
    moves: list[tuple[int, int, int]],
) -> None:
    """Whatever order hours came in, failed, were emptied or undecoded, and came again."""
    ledger: dict[tuple[date, int], tuple[str, int, int | None]] = {}
    states = [("processed", 1, 5), ("processed", 0, 0), ("failed", 1, None), ("processed", 1, None)]

    def rows(days: set[date]) -> pl.DataFrame:
        found = [
            (day, hour, "a", status, files, files, decoded, None)
            for (day, hour), (status, files, decoded) in sorted(ledger.items())
            if day in days
        ]
        return pl.DataFrame(found, LEDGER_SCHEMA, orient="row")

    with closing(duckdb.connect()) as con, closing(duckdb.connect()) as fresh:
        for each in (con, fresh):
            prepare(each)
        for day_number, hour, state in moves:
            day = date(2026, 1, 1 + day_number)
            if state == len(states):
                ledger.pop((day, hour), None)
            else:
                ledger[day, hour] = states[state]
            record_days(con, [day], rows({day}))
        every = {date(2026, 1, day) for day in range(1, 5)}
        record_days(fresh, every, rows(every))
        query = "from lake.source_hours order by all"
        assert con.execute(query).fetchall() == fresh.execute(query).fetchall()


def test_a_new_date_is_affected_though_nothing_happened(con: Con) -> None:
    lake = lake_of(event(utc(1, 11)))
    load_and_build(con, lake)
    lake.hours |= {hour: [] for hour in hours_from(utc(1, 12), 14)}

    assert affected(con, lake)["dates"] == [date(2026, 1, 1), date(2026, 1, 2)]


def test_a_copy_in_another_hour_keeps_the_event_when_one_goes(con: Con) -> None:
    here = event(utc(1, 5), PlayerId="p1")
    copy = Event("s1", utc(1, 5), "FeatureUsed", utc(1, 7), {"PlayerId": "p1"}, source="folder")
    load_and_build(con, lake_of(here, copy))

    tables = lake_of(here).tables()
    load(con, tables, NO_SOURCES, PLAYER_ID_ATTRIBUTES)

    [rows] = run_events(con, tables, NO_SOURCES, days=all_days(con))
    assert rows["event_id"].to_list() == [here.event_id]


def test_small_batches_load_the_same_rows(con: Con) -> None:
    lake = lake_of(*(event(utc(1, hour), PlayerId="p1") for hour in range(9)))
    report = load(con, lake.tables(), NO_SOURCES, PLAYER_ID_ATTRIBUTES, batch_rows=1)

    assert report.rows_changed == {
        "hour_ledger": 12,
        "cleaned_events": 9,
        "sessions": 1,
    }


def test_a_large_partition_loads_every_row(con: Con) -> None:
    lake = lake_of(event(utc(1, 5), PlayerId="p1"))
    load_and_build(con, lake)
    rows = 300_000  # more than two of DuckDB's row groups
    one = cleaned_events([event(utc(1, 6), "Crash", "s2")])
    many = pl.concat([one] * rows).with_columns(
        event_id=pl.int_range(rows).cast(pl.String), transaction_id=pl.int_range(rows)
    )
    table = LakeTable("cleaned_events", {("2026-01-01", "6"): "1"}, lambda _: many)

    report = load(con, [table], NO_SOURCES, PLAYER_ID_ATTRIBUTES)
    loaded = pl.concat(run_events(con, [table], NO_SOURCES, days=all_days(con)))

    assert report.rows_changed == {"cleaned_events": rows + 1}
    assert loaded["event_id"].n_unique() == rows
    assert loaded["transaction_id"].max() == rows - 1


def test_a_load_that_crashes_is_completed_by_the_next(con: Con) -> None:
    lake = lake_of(event(utc(1, 5), PlayerId="p1"), event(utc(1, 8)))
    tables = {table.name: table for table in lake.tables()}

    def crash(key: tuple[str, ...]) -> pl.DataFrame:
        if key[1] == "8":
            raise OSError("gone")
        return tables["cleaned_events"].read(key)

    events = LakeTable("cleaned_events", tables["cleaned_events"].partitions, crash)
    broken = [tables["hour_ledger"], events, tables["sessions"]]
    with pytest.raises(OSError, match="gone"):
        load(con, broken, NO_SOURCES, PLAYER_ID_ATTRIBUTES, batch_rows=1)
    found = affected(con, lake)

    assert found["events"] == [5, 8]
    assert found["sessions"] == [5]


def test_a_changed_player_id_setting_loads_the_events_again(con: Con) -> None:
    lake = lake_of(event(utc(1, 5), session="", UserId="u", AccountId="a"))
    load_and_build(con, lake)

    report = load(con, lake.tables(), NO_SOURCES, ("AccountId",))

    assert report.rows_changed["cleaned_events"] == 2
    assert con.execute("select own_player_id from lake.event_hours").fetchall() == [("a",)]


def test_a_changed_list_of_platforms_affects_what_is_called_otherwise_alone(con: Con) -> None:
    lake = lake_of(
        event(utc(1, 5), "SessionStart", "s1", PlayerId="p1", Platform="PS5"),
        event(utc(1, 7), "SessionStart", "s2", PlayerId="p2", Platform="Fridge"),
        event(utc(1, 9), session=" ", PlayerId="p3", Platform="fridge"),
    )

    def called(names: PlatformNames) -> tuple[list[str], list[int]]:
        tables = lake.tables()
        load(con, tables, NO_SOURCES, PLAYER_ID_ATTRIBUTES, platforms=names)
        [events] = run_events(con, tables, NO_SOURCES, names, days=all_days(con))
        platforms = con.execute("select platform from lake.sessions").fetchall()
        hours = "select distinct hour(hour) from lake.affected_hours where reason = 'events'"
        found = sorted(
            [name for (name,) in platforms] + events["own_platform"].drop_nulls().to_list()
        )
        touched = sorted(row[0] for row in con.execute(hours).fetchall())
        mark_built(con, "project")
        clear_published(con)
        return found, touched

    assert called(PlatformNames()) == (["other", "other", "playstation"], [5, 7, 9])
    assert called(PlatformNames()) == (["other", "other", "playstation"], [])
    listed = PlatformNames({"fridge": ()})
    assert called(listed) == (["fridge", "fridge", "playstation"], [7, 9])
    assert called(PlatformNames()) == (["other", "other", "playstation"], [7, 9])


def test_ids_of_a_local_source_carry_its_studio() -> None:
    events = cleaned_events([event(utc(1, 5), session="", PlayerId="7")])

    found = own_players(events, PLAYER_ID_ATTRIBUTES, ["folder"])

    assert found["own_player_id"].to_list() == ["studio:7"]


def test_affected_periods_wait_for_the_build_and_stay_until_published(con: Con) -> None:
    load(con, lake_of(event(utc(1, 5))).tables(), NO_SOURCES, PLAYER_ID_ATTRIBUTES)
    con.execute("insert into lake.changed_periods values ('kpi_hourly', '2026-01-01 05:00')")
    con.execute("insert into lake.changed_periods values ('dim_version', null)")
    assert pending(con)
    assert affected_periods_to_publish(con) == {}

    mark_built(con, "project")
    assert not pending(con)
    assert affected_periods_to_publish(con) == {
        "kpi_hourly": [datetime(2026, 1, 1, 5)],  # noqa: DTZ001
        "dim_version": [],
    }

    clear_published(con)
    assert affected_periods_to_publish(con) == {}
    assert con.execute("select count(*) from lake.affected_hours").fetchone() == (0,)


def test_another_project_needs_a_full_refresh_and_publishes_everything(con: Con) -> None:
    assert needs_full_refresh(con, "project")
    mark_built(con, "project", full_refresh=True)

    assert not needs_full_refresh(con, "project")
    assert needs_full_refresh(con, "project 2")
    assert affected_periods_to_publish(con) == {EVERY_TABLE: []}


def test_an_older_layout_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with connect(path) as con:
        load_and_build(con, lake_of(event(utc(1, 5))))
        con.execute("update lake.layout set version = 'older'")

    with connect(path) as con:
        assert needs_full_refresh(con, "project")
        report = load(con, lake_of(event(utc(1, 5))).tables(), NO_SOURCES, PLAYER_ID_ATTRIBUTES)

    assert report.rows_changed["cleaned_events"] == 1


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_text("not a database " * 1000)

    with (
        pytest.raises(WarehouseError, match=r"KPI_WAREHOUSE_PATH: .*warehouse\.duckdb"),
        connect(path),
    ):
        pass


def test_a_table_without_a_copy_is_refused(con: Con) -> None:
    with pytest.raises(ValueError, match="raw_telemetry"):
        load(con, [LakeTable("raw_telemetry", {}, lambda _: pl.DataFrame())], NO_SOURCES, ())


def test_a_new_database_has_small_blocks(con: Con) -> None:
    assert count(con, "select block_size from pragma_database_size()") == 65_536


def test_hours_are_read_in_utc(con: Con) -> None:
    lake = lake_of(event(utc(1, 5) + timedelta(minutes=30)))
    load(con, lake.tables(), NO_SOURCES, PLAYER_ID_ATTRIBUTES)

    at = con.execute("select hour, last_at from lake.event_hours").fetchone()
    assert at == (datetime(2026, 1, 1, 5), datetime(2026, 1, 1, 5, 30))  # noqa: DTZ001


def test_everything_is_built_of_few_days_at_a_time_and_what_waits_is_pending(con: Con) -> None:
    lake = Lake(
        by_hour(
            [event(utc(day, 5), PlayerId=f"p{day}") for day in (1, 2, 4)], hours_from(utc(1), 80)
        ),
        {"folder": ("s", "g")},
    )
    tables = lake.tables()
    load(con, tables, NO_SOURCES, PLAYER_ID_ATTRIBUTES)

    days = slices.begin(con, most=2)
    assert days == [date(2026, 1, 1), date(2026, 1, 2)]
    assert sum(rows.height for rows in run_events(con, tables, NO_SOURCES, days=days)) == 2
    # Killed, and begun anew.
    assert slices.begin(con, most=2) == days
    mark_built(con, "project", full_refresh=True)
    assert pending(con)
    assert affected_periods_to_publish(con) == {}

    assert slices.take(con, most=2)
    [rows] = run_events(con, tables, NO_SOURCES)
    assert rows["event_at"].dt.day().to_list() == [4]
    mark_built(con, "project")
    assert not slices.take(con, most=2)
    assert not pending(con)


def test_a_build_that_is_killed_has_no_more_days_at_once_when_it_goes_on(con: Con) -> None:
    events = [event(utc(day, 5), PlayerId=f"p{day}") for day in (1, 2, 3)]
    lake = Lake(by_hour(events, hours_from(utc(1), 72)), {"folder": ("s", "g")})
    load(con, lake.tables(), NO_SOURCES, PLAYER_ID_ATTRIBUTES)
    slices.begin(con, most=1)
    mark_built(con, "project", full_refresh=True)

    assert slices.take(con, most=1)
    assert not slices.take(con, most=1)
    [rows] = run_events(con, lake.tables(), NO_SOURCES)
    assert rows["event_at"].dt.day().to_list() == [2]
    mark_built(con, "project")
    assert slices.take(con, most=1)


def test_events_of_an_hour_that_went_since_the_load_are_left_out(con: Con) -> None:
    days = [[event(utc(day, 5), PlayerId=f"p{day}")] for day in (1, 2)]
    hours, studios = hours_from(utc(1), 48), {"folder": ("s", "g")}
    both = Lake(by_hour([*days[0], *days[1]], hours), studios)
    load(con, both.tables(), NO_SOURCES, PLAYER_ID_ATTRIBUTES)

    # As for a second database that a stopped job goes on with.
    later = Lake(by_hour(days[0], hours), studios).tables()
    for taken in (all_days(con), None):
        [rows] = run_events(con, later, NO_SOURCES, days=taken)
        assert rows["event_at"].dt.day().to_list() == [1]


def test_a_day_that_waits_and_loses_its_events_is_waited_for_no_more(con: Con) -> None:
    days = [[event(utc(day, 5), PlayerId=f"p{day}")] for day in (1, 2)]
    hours, studios = hours_from(utc(1), 48), {"folder": ("s", "g")}
    both = Lake(by_hour([*days[0], *days[1]], hours), studios)
    load(con, both.tables(), NO_SOURCES, PLAYER_ID_ATTRIBUTES)
    assert slices.begin(con, most=1) == [date(2026, 1, 1)]
    mark_built(con, "project", full_refresh=True)

    first = Lake(by_hour(days[0], hours), studios)
    load(con, first.tables(), NO_SOURCES, PLAYER_ID_ATTRIBUTES)
    mark_built(con, "project")
    assert not slices.take(con, most=1)
    assert not pending(con)


def test_a_run_reads_the_hours_that_hold_what_it_needs_and_no_others(con: Con) -> None:
    """Of two players' sessions on one day that of the one who is affected."""
    before = [
        event(utc(1, 2), session="s1", PlayerId="p1"),
        event(utc(1, 3), session="s2", PlayerId="p2"),
        event(utc(1, 9), session="s2", PlayerId="p2"),
    ]
    load_and_build(con, lake_of(*before))
    [*others, events, sessions, intervals] = lake_of(
        *before, event(utc(1, 8), session="s1", PlayerId="p1")
    ).tables()
    read: list[str] = []

    def noting(key: tuple[str, ...]) -> pl.DataFrame:
        read.append(key[1])
        return events.read(key)

    load(con, [*others, events, sessions, intervals], NO_SOURCES, PLAYER_ID_ATTRIBUTES)
    watched = LakeTable(events.name, events.partitions, noting)
    [rows] = run_events(con, [watched], NO_SOURCES)

    assert sorted(read) == ["2", "8"]
    assert set(rows["session_id"]) == {"s1"}
