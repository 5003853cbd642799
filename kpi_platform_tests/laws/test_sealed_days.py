"""Retention move by move: what is sealed, what goes, what is refused, and what is said of it."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.arrivals.held_checks import check_held
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.backfill.plan import plan_backfill
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.books.damages import damages_of
from kpi_platform.engine.books.hour_fingerprints import forget_consumed
from kpi_platform.engine.books.hour_ledger import empty_rows, mark_failed, write_ledger
from kpi_platform.engine.books.seals import dropped_hours, sealed_days
from kpi_platform.retention.dropping import drop_lines
from kpi_platform.retention.report import as_lines, as_values
from kpi_platform.retention.run import plan_retention
from kpi_platform.schemas.findings import FINDINGS, findings_in
from kpi_platform.storage.lake.maintenance import maintain
from kpi_platform.verification.mend import rebuild_table
from kpi_platform.verification.report import as_lines as verify_lines
from kpi_platform.verification.verify import verify
from kpi_platform_tests.colours import worked
from kpi_platform_tests.laws.sealed_world import (
    EVERY,
    HOUR,
    HOURS,
    START,
    WALL,
    SealedWorld,
    sorted_rows,
)

FIRST, EVENING, NEXT, AFTER = HOURS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SealedWorld:
    """Four hours with two files each, none of them old; copied, never changed."""
    world = SealedWorld(tmp_path_factory.mktemp("sealed") / "world")
    for hour in HOURS:
        world.put(hour, "a.tsv", ["own 1", "late 1", "ahead 1", "no body"])
        world.put(hour, "b.tsv.gz", ["own 1", "own 2", "unreadable"])
    world.run(EVERY)
    world.fold()
    return world


@pytest.fixture
def world(made: SealedWorld, tmp_path: Path) -> SealedWorld:
    return made.copy(tmp_path / "world")


@pytest.fixture(scope="module")
def sealed(made: SealedWorld, tmp_path_factory: pytest.TempPathFactory) -> SealedWorld:
    """The same, the first day sealed and the lines of its first hour gone."""
    world = made.copy(tmp_path_factory.mktemp("sealed-day") / "world")
    world.time_passes(1)
    world.fold()
    world.retain()
    return world


def _stored(world: SealedWorld, hour: datetime) -> dict[str, int]:
    tables = ("raw_telemetry", "quarantined_events")
    return {table: world.lake.read_hours(table, [hour]).height for table in tables}


def _state(world: SealedWorld, hour: datetime, name: str) -> set[str]:
    files = world.lake.read_hours("file_ledger", [hour])
    return {row["state"] for row in files.to_dicts() if row["path"].endswith(name)}


def test_a_dry_run_says_what_a_run_does_and_changes_nothing(world: SealedWorld) -> None:
    world.time_passes(1)
    tables = ("sealed_days", "dropped_hours", "raw_telemetry")
    before = {table: world.lake.version(table) for table in tables}
    planned = plan_retention(world.platform, WALL)
    assert {table: world.lake.version(table) for table in tables} == before
    said = list(as_lines(planned, is_dry=True))
    assert "2 days would be sealed (2025-12-31 to 2026-01-01)" in said[1]
    assert "1 hours' lines would go: 6 rows of raw_telemetry" in said[2]
    assert "1 hours keep their lines" in said[3]
    done = world.retain()
    assert done is not None
    assert as_values(done, is_dry=False) == as_values(planned, is_dry=False)
    assert _stored(world, FIRST) == {"raw_telemetry": 0, "quarantined_events": 0}
    # Its end holds events of the next day.
    assert _stored(world, EVENING) == {"raw_telemetry": 6, "quarantined_events": 2}
    assert not any(damages_of(world.lake).values())


def test_now_is_never_beyond_the_time_of_day(world: SealedWorld) -> None:
    world.time_passes(3)
    planned = plan_retention(world.platform, START + timedelta(days=32))
    assert planned.sealing.last == START.date()
    assert planned.lines.hours == [FIRST]


@pytest.mark.parametrize("reason", ["never run", "failed", "not finished"])
def test_days_wait_for_every_hour_that_may_hold_lines_of_them(
    world: SealedWorld, reason: str
) -> None:
    hour = START + 40 * HOUR
    if reason == "never run":
        forget_consumed(world.lake, "raw_telemetry", [hour])
        world.lake.delete(
            "hour_ledger", "p_ingest_date_utc = '2026-01-02' AND p_ingest_hour_utc = 16"
        )
    elif reason == "failed":
        mark_failed(world.lake, hour, "no", ["game"])
    else:
        forget_consumed(world.lake, "cleaned_events", [hour])
    world.time_passes(3)
    planned = plan_retention(world.platform, WALL)
    assert [(item.hour, item.reason) for item in planned.waiting][:1] == [(hour, reason)]
    # The day before it and its own; the third lacks hours beyond the world's.
    assert planned.sealing.days == []
    assert f"  {reason}: 2026-01-02-16:00" in "\n".join(as_lines(planned))


def test_an_hour_with_unread_files_keeps_its_lines(world: SealedWorld) -> None:
    world.put(FIRST, "c.tsv", ["own 3"])
    world.time_passes(1)
    world.retain()
    assert START.date() in sealed_days(world.lake)
    assert not dropped_hours(world.lake)
    world.run([FIRST])
    world.check()
    world.retain()
    assert dropped_hours(world.lake) == {FIRST}


def test_a_late_file_brings_only_lines_of_days_that_are_not_sealed(
    sealed: SealedWorld, tmp_path: Path
) -> None:
    world = sealed.copy(tmp_path / "world")
    world.put(FIRST, "c.tsv", ["own 3", "late 2", "unreadable"])
    world.put(EVENING, "c.tsv", ["own 3", "ahead 2", "no body"])
    world.run([FIRST, EVENING])
    world.check()
    ledger = world.lake.read_hours("hour_ledger", [FIRST, EVENING]).sort("p_ingest_hour_utc")
    # A line that cannot be decoded, but is of a sealed day, counts as sealed.
    assert ledger["sealed"].to_list() == [2, 2]
    assert ledger["lines"].to_list() == [10, 10]
    assert _stored(world, FIRST) == {"raw_telemetry": 0, "quarantined_events": 1}
    world.fold()
    found = verify(world.platform, None, None, 50, lambda *_: None)
    assert found.is_equal
    assert not found.stale
    assert found.dropped == [FIRST]
    assert "the lines of 1 hours, from 2026-01-01-05:00" in list(verify_lines(found))[-1]


def test_a_file_that_came_late_stays_late(
    sealed: SealedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sealed.copy(tmp_path / "world")
    world.put(EVENING, "c.tsv", ["own 3", "ahead 2"])
    world.run([EVENING])
    # Read again, by another version and in place of itself.
    monkeypatch.setattr("kpi_platform.arrivals.telemetry.raw_step.VERSION", "next")
    world.run([EVENING])
    world.check()
    world.put(EVENING, "c.tsv", ["own 2", "own 3", "ahead 1"])
    # A correction of a file that came in time is no late line.
    world.put(EVENING, "a.tsv", ["own 2", "ahead 1"])
    world.run([EVENING])
    world.check()
    files = world.lake.read_hours("file_ledger", [EVENING]).sort("path")
    told = files.filter(files["lines"] > 0)["sealed"].to_list()
    assert told == [0, 0, 2]


def test_a_corrected_file_has_the_whole_hour_read_anew_if_it_is_there(
    sealed: SealedWorld, tmp_path: Path
) -> None:
    world = sealed.copy(tmp_path / "world")
    world.put(FIRST, "a.tsv", ["own 3"])
    world.run([FIRST])
    world.fold()
    world.check()
    assert not dropped_hours(world.lake)
    assert _stored(world, FIRST) == {"raw_telemetry": 3, "quarantined_events": 1}
    world.retain()
    assert dropped_hours(world.lake) == {FIRST}


def test_a_corrected_file_is_refused_by_name_if_others_are_gone(
    sealed: SealedWorld, tmp_path: Path
) -> None:
    world = sealed.copy(tmp_path / "world")
    world.delete(FIRST, "b.tsv.gz")
    world.put(FIRST, "a.tsv", ["own 3"])
    before = sorted_rows(world.lake, "cleaned_events")
    world.run([FIRST])
    world.check()
    assert sorted_rows(world.lake, "cleaned_events") == before
    assert _state(world, FIRST, "a.tsv") == {"held", "refused"}
    (check,) = check_held(world.lake, "raw_telemetry", "telemetry", [FIRST])
    assert not check.passed
    assert check.figures["files"] == "game/2026/01/01/05/a.tsv"
    # Letting go of it would mend nothing.
    (told,) = findings_in(str(check.figures[FINDINGS]), "raw_telemetry", check.spec.name)
    assert (told.kind, "refused" in told.mend) == ("files_held", True)
    assert "upload all files of their hours again" in told.mend
    assert "removals accept" not in told.mend
    world.run_feeds([FIRST])
    (planned,) = plan_backfill(world.platform, FIRST, FIRST).hours
    assert (planned.reason, planned.error) == ("sealed", "refused: game/2026/01/01/05/a.tsv")
    # Asked for again, nothing is done: it is as if it never came.
    assert {report.status for report in world.run([FIRST])} == {"unchanged"}
    # When all are there it is taken.
    world.put(FIRST, "b.tsv.gz", ["own 1", "own 2", "unreadable"])
    world.run([FIRST])
    world.check()
    assert not dropped_hours(world.lake)
    assert _state(world, FIRST, "a.tsv") == {"read", "replaced"}


def test_a_file_that_cannot_be_unpacked_is_refused(sealed: SealedWorld, tmp_path: Path) -> None:
    world = sealed.copy(tmp_path / "world")
    world.path(FIRST, "b.tsv.gz").write_bytes(b"this is no gzip")
    reports = world.run_files([FIRST])
    assert not [report for report in reports if report.error]
    assert _state(world, FIRST, "b.tsv.gz") == {"held", "refused"}
    world.expected.there[FIRST].pop("b.tsv.gz")
    world.check()


def test_other_versions_and_settings_do_not_rerun_hours_without_lines(
    sealed: SealedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sealed.copy(tmp_path / "world")
    monkeypatch.setattr("kpi_platform.arrivals.telemetry.raw_step.VERSION", "next")
    monkeypatch.setattr("kpi_platform.cleaned.events_step.VERSION", "next")
    assert [report.status for report in world.run([FIRST, EVENING])] == [
        *("written", "unchanged"),
        *("written", "unchanged"),
    ]
    world.check()


def test_events_without_lines_are_not_rebuilt_from_nothing(
    sealed: SealedWorld, tmp_path: Path
) -> None:
    world = sealed.copy(tmp_path / "world")
    before = sorted_rows(world.lake, "cleaned_events")
    done = rebuild_table(world.platform, "cleaned_events", FIRST, EVENING)
    assert list(done.failed) == [FIRST]
    assert "its lines are gone" in done.failed[FIRST]
    assert sorted_rows(world.lake, "cleaned_events") == before


def test_a_run_that_had_begun_keeps_the_hours_lines(world: SealedWorld) -> None:
    world.time_passes(1)
    step = EventsStep.of(world.platform)
    step.inputs([FIRST])
    # As a run does before it works on an hour.
    forget_consumed(world.lake, "cleaned_events", [FIRST])
    found = plan_retention(world.platform, WALL)
    assert [(item.hour, item.reason) for item in found.waiting][:1] == [(FIRST, "not finished")]
    step.run([FIRST])
    world.check()


def test_lines_that_came_since_the_plan_are_not_taken_away(world: SealedWorld) -> None:
    world.time_passes(1)
    rows = plan_retention(world.platform, WALL).lines.hour_rows
    world.put(FIRST, "c.tsv", ["own 3"])
    raw = RawStep.of(world.platform)
    worked(world.lake, raw, [FIRST])
    # Read, and not yet decoded.
    assert drop_lines(world.platform, rows) == [FIRST]
    assert not dropped_hours(world.lake)
    world.run([FIRST])
    world.check()


def test_files_that_come_between_plan_and_drop_are_read(world: SealedWorld) -> None:
    world.time_passes(1)
    rows = plan_retention(world.platform, WALL).lines.hour_rows
    world.put(FIRST, "c.tsv", ["own 3"])
    world.put(FIRST, "a.tsv", ["own 1", "late 1", "late 2"])
    assert drop_lines(world.platform, rows) == [FIRST]
    assert {report.status for report in world.run([FIRST])} == {"written"}
    world.check()


@pytest.mark.parametrize("table", ["raw_telemetry", "file_ledger"])
def test_damage_makes_no_file_new_whose_lines_were_taken(
    sealed: SealedWorld, tmp_path: Path, table: str
) -> None:
    world = sealed.copy(tmp_path / "world")
    # An hour that keeps its lines, late ones of a sealed day among them.
    assert NEXT not in dropped_hours(world.lake)
    before = sorted_rows(world.lake, "cleaned_events")
    day = f"p_ingest_date_utc={NEXT:%Y-%m-%d}"
    for file in (world.root / "lake" / table).rglob("*.parquet"):
        if day in str(file) and f"p_ingest_hour_utc={FIRST.hour}/" not in str(file):
            file.unlink()
    rebuild_table(world.platform, table, None, None)
    assert sorted_rows(world.lake, "cleaned_events") == before


def test_a_warehouse_that_is_down_holds_up_no_day(world: SealedWorld) -> None:
    world.time_passes(1)
    days = plan_retention(world.platform, WALL).sealing.days
    failed = empty_rows(EVENING, ["studio-db"], "warehouse").with_columns(
        source_error=pl.lit("no route to host"), rows=pl.lit(0, pl.Int64)
    )
    write_ledger(world.lake, failed, [EVENING], "warehouse")
    assert days
    assert plan_retention(world.platform, WALL).sealing.days == days


def test_the_disk_is_free_after_maintenance_and_no_row_differs(world: SealedWorld) -> None:
    world.time_passes(2)
    world.fold()
    before = _bytes(world)
    found = world.retain()
    assert found is not None
    assert len(found.lines.hours) == 3
    list(maintain(world.lake, timedelta(0)))
    after = _bytes(world)
    assert after["raw_telemetry"] < before["raw_telemetry"] / 2
    assert world.lake.read_hours("raw_telemetry", found.lines.hours).is_empty()
    world.check()


def _bytes(world: SealedWorld) -> dict[str, int]:
    """The bytes of the tables' data files that lie on the disk."""
    root = world.root / "lake"
    return {
        folder.name: sum(file.stat().st_size for file in folder.glob("p_*/**/*.parquet"))
        for folder in root.iterdir()
        if folder.is_dir()
    }
