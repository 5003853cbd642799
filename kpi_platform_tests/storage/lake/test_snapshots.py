"""Kept snapshots: every read sees every commit made before it, whoever made it, and moves no other
read."""

import json
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import polars as pl
import pytest
from deltalake import DeltaTable

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.delta import snapshots as snapshots_module
from kpi_platform.storage.lake.delta.delta_tables import PlainTable
from kpi_platform.storage.lake.lake import Lake, open_store
from kpi_platform.storage.lake.maintenance import maintain
from kpi_platform.storage.local_servers.local_s3 import S3Server

FIVE = datetime(2026, 1, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
TABLE = "sightings"
BY_ANOTHER = """
import sys
from kpi_platform_tests.storage.lake.test_snapshots import FIVE, HOUR, write
from kpi_platform.storage.lake.lake import Lake
write(Lake(sys.argv[1]), int(sys.argv[2]))
"""


def write(lake: Lake, number: int, event: str | None = None) -> None:
    """Replace the hour `number` by one sighting."""
    hour = FIVE + number * HOUR
    row = (event or f"e{number}", "s", "svc", "x", hour, 1, "1.0", None, None, hour.date())
    schema = TABLES[TABLE].polars_schema
    lake.replace_hours(TABLE, pl.DataFrame([(*row, hour.hour)], schema, orient="row"), [hour])


def events(lake: Lake) -> list[str]:
    """What the lake holds now."""
    return lake.scan(TABLE).collect()["event_id"].sort().to_list()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables whose whole list of files was read."""
    found: list[str] = []

    def counted(uri: str) -> PlainTable:
        table = PlainTable(uri)
        found.append(Path(uri).name)
        return table

    monkeypatch.setattr(snapshots_module, "PlainTable", counted)
    return found


def test_a_table_is_opened_once_however_often_it_is_read_and_written(
    lake: Lake, opened: list[str]
) -> None:
    for number in range(5):
        write(lake, number)
        assert events(lake) == [f"e{n}" for n in range(number + 1)]
        assert lake.version(TABLE) == number + 1
    assert opened == [TABLE]


def test_a_commit_of_another_process_is_seen_at_the_next_read(
    lake: Lake, opened: list[str]
) -> None:
    write(lake, 0)
    assert events(lake) == ["e0"]
    for number in (1, 2):
        command = [sys.executable, "-c", BY_ANOTHER, lake.uri, str(number)]
        subprocess.run(command, check=True)
        assert events(lake) == [f"e{n}" for n in range(number + 1)]
    write(lake, 3)
    assert events(Lake(lake.uri)) == ["e0", "e1", "e2", "e3"]
    assert opened == [TABLE] * 2


def test_a_lazy_frame_reads_what_there_was_when_it_was_made(lake: Lake) -> None:
    write(lake, 0)
    before = [lake.scan(TABLE) for _ in range(3)]
    for number in (1, 2):
        write(lake, number)
    write(lake, 0, "corrected")
    assert [frame.collect()["event_id"].to_list() for frame in before] == [["e0"]] * 3
    assert events(lake) == ["corrected", "e1", "e2"]


def test_a_table_merged_and_vacuumed_by_others_is_read_right(lake: Lake) -> None:
    for number in range(3):
        for time in range(6):
            write(lake, number, f"e{number}.{time}")
        assert lake.version(TABLE) is not None
    old = {str(path) for path in Path(lake.path(TABLE)).rglob("*.parquet")}
    assert not [item.error for item in maintain(Lake(lake.uri), timedelta()) if item.error]
    assert any(not Path(path).exists() for path in old)
    assert events(lake) == ["e0.5", "e1.5", "e2.5"]
    write(lake, 1, "after")
    assert events(lake) == ["after", "e0.5", "e2.5"]


def test_commits_that_were_cleaned_from_the_log_are_not_missed(
    lake: Lake, opened: list[str]
) -> None:
    write(lake, 0)
    assert events(lake) == ["e0"]
    other = Lake(lake.uri)
    for number in range(1, 4):
        write(other, number)
    DeltaTable(lake.path(TABLE)).create_checkpoint()
    for path in Path(lake.path(TABLE), "_delta_log").glob("*.json"):
        path.unlink() if path.stem != f"{4:020}" else None
    assert events(lake) == ["e0", "e1", "e2", "e3"]
    assert opened == [TABLE] * 3


@pytest.mark.parametrize("commits", [1, 3, 5])
def test_a_table_made_anew_in_the_same_place_is_noticed(lake: Lake, commits: int) -> None:
    for number in range(3):
        write(lake, number)
    assert events(lake) == ["e0", "e1", "e2"]
    shutil.rmtree(lake.path(TABLE))
    assert events(lake) == []
    for number in range(commits):
        write(Lake(lake.uri), number, f"anew{number}")
    assert events(lake) == [f"anew{n}" for n in range(commits)]
    write(lake, 0, "last")
    assert events(lake) == sorted(["last", *(f"anew{n}" for n in range(1, commits))])


def test_a_log_put_back_from_before_is_noticed(lake: Lake, tmp_path: Path) -> None:
    write(lake, 0)
    shutil.copytree(lake.path(TABLE), tmp_path / "backup")
    write(lake, 1)
    assert events(lake) == ["e0", "e1"]
    shutil.rmtree(lake.path(TABLE))
    shutil.copytree(tmp_path / "backup", lake.path(TABLE))
    assert events(lake) == ["e0"]


def test_threads_that_share_a_lake_see_each_others_commits(lake: Lake) -> None:
    write(lake, 0)
    wrong: list[str] = []

    def work(first: int) -> None:
        for number in range(first, first + 5):
            before = set(events(lake))
            write(lake, number)
            after = set(events(lake))
            if not before | {f"e{number}"} <= after:
                wrong.append(f"{number}: {sorted(before - after)}")

    threads = [threading.Thread(target=work, args=(first,)) for first in (10, 20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(events(lake)) == 16


def test_few_snapshots_are_kept(lake: Lake) -> None:
    write(lake, 0)
    held = [lake.open(TABLE) for _ in range(10)]
    assert len({id(table) for table in held}) == 10
    held.clear()
    (kept,) = lake._snapshots._idle.values()
    assert len(kept) == snapshots_module.KEPT_OF_A_TABLE


def _stripped(log: Path) -> None:
    """Let the log say nothing of its files' values."""
    for path in log.glob("*.json"):
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        for action in actions:
            action.get("add", {}).pop("stats", None)
        path.write_text("".join(json.dumps(action) + "\n" for action in actions))


@pytest.mark.parametrize("change", [None, _stripped])
def test_rows_of_a_span_are_found_whatever_the_log_says(lake: Lake, change: object) -> None:
    micros = timedelta(microseconds=999)
    rows = pl.DataFrame(
        [
            (
                f"e{n}",
                "s",
                "svc",
                "x",
                FIVE + n * HOUR + micros,
                1,
                "1",
                None,
                None,
                FIVE.date(),
                5 + n,
            )
            for n in range(6)
        ],
        TABLES[TABLE].polars_schema,
        orient="row",
    )
    lake.replace_hours(TABLE, rows, [FIVE + n * HOUR for n in range(6)])
    if callable(change):
        change(Path(lake.path(TABLE), "_delta_log"))
    at = rows["event_at"]
    for first in range(6):
        for last in range(first, 6):
            span = lake.scan_span(
                TABLE, ("event_at", "event_at"), at[first : first + 1], at[last : last + 1]
            )
            assert span.collect()["event_id"].sort().to_list() == [
                f"e{n}" for n in range(first, last + 1)
            ]
            hours = [FIVE + n * HOUR for n in range(first, last + 1)]
            assert (
                lake.scan_hours(TABLE, hours)
                .collect()
                .sort("event_id")
                .equals(rows[first : last + 1])
            )


def test_files_that_cannot_hold_what_is_looked_for_are_not_opened(lake: Lake) -> None:
    for number in range(3):
        write(lake, number)
    for path in Path(lake.path(TABLE)).glob("*/p_ingest_hour_utc=[67]/*.parquet"):
        path.write_bytes(b"not read")
    at = pl.Series([FIVE])
    for rows in (
        lake.scan_hours(TABLE, [FIVE]),
        lake.scan_span(TABLE, ("event_at", "event_at"), at, at),
    ):
        assert rows.collect()["event_id"].to_list() == ["e0"]


@pytest.mark.xdist_group("servers")
def test_on_s3_too_commits_of_others_and_a_table_made_anew_are_seen(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    bucket = s3_server.create_bucket("snapshots")
    lake, other = Lake(f"{bucket}/lake"), Lake(f"{bucket}/lake")
    for number, writer in enumerate([lake, other, lake]):
        write(writer, number)
        assert events(lake) == events(other) == [f"e{n}" for n in range(number + 1)]
    assert opened == [TABLE] * 2
    store = open_store(lake.path(TABLE))
    obstore.delete(store, [found["path"] for found in obstore.list(store).collect()])
    assert events(lake) == []
    for number in range(3):
        write(Lake(lake.uri), number, f"anew{number}")
    assert events(lake) == events(other) == ["anew0", "anew1", "anew2"]
