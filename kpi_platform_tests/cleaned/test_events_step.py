"""Files of an hour through the steps of raw and cleaned: what the tables and the ledger hold."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned import events_step
from kpi_platform.cleaned.checks import FEW_SERVICES, check_events
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.books.hour_fingerprints import read_consumed
from kpi_platform.engine.hour_steps import HourReport, work_through
from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing

START = datetime(2026, 1, 1, 5, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(3)]
SOURCES = parse_sources(
    "studios: [{key: s, games: [{key: g, sources: [{key: game, telemetry: game}]}]}]", "test"
)
GOOD = "{'Name': 'A', 'v': 1.10}"
# What the fields mean does not tell how most of these lines are written.
BAD_LINES = [
    "T  2026-01-01T05:00:00Z  App S   1 { 'Name': 'A', 'v': [1} ",
    "T\t2026-01-01 07:00:00.5+02:00\tApp\tS\t 1\t{'Version': 1}  ",
    "T\t2026-01-01T05:00:00.000+0000\tApp\tS\t1\t{'Name': 'A'} x",
    "T\t2026-01-01T05:00:00.000+0000\tApp\tS\t1\t" + "é" * 40_000,
    r'{"Category": "T", "Timestamp": "2026-01-01T05:00:00Z", "ServiceName": "App", "More": 1, '
    r'"SessionId": "S", "TransactionId": 1, "BodyMessage": {"Name": null, "t": "\u00e9"}}',
]

Run = Callable[[Sequence[datetime]], list[HourReport]]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def put(tmp_path: Path) -> Callable[[datetime, str, list[str]], None]:
    def write(hour: datetime, name: str, lines: list[str]) -> None:
        path = tmp_path / "landing" / "game" / f"{hour:%Y/%m/%d/%H}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in lines))

    return write


@pytest.fixture
def run(tmp_path: Path, lake: Lake) -> Run:
    """Run both steps through the hours; the reports of the second."""

    def work(hours: Sequence[datetime]) -> list[HourReport]:
        limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
        landing = Landing(str(tmp_path / "landing"))
        for _ in work_through(lake, RawStep(lake, landing, SOURCES, limits), hours, 1 << 30):
            pass
        batches = work_through(lake, EventsStep(lake, SOURCES), hours, 1_000_000)
        return [report for batch in batches for report in batch]

    return work


def line(number: int, body: str = GOOD, second: int = 0) -> str:
    return f"T\t2026-01-01T05:00:{second:02d}.000+0000\tApp\tS\t{number}\t{body}"


def test_a_bad_line_is_quarantined_with_its_own_text(
    lake: Lake, put: Callable[..., None], run: Run
) -> None:
    put(START, "a.tsv", [line(1), *BAD_LINES[:-1]])
    put(START, "b.jsonl", BAD_LINES[-1:])
    run([START])
    quarantined = lake.read_hours("quarantined_events", [START]).sort("file_name", "line_number")
    assert quarantined["p_stage"].unique().to_list() == ["decode"]
    cut = [text.encode()[: 64 << 10].decode(errors="ignore") for text in BAD_LINES]
    assert quarantined["raw_line"].to_list() == cut
    raw = lake.read_hours("raw_telemetry", [START]).sort("file_name", "line_number")
    # Kept only where it cannot be told from the fields.
    assert raw["raw_line"].is_null().to_list() == [True, False, False, True, True, False]


def test_hours_of_a_range_are_cleaned_together_and_kept_apart(
    lake: Lake, put: Callable[..., None], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_step, "LINES_AT_A_TIME", 2)
    put(HOURS[0], "a.tsv", [line(1), line(1), line(2, second=7), line(3, "{}")])
    put(HOURS[2], "a.tsv", [line(2, second=7), line(1)])
    reports = run(HOURS)
    assert [(report.status, report.rows) for report in reports] == [
        ("written", 2),
        ("written", 0),
        ("written", 2),
    ]
    assert lake.version("cleaned_events") == 1  # created, then one commit for all hours
    ledger = lake.read_hours("hour_ledger", HOURS).sort("p_ingest_hour_utc")
    assert ledger.select("lines", "rows", "duplicates", "quarantined").rows() == [
        (4, 2, 1, 1),
        (0, 0, 0, 0),
        (2, 2, 0, 0),
    ]
    late = START.replace(second=7)
    assert ledger["min_event_at"].to_list() == [START, None, START]
    assert ledger["max_event_at"].to_list() == [late, None, late]
    assert all(check.passed for check in check_events(lake, HOURS, 1.0))


def test_a_source_whose_lines_name_too_many_services_is_named_with_or_without_a_session(
    lake: Lake, put: Callable[..., None], run: Run
) -> None:
    named = "Telemetry\t2026-01-01T05:00:00Z\tApp{}\t{}\t1\t{{'Name': 'A'}}"
    put(HOURS[0], "a.tsv", [named.format(n, "S" if n % 2 else "") for n in range(51)])
    put(HOURS[1], "a.tsv", [named.format(n, "") for n in range(50)])
    run(HOURS[:2])
    checks = check_events(lake, HOURS[:2], 1.0)
    few = {check.hour: check for check in checks if check.spec == FEW_SERVICES}
    assert [few[hour].passed for hour in HOURS[:2]] == [False, True]
    assert few[HOURS[0]].figures["sources"] == "game names 51 services"


def test_content_is_the_same_for_the_same_events_and_no_others(
    lake: Lake, put: Callable[..., None], run: Run
) -> None:
    def content(*lines: str) -> str:
        put(START, "a.tsv", list(lines))
        (report,) = run([START])
        assert report.status == "written"
        return read_consumed(lake, "cleaned_events", [START])[START].content

    first = content(line(1), line(2))
    assert content(line(2), line(1), line(2), line(3, "x")) == first
    assert content(line(1), line(3)) != first
    assert content(line(1)) != first
