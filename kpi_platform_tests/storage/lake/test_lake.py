"""The lake on real Delta tables: hours replaced in one commit, rows changed by key."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from kpi_platform.schemas.tables import TABLES, Table
from kpi_platform.storage.lake import lake as lake_module
from kpi_platform.storage.lake.delta.keyed_changes import changes_of, merge
from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.lake import Lake, LakeError, hours_of

FIVE = datetime(2026, 1, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _sightings(hour: datetime, *ids: str) -> pl.DataFrame:
    rows = [
        (event, "s", "svc", "x", hour, 1, "1.0", None, None, hour.date(), hour.hour)
        for event in ids
    ]
    return pl.DataFrame(rows, schema=TABLES["sightings"].polars_schema, orient="row")


def _session(session: str, start: datetime, player: str | None = "p") -> pl.DataFrame:
    row = ("s", "svc", session, player, "pc", "deck", "SE", start, start, True, 1.0)
    counts = (1, 0, 0, 0, 0, 0)
    schema = TABLES["sessions"].polars_schema
    return pl.DataFrame([(*row, *counts, start.date())], schema=schema, orient="row")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def test_a_table_never_written_is_empty_but_typed(lake: Lake) -> None:
    rows = lake.scan("sessions").collect()
    assert rows.is_empty() and rows.schema == TABLES["sessions"].polars_schema
    assert lake.version("sessions") is None
    assert lake.partitions("sessions").signatures == {}


def test_hours_are_replaced_and_others_stay(lake: Lake) -> None:
    both = [FIVE, FIVE + HOUR]
    rows = pl.concat([_sightings(FIVE, "a", "b"), _sightings(FIVE + HOUR, "c")])
    lake.replace_hours("sightings", rows, both)
    lake.replace_hours("sightings", _sightings(FIVE, "d"), [FIVE])
    parts = hours_of(lake.read_hours("sightings", both), both)
    assert [part["event_id"].to_list() for part in parts.values()] == [["d"], ["c"]]
    lake.replace_hours("sightings", _sightings(FIVE), [FIVE])
    assert lake.scan("sightings").collect()["event_id"].to_list() == ["c"]


def test_an_address_of_another_kind_names_the_setting() -> None:
    with pytest.raises(LakeError, match=r"^KPI_LAKE_URI: must be a folder"):
        Lake("ftp://x")


def test_hours_are_streamed_in_one_commit(lake: Lake) -> None:
    frames = [_sightings(FIVE, "a"), _sightings(FIVE, "b"), _sightings(FIVE + HOUR, "c")]
    lake.stream_hours("sightings", lambda: iter(frames), [FIVE, FIVE + HOUR])
    assert sorted(lake.scan("sightings").collect()["event_id"]) == ["a", "b", "c"]
    # Creating the empty table is the first version.
    assert lake.version("sightings") == 1


def test_rows_outside_the_hours_are_refused(lake: Lake) -> None:
    with pytest.raises(DeltaError, match="failed validation check"):
        lake.replace_hours("sightings", _sightings(FIVE, "a"), [FIVE + HOUR])
    assert lake.scan("sightings").collect().is_empty()


def test_changes_are_written_by_key_and_the_rest_stays_untouched(lake: Lake) -> None:
    day_after = FIVE + 24 * HOUR
    first = pl.concat([_session("a", FIVE), _session("b", FIVE), _session("c", day_after)])
    assert lake.apply_changes("sessions", first, first.clear()) == 3
    untouched = lake.partitions("sessions").signatures[("2026-01-02",)]
    upserts = pl.concat([_session("a", FIVE, None), _session("d", FIVE)])
    assert lake.apply_changes("sessions", upserts, _session("b", FIVE)) == 3
    found = lake.scan("sessions").sort("session_id").collect()
    assert found.select("session_id", "player_id").rows() == [("a", None), ("c", "p"), ("d", "p")]
    assert lake.partitions("sessions").signatures[("2026-01-02",)] == untouched


def test_no_change_writes_nothing(lake: Lake) -> None:
    rows = _session("a", FIVE)
    lake.apply_changes("sessions", rows, rows.clear())
    version = lake.version("sessions")
    assert lake.apply_changes("sessions", rows.clear(), rows.clear()) == 0
    assert lake.version("sessions") == version


def test_a_partition_is_read_by_its_values_as_text(lake: Lake) -> None:
    rows = pl.concat([_session("a", FIVE), _session("c", FIVE + 24 * HOUR)])
    lake.apply_changes("sessions", rows, rows.clear())
    assert set(lake.partitions("sessions").signatures) == {("2026-01-01",), ("2026-01-02",)}
    found = lake.partitions("sessions").read(("2026-01-02",))
    assert found["p_started_date_utc"].to_list() == [date(2026, 1, 2)]


def test_a_row_that_moves_copies_nothing_where_it_goes(lake: Lake) -> None:
    day_after = FIVE + 24 * HOUR
    rows = pl.concat([_session("a", FIVE), _session("b", FIVE), _session("c", day_after)])
    lake.apply_changes("sessions", rows, rows.clear())
    found = files_of(DeltaTable(lake.path("sessions")))
    there = found.filter(p_started_date_utc=day_after.date())["path"].item()
    moved = _session("a", FIVE).with_columns(p_started_date_utc=pl.lit(day_after.date()))
    assert lake.apply_changes("sessions", moved, _session("a", FIVE)) == 2
    assert there in files_of(DeltaTable(lake.path("sessions")))["path"]
    found = lake.scan("sessions").sort("session_id").collect()
    assert found.select("session_id", "p_started_date_utc").rows() == [
        ("a", day_after.date()),
        ("b", FIVE.date()),
        ("c", day_after.date()),
    ]


def test_rows_change_in_partitions_whose_names_are_percent_encoded(lake: Lake) -> None:
    table, odd = "hour_queue", "a b/%20 \u00fc"
    assert TABLES[table].partition_by == ("table_name",)
    schema = TABLES[table].polars_schema
    row = pl.DataFrame({name: [None] for name in schema}, schema=schema).with_columns(
        table_name=pl.lit(odd), batch_id=pl.lit("b"), p_ingest_date_utc=FIVE.date()
    )
    row = row.with_columns(p_ingest_hour_utc=pl.lit(5, pl.Int32))
    for _ in range(2):
        lake.apply_changes(table, row, row.clear())
    snapshot = lake.open(table)
    assert snapshot is not None
    assert files_of(snapshot).select("table_name", "num_records").rows() == [(odd, 1)]
    assert lake.read_hours(table, [FIVE]).equals(row)
    lake.apply_changes(table, row.clear(), row)
    assert lake.partitions(table).signatures == {}


def test_of_two_changes_at_once_the_second_is_made_on_the_first(lake: Lake) -> None:
    """Two that only insert the same key would both be let through by Delta alone."""
    lake.apply_changes("sessions", _session("a", FIVE), _session("a", FIVE).clear())
    stale = DeltaTable(lake.path("sessions"))
    contract, new = TABLES["sessions"], _session("b", FIVE)
    changes = changes_of(contract, new, new.clear())
    lake.apply_changes("sessions", new, new.clear())
    with pytest.raises(CommitFailedError):
        merge(lake.path("sessions"), stale, contract, changes)
    assert lake.scan("sessions").select("session_id").sort("session_id").collect().rows() == [
        ("a",),
        ("b",),
    ]


def test_changes_whose_answer_was_lost_are_made_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is made, the store says that it was not, and the write is repeated."""
    rows = pl.concat([_session(name, FIVE) for name in "abc"])
    lake.apply_changes("sessions", rows, rows.clear())
    commits = []

    def unanswered(root: str, target: DeltaTable, contract: Table, changes: pl.DataFrame) -> None:
        merge(root, target, contract, changes)
        commits.append(target.version())
        if len(commits) == 1:
            raise CommitFailedError("412 Precondition Failed")

    monkeypatch.setattr(lake_module, "merge", unanswered)
    there = pl.lit((FIVE + 24 * HOUR).date())
    moved = _session("a", FIVE).with_columns(p_started_date_utc=there)
    upserts = pl.concat([moved, _session("d", FIVE), _session("c", FIVE, "q")])
    lake.apply_changes("sessions", upserts, pl.concat([_session(name, FIVE) for name in "ab"]))
    assert len(commits) == 2
    found = lake.scan("sessions").sort("session_id").collect()
    columns = ("session_id", "player_id", "p_started_date_utc")
    today, tomorrow = FIVE.date(), (FIVE + 24 * HOUR).date()
    assert found.select(columns).rows() == [
        ("a", "p", tomorrow),
        ("c", "q", today),
        ("d", "p", today),
    ]


