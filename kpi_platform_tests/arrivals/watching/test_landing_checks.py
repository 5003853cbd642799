"""The daily listing as Dagster runs it, on real files: what it names, which hours it asks for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from kpi_platform.arrivals.assets import raw_console_feed, raw_telemetry
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.held_checks import held_spec
from kpi_platform.arrivals.watching import landing_checks
from kpi_platform.arrivals.watching.landing_checks import (
    FEEDS,
    FILES,
    HELD,
    HOURS,
    list_landing,
    unread_ranges,
)
from kpi_platform.arrivals.watching.schedules import landing_listing
from kpi_platform.engine.hour_steps import work_through
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.schemas.findings import FINDINGS, Finding, findings_in, findings_text
from kpi_platform.schemas.hours.hour_checks import HourCheck

# Older than any sensor looks back.
OLD = datetime(2026, 1, 5, 7, tzinfo=UTC)
SOURCES = """
studios:
  - key: north
    games:
      - key: rails
        sources:
          - key: rails
            telemetry: rails-folder
          - key: rails-live
            feed: {kind: stream, folder: live, hour: hour, average_viewers: average}
"""
Found = dict[dg.AssetCheckKey, dg.AssetCheckEvaluation]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "landing").mkdir()
    (tmp_path / "feeds").mkdir()
    (tmp_path / "sources.yaml").write_text(SOURCES)
    for name, value in (
        ("HOME", tmp_path),
        ("LANDING_URI", tmp_path / "landing"),
        ("FEEDS_URI", tmp_path / "feeds"),
        ("LAKE_URI", tmp_path / "lake"),
        ("SOURCES", tmp_path / "sources.yaml"),
        ("START_HOUR", f"{OLD:%Y-%m-%d-%H:%M}"),
    ):
        monkeypatch.setenv(f"KPI_{name}", str(value))
    return tmp_path


def put(world: Path, name: str) -> None:
    path = world / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"hour,average\n{OLD:%Y-%m-%dT%H:%M:%SZ},5\n")


def listing() -> tuple[Found, list[str]]:
    definitions = dg.Definitions(
        assets=[raw_telemetry, raw_console_feed],
        asset_checks=[list_landing],
        jobs=[landing_listing],
        resources={"platform": PlatformResource()},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("landing_listing").execute_in_process(
            instance=instance
        )
        found = {check.asset_check_key: check for check in result.get_asset_check_evaluations()}
        return found, unread_ranges(instance, result.run_id)


def read_streams(hour: datetime) -> None:
    parts = PlatformResource().platform
    step = StreamStep.of(parts)
    for reports in work_through(parts.lake, step, [hour], 10**9):
        assert reports[0].is_up_to_date


def test_a_file_of_a_feed_that_came_weeks_late_is_asked_for_until_it_is_read(world: Path) -> None:
    put(world, f"feeds/live/{OLD:%Y/%m/%d/%H}/a.csv")
    found, ranges = listing()
    assert (found[FEEDS].passed, found[HOURS].passed) == (False, True)
    assert ranges == ["2026-01-05-07:00"]
    read_streams(OLD)
    found, ranges = listing()
    assert (found[FEEDS].passed, ranges) == (True, [])


def test_files_of_feeds_out_of_place_are_named(world: Path) -> None:
    put(world, "feeds/strangers/2026/01/05/07/a.csv")
    put(world, "feeds/live/2026/13/05/07/a.csv")
    put(world, f"feeds/live/{OLD:%Y/%m/%d/%H}/a.xlsx")
    found, ranges = listing()
    named = str(found[FEEDS].metadata["files"].value)
    assert "strangers/2026/01/05/07/a.csv (no feed of this folder)" in named
    assert "live/2026/13/05/07/a.csv (no valid hour)" in named
    assert "a.xlsx (unknown ending)" in named
    assert (found[FEEDS].passed, ranges) == (False, [])


def test_feeds_that_cannot_be_listed_keep_nothing_from_telemetry(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPI_FEEDS_URI", str(world / "nowhere"))
    put(world, f"landing/rails-folder/{OLD + timedelta(hours=1):%Y/%m/%d/%H}/a.tsv")
    found, ranges = listing()
    assert "KPI_FEEDS_URI" in str(found[FEEDS].metadata["error"].value)
    # No hour since the first partition has run; those without files are asked for too.
    assert ranges == ["2026-01-05-07:00...2026-01-05-08:00"]


def test_a_file_outside_any_folder_is_named_though_there_is_no_folder(world: Path) -> None:
    put(world, "landing/a.tsv")
    found, _ = listing()
    assert "a.tsv (no valid hour)" in str(found[FILES].metadata["files"].value)


def test_an_hour_that_holds_files_is_named_with_all_its_sources_or_not_at_all(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Finding("files_held", "raw_telemetry", "gone", source=source) for source in "abc"]
    figures = {"sources": "a, b, c", FINDINGS: findings_text(found)}
    hours = [
        (
            "raw_telemetry",
            HourCheck(held_spec("raw_telemetry"), hour, passed=False, figures=figures),
        )
        for hour in (OLD, OLD + timedelta(hours=1), OLD + timedelta(hours=2))
    ]
    monkeypatch.setattr(landing_checks, "held_hours", lambda _: iter(hours))
    for most, named in ((9, 3), (8, 2), (2, 1)):
        monkeypatch.setattr(landing_checks, "_MOST_FINDINGS", most)
        metadata = listing()[0][HELD].metadata
        assert metadata["hours"].value == 3
        told = findings_in(str(metadata[FINDINGS].value), None, "")
        assert [(each.source, *each.hours) for each in told] == [
            (source, hour)
            for _, check in hours[:named]
            for hour in (check.hour,)
            for source in "abc"
        ]
