"""Files that go: what the checks, the daily listing, `kpi removals` and the next run make of it."""

import gzip
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from kpi_platform.arrivals.checks import check_raw
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.arrivals.watching.arrivals_watch import Memory
from kpi_platform.arrivals.watching.landing_checks import HELD, HOURS, list_landing
from kpi_platform.arrivals.watching.missing_files import note_missing_of_all
from kpi_platform.arrivals.watching.sensors import watch
from kpi_platform.arrivals.watching.watched_files import Telemetry
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cli.cli import app
from kpi_platform.engine.hour_steps import work_through
from kpi_platform.engine.platform import Platform
from kpi_platform.settings import Settings, load_settings

HOUR = datetime(2026, 3, 10, 11, tzinfo=UTC)
NOW = HOUR + timedelta(minutes=65)
SOURCES = "studios: [{key: s, games: [{key: g, sources: [{key: rails, telemetry: rails}]}]}]"


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    (tmp_path / "landing").mkdir()
    (tmp_path / "sources.yaml").write_text(SOURCES)
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_SOURCES", str(tmp_path / "sources.yaml"))
    monkeypatch.setenv("KPI_START_HOUR", "2026-03-01-00:00")
    return Platform(load_settings())


def put(parts: Platform, hour: datetime, name: str, *numbers: int) -> Path:
    path = Path(parts.settings.landing) / "rails" / f"{hour:%Y/%m/%d/%H}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    at = f"{hour:%Y-%m-%dT%H}:00:00.000+0000"
    path.write_text("".join(f"T\t{at}\tApp\tS\t{n}\t{{'Name': 'A'}}\n" for n in numbers))
    return path


def run(parts: Platform, *hours: datetime) -> set[str]:
    statuses = set()
    for step in (RawStep.of(parts), EventsStep.of(parts)):
        for reports in work_through(parts.lake, step, list(hours), 1_000_000):
            assert not [report.error for report in reports if report.error]
            statuses |= {report.status for report in reports}
    return statuses


def rows(parts: Platform) -> list[int]:
    return parts.lake.scan("cleaned_events").collect()["transaction_id"].sort().to_list()


def states(parts: Platform) -> dict[str, str]:
    files = parts.lake.scan("file_ledger").collect().sort("path", "content_hash")
    return {row["path"].rpartition("/")[2]: row["state"] for row in files.iter_rows(named=True)}


def still_there(parts: Platform) -> tuple[bool, dict[str, object]]:
    checks = check_raw(parts.lake, [HOUR])
    (check,) = (check for check in checks if check.spec.name == "every_file_is_still_there")
    return check.passed, dict(check.figures)