def test_a_table_laid_out_by_an_earlier_release_is_left_alone(lake: Lake) -> None:
    rows = _session("a", FIVE)
    write_deltalake(lake.path("sessions"), rows, partition_by=["source"])
    for use in (
        lambda: lake.apply_changes("sessions", rows, rows.clear()),
        lambda: lake.scan("sessions"),
        lambda: lake.partitions("sessions"),
    ):
        with pytest.raises(LakeError, match=r"partitioned by source, .* make the lake anew"):
            use()
    assert DeltaTable(lake.path("sessions")).version() == 0


def test_a_table_of_an_earlier_release_gains_the_new_columns(lake: Lake) -> None:
    old = _sightings(FIVE, "a").drop("player_id")
    by = list(TABLES["sightings"].partition_by)
    write_deltalake(lake.path("sightings"), old, partition_by=by)
    lake.replace_hours("sightings", _sightings(FIVE + HOUR, "b"), [FIVE + HOUR])
    found = lake.scan("sightings").sort("event_id").collect()
    assert found.select("event_id", "player_id").rows() == [("a", None), ("b", None)]


def test_an_overtaken_commit_is_repeated_on_the_new_state(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = lake_module.write_deltalake, []

    def overtaken_once(*arguments: object, **options: object) -> None:
        calls.append(options)
        if len(calls) == 1:
            raise CommitFailedError("another writer came first")
        real(*arguments, **options)

    monkeypatch.setattr(lake_module, "write_deltalake", overtaken_once)
    lake.replace_hours("sightings", _sightings(FIVE, "a"), [FIVE])
    assert len(calls) == 2
    assert lake.scan("sightings").collect()["event_id"].to_list() == ["a"]


# Longer than what files say of their texts, and ending in what cannot be counted up.
KEYS = ["1", "a" * 200, "\U0010ffff" * 90, "ä" * 70 + "z", '{"id":"7"}', "zz"]


@pytest.mark.parametrize("key", KEYS)
def test_the_hours_that_may_hold_a_text_are_never_too_few(lake: Lake, key: str) -> None:
    schema = TABLES["raw_studio_events"].polars_schema
    for number, here in enumerate(KEYS):
        at = FIVE + number * HOUR
        row = ("s", "t", here, at, 1, "{}", at.date(), at.hour)
        lake.append("raw_studio_events", pl.DataFrame([row], schema=schema, orient="row"))
    wanted = pl.Series([key], dtype=pl.String)
    found = lake.hours_that_may_hold("raw_studio_events", "row_key", wanted)
    assert FIVE + KEYS.index(key) * HOUR in found
    assert len(found) <= 2
    assert lake.hours_that_may_hold("raw_studio_events", "row_key", wanted.clear()) == []
