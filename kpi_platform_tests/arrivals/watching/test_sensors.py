"""The arrival sensor on a real landing folder and lake: which hours it asks for, and when not."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from kpi_platform.arrivals.assets import raw_telemetry
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.arrivals.watching.arrivals_watch import (
    HourRange,
    Memory,
    changed_hours,
    memory_of,
    read_fingerprints,
    remembered,
    requested,
)
from kpi_platform.arrivals.watching.landing_checks import list_landing
from kpi_platform.arrivals.watching.landing_listing import judge_listing, unread_hours
from kpi_platform.arrivals.watching.schedules import everything, hourly_schedule
from kpi_platform.arrivals.watching.sensors import LISTING_SECONDS, telemetry_arrivals_sensor, watch
from kpi_platform.arrivals.watching.watched_files import Feeds, Telemetry
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.books.hour_ledger import mark_failed
from kpi_platform.engine.hour_steps import work_through
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.schemas.sources_file.sources import SourcesError
from kpi_platform.settings import Settings
from kpi_platform.storage.landing.landing import LandingError

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
NEWEST = datetime(2026, 3, 10, 11, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOURCES = """
studios:
  - key: north
    games:
      - key: rails
        sources: [{key: rails, telemetry: rails-folder}]
"""


DEFS = dg.Definitions(
    assets=[raw_telemetry],
    asset_checks=[list_landing],
    jobs=[everything],
    schedules=[hourly_schedule],
    resources={"platform": PlatformResource()},
)


@pytest.fixture
def parts(tmp_path: Path) -> Platform:
    (tmp_path / "landing").mkdir()
    (tmp_path / "sources.yaml").write_text(SOURCES)
    return Platform(
        Settings(
            home=tmp_path,
            landing_uri=str(tmp_path / "landing"),
            lake_uri=str(tmp_path / "lake"),
            sources=tmp_path / "sources.yaml",
            start_hour=datetime(2026, 3, 1, tzinfo=UTC),
            sensor_look_back_hours=72,
        )
    )


def put(parts: Platform, hour: datetime, text: str = "x\n", name: str = "rails-folder") -> Path:
    path = Path(parts.settings.landing) / name / f"{hour:%Y/%m/%d/%H}" / "part-0.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def run_hours(parts: Platform, *hours: datetime) -> None:
    """What a run does of an hour up to the completed ledger."""
    limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
    raw = RawStep(parts.lake, parts.landing, parts.sources, limits)
    for step in (raw, EventsStep(parts.lake, parts.sources)):
        for reports in work_through(parts.lake, step, list(hours), 1_000_000):
            assert all(report.is_up_to_date for report in reports)


def names(ranges: list[HourRange]) -> list[str]:
    return [hours.name for hours in ranges]


def test_neighbours_are_one_range_and_a_lone_hour_is_itself(parts: Platform) -> None:
    for back in (0, 1, 2, 30):
        put(parts, NEWEST - back * HOUR)
    _, ranges = watch(parts, Memory(), NOW)
    assert names(ranges) == ["2026-03-09-05:00", "2026-03-10-09:00...2026-03-10-11:00"]


def test_only_what_changed_is_asked_for_again(parts: Platform) -> None:
    kept, rewritten, gone = (put(parts, NEWEST - back * HOUR) for back in (0, 5, 9))
    memory, _ = watch(parts, Memory(), NOW)
    assert watch(parts, memory, NOW) == (memory, [])
    rewritten.write_text("other contents\n")
    gone.unlink()
    put(parts, NEWEST - 20 * HOUR, name="a-folder-nobody-named")
    memory, ranges = watch(parts, memory_of(memory.to_cursor()), NOW)
    # An hour whose file is gone holds what it held.
    assert names(ranges) == ["2026-03-09-15:00", "2026-03-10-06:00"]
    assert kept.exists()
    assert watch(parts, memory, NOW)[1] == []


def test_files_before_the_first_partition_and_of_the_running_hour_wait(parts: Platform) -> None:
    start = parts.settings.start_hour
    put(parts, start - HOUR)
    put(parts, start)
    put(parts, start + HOUR)
    soon = start + HOUR + timedelta(minutes=59)
    memory, ranges = watch(parts, Memory(), soon)
    assert names(ranges) == ["2026-03-01-00:00"]
    assert names(watch(parts, memory, soon + timedelta(minutes=1))[1]) == ["2026-03-01-01:00"]


def test_hidden_files_and_unknown_endings_change_no_hour(parts: Platform) -> None:
    path = put(parts, NEWEST)
    memory, _ = watch(parts, Memory(), NOW)
    (path.parent / ".part-1.tsv").write_text("on its way")
    (path.parent / "table.parquet").write_text("hello")
    assert watch(parts, memory, NOW)[1] == []


def test_an_hour_that_its_writer_closes_is_asked_for_once_more(parts: Platform) -> None:
    running = SOURCES.replace("rails-folder}", "rails-folder, delivery: running}")
    (parts.settings.home / "sources.yaml").write_text(running)
    path = put(parts, NEWEST)
    memory, ranges = watch(parts, Memory(), NOW)
    run_hours(parts, NEWEST)
    assert parts.lake.scan("hour_ledger").collect()["is_closed"].to_list() == [None]
    (path.parent / "_SUCCESS").touch()

    memory, ranges = watch(parts, memory, NOW)
    assert names(ranges) == ["2026-03-10-11:00"]
    run_hours(parts, NEWEST)

    what = Telemetry(parts)
    ledger = parts.lake.scan("hour_ledger").collect()
    start = parts.settings.start_hour
    listing = judge_listing(what.list_all(), what.why_not, what.fingerprint, start, NOW)
    assert (ledger["is_closed"].to_list(), ledger["rows"].to_list()) == ([True], [0])
    assert unread_hours(listing, read_fingerprints(ledger), [NEWEST], []) == []
    assert watch(parts, Memory(), NOW)[1] == []
    # Once seen, it counts, whatever is read anew.
    (path.parent / "_SUCCESS").unlink()
    path.write_text("other contents\n")
    run_hours(parts, NEWEST)
    assert parts.lake.scan("hour_ledger").collect()["is_closed"].to_list() == [True]


def test_what_was_read_is_not_asked_for_at_first_start(parts: Platform) -> None:
    put(parts, NEWEST)
    put(parts, NEWEST, name="a-folder-nobody-named")
    failed = NEWEST - 3 * HOUR
    put(parts, failed)
    run_hours(parts, NEWEST, failed)
    mark_failed(parts.lake, failed, "OSError: disk", ["rails"])
    unread = NEWEST - 7 * HOUR
    put(parts, unread)
    memory, ranges = watch(parts, Memory(), NOW)
    assert names(ranges) == ["2026-03-10-04:00", "2026-03-10-08:00"]
    # A failed hour is asked for once, not at every tick.
    assert watch(parts, memory, NOW)[1] == []
    assert set(memory.hours) == {NEWEST, failed, unread}


def test_the_memory_holds_hours_of_the_window_only(parts: Platform) -> None:
    for back in (0, 71):
        put(parts, NEWEST - back * HOUR)
    memory, _ = watch(parts, Memory(), NOW)
    assert set(memory.hours) == {NEWEST, NEWEST - 71 * HOUR}
    later, ranges = watch(parts, memory, NOW + HOUR)
    assert (set(later.hours), ranges) == ({NEWEST}, [])


def test_a_tick_out_of_time_goes_on_where_it_stopped(parts: Platform) -> None:
    for back in (0, 24, 48):
        put(parts, NEWEST - back * HOUR)
    memory, asked = Memory(), []
    for _ in range(5):
        memory, ranges = watch(parts, memory, NOW, clock=in_time_for_one_day())
        asked.append(names(ranges))
    assert asked == [["2026-03-10-11:00"], ["2026-03-09-11:00"], ["2026-03-08-11:00"], [], []]


def in_time_for_one_day() -> Callable[[], float]:
    """A clock by which the first day of a tick is in time, and the second is not."""
    return iter([0.0, 0.0, LISTING_SECONDS + 1]).__next__


def test_files_that_return_to_an_earlier_state_get_a_new_run_key() -> None:
    hour, memory, marks = NEWEST, Memory(), []
    for state in ("a", "b", "a", "b", "a"):
        ranges = requested(memory, {hour: state}, {})
        memory = remembered(memory, {hour: state}, [hour], ranges, "")
        marks += [hours.fingerprint for hours in ranges]
    assert len(marks) == 5 == len(set(marks))


def test_the_same_tick_twice_has_the_same_run_keys() -> None:
    found = {NEWEST: "a", NEWEST - HOUR: "b"}
    assert requested(Memory(), found, {}) == requested(Memory(), found, {})
    assert changed_hours(Memory(found), found) == []


def test_the_sensor_asks_dagster_for_partitions_and_ranges(
    parts: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    ended = [now - back * HOUR for back in (2, 3, 9)]
    for hour in ended:
        put(parts, hour)
    result = tick(parts, monkeypatch, None)
    lone, both = sorted(result.run_requests or [], key=lambda request: request.run_key or "")
    key = f"{ended[2]:%Y-%m-%d-%H:%M}"
    assert (lone.partition_key, (lone.run_key or "").startswith(f"{key}:")) == (key, True)
    assert {name: both.tags[name] for name in both.tags if "range" in name} == {
        "dagster/asset_partition_range_start": f"{ended[1]:%Y-%m-%d-%H:%M}",
        "dagster/asset_partition_range_end": f"{ended[0]:%Y-%m-%d-%H:%M}",
    }
    assert tick(parts, monkeypatch, result.cursor).run_requests == []


def test_a_tick_without_a_landing_is_red_and_names_the_setting(
    parts: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(parts.settings.landing).rmdir()
    line = f"KPI_LANDING_URI: {parts.settings.landing}: no such folder"
    with pytest.raises(LandingError, match=f"^{re.escape(line)}$"):
        tick(parts, monkeypatch, None)


def test_a_tick_with_wrong_sources_is_red_and_names_the_setting(
    parts: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(parts.settings.sources_file).write_text("studios: 1\n")
    with pytest.raises(SourcesError, match=re.escape(str(parts.settings.sources_file))):
        tick(parts, monkeypatch, None)


def tick(
    parts: Platform, monkeypatch: pytest.MonkeyPatch, cursor: str | None
) -> SensorExecutionData:
    """One tick as the daemon evaluates it."""
    for name in ("home", "sources"):
        monkeypatch.setenv(f"KPI_{name.upper()}", str(getattr(parts.settings, name)))
    resources = {"platform": PlatformResource()}
    with dg.build_sensor_context(cursor=cursor, definitions=DEFS, resources=resources) as context:
        return telemetry_arrivals_sensor.evaluate_tick(context)


FEED = """
      - key: shunt
        sources:
          - key: live-shunt
            feed: {kind: stream, folder: live, hour: hour, average_viewers: average}
