"""Upkeep: few files after many small updates, the same rows, and readers that are not disturbed."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.version_keys import version_sort_key
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.maintenance import FILES_PER_PARTITION, Maintained, maintain
from kpi_platform.storage.local_servers.local_s3 import S3Server

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
UPDATES = 150


def _intervals(numbers: range) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "player_id": [f"P{number:05d}" for number in numbers],
            "service_name": "game",
            "device": "deck",
            "version": "1.0",
            "version_sort_key": version_sort_key("1.0"),
            "valid_from": START,
            "valid_to": None,
        }
    )
    schema = TABLES["user_version_intervals"].polars_schema
    rows = rows.with_columns(p_state=pl.lit("open"), p_month=pl.lit(START.date()))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _update(lake: Lake, number: int) -> None:
    """Add two players, far apart in the order of names."""
    for start in (number, 20_000 - number):
        lake.append("user_version_intervals", _intervals(range(start, start + 1)))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def _maintained(lake: Lake, retention: timedelta = WEEK) -> dict[str, Maintained]:
    return {item.table: item for item in maintain(lake, retention)}


def _rows(lake: Lake, table: str = "user_version_intervals") -> pl.DataFrame:
    return lake.scan(table).collect().sort(TABLES[table].keys)


def _age(lake: Lake, table: str, by: timedelta) -> None:
    """Make everything that was ever removed from the table look removed that much earlier."""
    log = Path(lake.path(table)) / "_delta_log"
    for checkpoint in (*log.glob("*.checkpoint.parquet"), *log.glob("_last_checkpoint")):
        checkpoint.unlink()
    for commit in log.glob("*.json"):
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        for action in actions:
            if "remove" in action:
                action["remove"]["deletionTimestamp"] -= int(by.total_seconds() * 1000)
        commit.write_text("".join(f"{json.dumps(action)}\n" for action in actions))


def _data_files(lake: Lake, table: str) -> list[Path]:
    return sorted(Path(lake.path(table)).rglob("*.parquet"))


def test_many_small_updates_leave_few_files_and_the_same_rows(lake: Lake) -> None:
    most = 0
    for number in range(UPDATES):
        _update(lake, number)
        if number % 50 == 49:
            before = _rows(lake)
            done = _maintained(lake)["user_version_intervals"]
            assert _rows(lake).equals(before)
            assert done.files_before >= 100 > FILES_PER_PARTITION >= done.files_after
            assert done.bytes_after < done.bytes_before
            most = max(most, done.files_after)
    assert _rows(lake).height == 2 * UPDATES
    assert most <= FILES_PER_PARTITION
    again = _maintained(lake)["user_version_intervals"]
    assert (again.files_before, again.removed) == (again.files_after, 0)


def test_a_reader_opened_before_the_upkeep_reads_on(lake: Lake) -> None:
    for number in range(10):
        _update(lake, number)
    reader = DeltaTable(lake.path("user_version_intervals"))
    frame = pl.scan_delta(reader)
    expected = frame.collect()
    done = _maintained(lake, HOUR)
    assert done["user_version_intervals"].files_after < 20
    assert frame.collect().equals(expected)
    assert pl.read_delta(lake.path("user_version_intervals"), version=5).height == 5


def test_what_was_replaced_before_the_retention_is_removed_and_nothing_newer(lake: Lake) -> None:
    for number in range(10):
        _update(lake, number)
    _maintained(lake)
    _age(lake, "user_version_intervals", 3 * HOUR)
    reader = pl.scan_delta(DeltaTable(lake.path("user_version_intervals")))
    expected = reader.collect()
    lake.delete("user_version_intervals", "player_id = 'P00003'")
    # What a run is just writing is named by no commit yet.
    (unfinished := Path(lake.path("user_version_intervals")) / "unfinished.parquet").touch()
    assert _maintained(lake, 4 * HOUR)["user_version_intervals"].removed == 0
    assert _maintained(lake, 2 * HOUR)["user_version_intervals"].removed == 20
    assert unfinished.exists()
    assert reader.collect().equals(expected)
    assert _rows(lake).height == expected.height - 1


def test_a_published_version_stays_readable_as_long_as_the_books_name_it(lake: Lake) -> None:
    versions = [lake.publish("kpi", pl.DataFrame({"value": [n]}), None) for n in range(8)]
    books = pl.DataFrame(
        {
            "table": "kpi",
            "delta_version": versions[:3],
            "complete_through": START,
            "published_at": [datetime.now(UTC) - 9 * HOUR, *[datetime.now(UTC) - HOUR] * 2],
        }
    )
    lake.add_published("publications", books)
    _age(lake, "published/kpi", 9 * HOUR)
    done = _maintained(lake, 3 * HOUR)
    assert done["published/kpi"].removed == 5
    path = lake.path("published/kpi")
    for version in (versions[1], versions[2], versions[7]):
        assert pl.read_delta(path, version=version)["value"].to_list() == [version]
    with pytest.raises((OSError, pl.exceptions.ComputeError)):
        pl.read_delta(path, version=versions[0])


def test_only_crowded_partitions_are_written_again(lake: Lake) -> None:
    def ledger(day: int, hour: int) -> pl.DataFrame:
        schema = TABLES["hour_fingerprints"].polars_schema
        row = ("t", (START + timedelta(days=day)).date(), hour, "i", "c", 1)
        return pl.DataFrame([row], schema=schema, orient="row")

    for hour in range(FILES_PER_PARTITION + 1):
        lake.append("hour_fingerprints", ledger(0, hour))
    for hour in range(FILES_PER_PARTITION):
        lake.append("hour_fingerprints", ledger(1, hour))
    before = lake.partitions("hour_fingerprints").signatures
    rows = _rows(lake, "hour_fingerprints")
    done = _maintained(lake)["hour_fingerprints"]
    assert done.files_after == 1 + FILES_PER_PARTITION
    after = lake.partitions("hour_fingerprints").signatures
    assert [key[1] for key in after if after[key] != before[key]] == ["2026-01-01"]
    assert _rows(lake, "hour_fingerprints").equals(rows)


def test_every_table_is_maintained_and_an_empty_lake_has_none(lake: Lake) -> None:
    assert _maintained(lake) == {}
    lake.append("user_version_intervals", _intervals(range(3)))
    lake.publish("kpi", pl.DataFrame({"value": [1]}), None)
    assert set(_maintained(lake)) == {"published/kpi", "user_version_intervals"}
    log = Path(lake.path("user_version_intervals")) / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet"))
    for table in ("user_version_intervals", "published/kpi"):
        for path in DeltaTable(lake.path(table)).file_uris():
            assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_what_is_asked_for_single_players_is_sorted_by_player(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kpi_platform.storage.lake.maintenance.LOOKUP_ROW_GROUP", 1_000)
    shuffled = _intervals(range(20_000)).sample(fraction=1, shuffle=True, seed=1)
    lake.append("user_version_intervals", shuffled)
    before = _rows(lake)
    _maintained(lake)
    assert _rows(lake).equals(before)
    (path,) = DeltaTable(lake.path("user_version_intervals")).file_uris()
    footer = pq.ParquetFile(path).metadata
    number = footer.schema.to_arrow_schema().get_field_index("player_id")
    groups = [footer.row_group(n).column(number).statistics for n in range(footer.num_row_groups)]
    assert len([g for g in groups if g.min <= "P07777" <= g.max]) == 1 and len(groups) == 20
    version = lake.version("user_version_intervals")
    _maintained(lake)
    assert lake.version("user_version_intervals") == version


@pytest.mark.xdist_group("servers")
def test_a_lake_on_s3_is_maintained_the_same_way(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("kpi_platform.storage.lake.maintenance.LOOKUP_ROW_GROUP", 1_000)
    lake = Lake(f"{s3_server.create_bucket('maintenance')}/lake")
    for number in range(FILES_PER_PARTITION + 1):
        _update(lake, number)
    lake.append("user_version_intervals", _intervals(range(100, 3_000)))
    lake.publish("kpi", pl.DataFrame({"value": [1]}), None)
    before = _rows(lake)
    done = _maintained(lake)
    assert set(done) == {"published/kpi", "user_version_intervals"}
    assert done["user_version_intervals"].files_after == 1
    assert _rows(lake).equals(before)
    again = _maintained(lake)["user_version_intervals"]
    assert (again.files_before, again.error) == (1, "")


def test_the_log_forgets_what_its_files_have_forgotten(lake: Lake) -> None:
    for number in range(60):
        _update(lake, number)
    before = _rows(lake)
    log = Path(lake.path("user_version_intervals")) / "_delta_log"
    _maintained(lake)
    assert len(list(log.glob("*.json"))) > 60
    long_ago = (datetime.now(UTC) - WEEK - HOUR).timestamp()
    for path in log.iterdir():
        os.utime(path, (long_ago, long_ago))
    _maintained(lake)
    left = list(log.glob("*.json"))
    assert len(left) < 5
    version = lake.version("user_version_intervals")
    _maintained(lake)
    assert lake.version("user_version_intervals") == version
    assert _rows(lake).equals(before)
    _update(lake, 60)
    assert _rows(lake).height == before.height + 2