def kpi(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_emptied_bucket_empties_nothing_and_is_named(parts: Platform) -> None:
    for path in (put(parts, HOUR, "a.tsv", 1, 2), put(parts, HOUR, "b.tsv", 3)):
        last = path
    assert run(parts, HOUR) == {"written"}
    last.with_name("a.tsv").unlink()
    last.unlink()
    assert run(parts, HOUR) == {"unchanged"}
    assert rows(parts) == [1, 2, 3]
    assert states(parts) == {"a.tsv": "held", "b.tsv": "held"}
    passed, figures = still_there(parts)
    assert (passed, figures["lost"], figures["sources"]) == (False, 2, "rails")
    listed = json.loads(kpi("removals", "list", "--json"))
    assert [(item["hour"], item["source"], item["lines"]) for item in listed] == [
        ("2026-03-10-11:00", "rails", 2),
        ("2026-03-10-11:00", "rails", 1),
    ]


def test_accepted_files_leave_with_the_next_run_and_come_back_as_new(parts: Platform) -> None:
    gone = put(parts, HOUR, "a.tsv", 1, 2)
    put(parts, HOUR, "b.tsv", 3)
    run(parts, HOUR)
    gone.unlink()
    span = ("--from", "2026-03-10-00:00", "--to", "2026-03-10-23:00")
    # Accepted without a run that noted it.
    assert "1 files of 1 hours let go: 2 lines" in kpi("removals", "accept", *span)
    assert "no file is held" in kpi("removals", "accept", *span)
    assert "no file is held" in kpi("removals", "list")
    # Whatever the next run is asked for.
    run(parts, HOUR + timedelta(hours=1))
    assert (rows(parts), states(parts)) == ([3], {"a.tsv": "removed", "b.tsv": "read"})
    assert still_there(parts)[0]
    put(parts, HOUR, "a.tsv", 1, 2)
    run(parts, HOUR)
    assert (rows(parts), states(parts)) == ([1, 2, 3], {"a.tsv": "read", "b.tsv": "read"})


def test_renamed_split_and_joined_files_are_no_matter(parts: Platform) -> None:
    old = put(parts, HOUR, "a.tsv", 1, 2)
    run(parts, HOUR)
    old.unlink()
    put(parts, HOUR, "b.tsv", 1)
    run(parts, HOUR)
    assert not still_there(parts)[0]
    put(parts, HOUR, "c.tsv", 2, 3)
    run(parts, HOUR)
    assert (still_there(parts)[0], states(parts)["a.tsv"], rows(parts)) == (True, "held", [1, 2, 3])


def test_the_same_size_and_time_with_other_content_is_read(parts: Platform) -> None:
    path = put(parts, HOUR, "a.tsv", 1)
    times = path.stat()
    run(parts, HOUR)
    with path.open("r+") as file:
        file.write(path.read_text().replace("\t1\t", "\t2\t"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    run(parts, HOUR)
    assert rows(parts) == [2]
    assert time.time_ns() - path.stat().st_ctime_ns < 60 * 10**9


def test_a_file_that_cannot_be_opened_any_more_is_held(parts: Platform) -> None:
    path = put(parts, HOUR, "a.tsv.gz", 1)

    path.write_bytes(gzip.compress(path.read_bytes()))
    run(parts, HOUR)
    path.write_bytes(b"no gzip")
    run(parts, HOUR)
    assert (rows(parts), states(parts)) == ([1], {"a.tsv.gz": "held"})
    assert run(parts, HOUR) == {"unchanged"}
    path.with_name("b.tsv.gz").write_bytes(b"never was")
    run(parts, HOUR)
    assert states(parts)["b.tsv.gz"] == "unreadable"


def test_old_hours_files_may_go_without_a_word(
    parts: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPI_LANDING_KEPT_DAYS", "2")
    kept = Platform(Settings())
    old, new = HOUR - timedelta(days=3), HOUR
    paths = [put(kept, hour, "a.tsv", number) for number, hour in enumerate((old, new))]
    run(kept, old, new)
    for path in paths:
        path.unlink()
    run(kept, old, new)
    files = kept.lake.scan("file_ledger").collect().sort("p_ingest_date_utc")
    assert files["state"].to_list() == ["forgotten", "held"]
    assert rows(kept) == [0, 1]


def test_listings_ask_for_no_hour_because_files_are_gone_but_note_and_name_it(
    parts: Platform,
) -> None:
    paths = [put(parts, HOUR - timedelta(hours=back), "a.tsv", back) for back in range(3)]
    run(parts, *(HOUR - timedelta(hours=back) for back in range(3)))
    memory, asked = watch(parts, Memory(), NOW)
    assert asked == []
    for path in paths:
        path.unlink()
    assert watch(parts, memory, NOW)[1] == []
    note_missing_of_all(parts, Telemetry(parts), {})
    assert set(states(parts).values()) == {"held"}
    assert (rows(parts), HELD.name) == ([0, 1, 2], "no_hour_holds_files_that_are_gone")
    assert {HELD, HOURS} <= set(list_landing.check_keys)
    # One that comes back is asked for.
    put(parts, HOUR, "a.tsv", 0)
    assert [r.name for r in watch(parts, memory, NOW + timedelta(seconds=1))[1]] == [
        "2026-03-10-11:00"
    ]


def test_a_bad_hour_or_source_is_one_line(parts: Platform) -> None:
    put(parts, HOUR, "a.tsv", 1)
    run(parts, HOUR)
    for arguments in (
        ("--from", "yesterday", "--to", "2026-03-10-23:00"),
        ("--from", "2026-03-11-00:00", "--to", "2026-03-10-23:00"),
        ("--from", "2026-03-10-00:00", "--to", "2026-03-10-23:00", "--source", "nobody"),
    ):
        result = CliRunner().invoke(app, ["removals", "accept", *arguments])
        assert result.exit_code == 2
    assert pl.Series(rows(parts)).to_list() == [1]