"""


def test_files_of_feeds_that_are_late_or_rewritten_are_asked_for(parts: Platform) -> None:
    Path(parts.settings.sources_file).write_text(SOURCES + FEED.lstrip("\n"))
    place = Path(parts.settings.feeds) / "live" / f"{NEWEST - HOUR:%Y/%m/%d/%H}"
    place.mkdir(parents=True)
    memory, ranges = watch(parts, Memory(), NOW, what=Feeds(parts))
    assert ranges == []
    (place / "a.csv").write_text(f"hour,average\n{NEWEST - HOUR:%Y-%m-%dT%H:%M:%SZ},5\n")
    (place / "notes.txt").write_text("no feed")
    memory, ranges = watch(parts, memory, NOW, what=Feeds(parts))
    assert names(ranges) == ["2026-03-10-10:00"]
    assert watch(parts, memory, NOW, what=Feeds(parts))[1] == []
    run_hours(parts, NEWEST - HOUR)
    step = StreamStep(parts.lake, parts.open_feeds, parts.sources, timedelta(hours=24))
    assert [
        r.status for part in work_through(parts.lake, step, [NEWEST - HOUR], 10**9) for r in part
    ] == ["written"]
    # What was read is known, and telemetry's sensor has nothing to do with it.
    assert watch(parts, Memory(), NOW, what=Feeds(parts))[1] == []
    assert watch(parts, Memory(), NOW)[1] == []
    (place / "a.csv").write_text("hour,average\n")
    assert names(watch(parts, memory, NOW, what=Feeds(parts))[1]) == ["2026-03-10-10:00"]


def test_without_feeds_there_is_nothing_to_look_for(parts: Platform) -> None:
    assert watch(parts, Memory(), NOW, what=Feeds(parts))[1] == []


def test_the_schedule_runs_the_hour_that_has_just_ended() -> None:
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2026, 3, 10, 12, 5, tzinfo=UTC)
    )
    schedule = DEFS.resolve_schedule_def("hourly_schedule")
    (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.partition_key == "2026-03-10-11:00"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert telemetry_arrivals_sensor.default_status == dg.DefaultSensorStatus.STOPPED
