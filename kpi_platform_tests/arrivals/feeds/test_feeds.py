"""Console and stream feeds: hourly files, dirty, late, stated twice, and out of reach."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.checks import check_events
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.books.kept_days import Closed, note_kept
from kpi_platform.engine.books.removals import accept_removals
from kpi_platform.engine.hour_steps import HourReport
from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.sources_file.sources import Sources, parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing
from kpi_platform_tests.arrivals.studios.studio_world import START, hour
from kpi_platform_tests.colours import worked

SOURCES = parse_sources(
    """
studios:
  - key: aurora
    games:
      - key: comet
        sources:
          - key: shop-comet
            feed:
              kind: console
              folder: shop
              encoding: latin-1
              event: {column: what, names: {sale: Purchase, cup: Trophy}}
              event_at: at
              player_id: who
              attributes: {Amount: price, Currency: {literal: EUR}, Sku: sku}
              only: {column: game, equals: comet}
          - key: live-comet
            feed:
              kind: stream
              folder: live
              hour: hour
              average_viewers: average
              peak_viewers: peak
              hours_streamed: airtime
  - key: borealis
    games:
      - key: drift
        sources:
          - key: shop-drift
            feed:
              kind: console
              folder: shop
              event: {column: what, names: {sale: Purchase, cup: Trophy}}
              event_at: at
              player_id: who
              only: {column: game, equals: drift}
          - key: live-drift
            feed: {kind: stream, folder: other, hour: hour, average_viewers: average}
""",
    "sources.yaml",
)
LIMIT = timedelta(hours=24)


class Feeds:
    """A folder of feeds and a lake."""

    def __init__(self, folder: Path, sources: Sources = SOURCES) -> None:
        self.folder = folder
        self.sources = sources
        self.lake = Lake(str(folder / "lake"))
        for name in ("landing", "feeds"):
            (folder / name).mkdir()

    def put(self, folder: str, at: datetime, name: str, data: bytes) -> None:
        place = self.folder / "feeds" / folder / f"{at:%Y/%m/%d/%H}"
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)

    def run(self, *hours: datetime) -> dict[str, list[HourReport]]:
        def feeds() -> Landing:
            return Landing(str(self.folder / "feeds"), "KPI_FEEDS_URI")

        limits = ArrivalLimits(timedelta(days=30), LIMIT)
        console = ConsoleStep(self.lake, feeds, self.sources)
        stream = StreamStep(self.lake, feeds, self.sources, LIMIT)
        for step in (console, stream):
            step.request_failed_hours()
        steps = (
            RawStep(self.lake, Landing(str(self.folder / "landing")), self.sources, limits),
            console,
            stream,
            EventsStep(self.lake, self.sources),
        )
        return {step.table: worked(self.lake, step, hours, 10**9) for step in steps}

    def ledger(self, at: datetime) -> dict[str, tuple[int, ...]]:
        rows = self.lake.read_hours("hour_ledger", [at])
        columns = ("source", "lines", "rows", "quarantined", "duplicates")
        return {source: tuple(rest) for source, *rest in rows.select(columns).iter_rows()}

    def reasons(self) -> dict[str, int]:
        rows = self.lake.scan("quarantined_events").group_by("reason").agg(pl.len()).collect()
        return dict(rows.iter_rows())

    def stats(self) -> list[tuple[object, ...]]:
        columns = ("game", "hour", "average_viewers", "peak_viewers", "hours_streamed")
        return self.lake.scan("stream_stats").select(columns).collect().sort(pl.all()).rows()


@pytest.fixture
def feeds(memory_path: Path) -> Feeds:
    return Feeds(memory_path)


HEAD = "at,game,who,what,price,sku\n"
SALES = (
    HEAD
    + '2026-01-01T00:05:00Z,comet,P1,sale,"1,234.50",Größe\n'
    + '2026-01-01T00:05:00Z,comet,P1,sale,"1,234.50",Größe\n'
    + "2026-01-01T00:06:00Z,drift,P2,cup,,\n"
    + "2026-01-01T00:07:00Z,comet,P3,sale,for free,x\n"
    + "soon,comet,P3,cup,,\n"
    + "2099-01-01T00:00:00Z,comet,P3,cup,,\n"
    + "2026-01-01T00:08:00Z,nobody's,P3,cup,,\n"
    + "2026-01-01T00:08:00Z,comet\n"
)


def test_rows_of_days_that_are_kept_are_refused_and_counted(feeds: Feeds) -> None:
    kept = START - timedelta(days=1)
    note_kept(feeds.lake, Closed(kept.date(), START, LIMIT), START)
    rows = [f"{at:%Y-%m-%dT%H:%M:%SZ},comet,P1,sale,5,x\n" for at in (kept, START)]
    feeds.put("shop", START, "sales.csv", "".join([HEAD, *rows]).encode())
    feeds.run(START)
    assert feeds.lake.scan("cleaned_events").collect()["event_at"].to_list() == [START]
    for table in ("hour_ledger", "file_ledger"):
        told = feeds.lake.read_hours(table, [START]).filter(pl.col("source") == "shop-comet")
        assert told.select("lines", "rows", "sealed").rows() == [(2, 1, 1)]
    assert all(check.passed for check in check_events(feeds.lake, [START], 1))


def test_dirty_console_rows_are_cleaned_or_quarantined_and_all_accounted_for(feeds: Feeds) -> None:
    feeds.put("shop", START, "sales.csv", SALES.encode("latin-1"))
    feeds.run(START)
    events = feeds.lake.scan("cleaned_events").collect().sort("event_at")
    told = events.select(
        "source", "studio", "game", "event_name", "session_id",
        attribute("PlayerId"), attribute("Amount"), attribute("Sku"),
    )  # fmt: skip
    assert told.rows() == [
        ("shop-comet", "aurora", "comet", "Purchase", "", "P1", "1234.50", "Größe"),
        ("shop-drift", "borealis", "drift", "Trophy", "", "P2", None, None),
    ]
    assert feeds.reasons() == {
        "bad_number": 1,
        "bad_timestamp": 1,
        "future_timestamp": 1,
        "no_source": 1,
        "wrong_field_count": 1,
    }
    ledger = feeds.ledger(START)
    assert ledger["shop-comet"] == (7, 1, 5, 1)
    assert ledger["shop-drift"] == (1, 1, 0, 0)
    assert all(check.passed for check in check_events(feeds.lake, [START], 1))


def test_jsonl_and_parquet_say_the_same_as_csv(feeds: Feeds) -> None:
    rows = [
        {"at": "2026-01-01T00:05:00Z", "game": "comet", "who": "P1", "what": "sale", "price": 1.5},
        {"at": "2026-01-01T00:06:00Z", "game": "comet", "who": "P2", "what": "cup", "price": None},
    ]
    text = "\n".join(json.dumps(row) for row in rows)
    feeds.put("shop", hour(0), "a.jsonl", text.encode())
    pl.DataFrame(rows).write_parquet(feeds.folder / "a.parquet")
    feeds.put("shop", hour(1), "a.parquet", (feeds.folder / "a.parquet").read_bytes())
    feeds.put("shop", hour(1), "broken.parquet", b"PAR1 no more")
    feeds.run(hour(0), hour(1))
    ids = feeds.lake.scan("cleaned_events").collect()
    by_hour = [
        set(ids.filter(pl.col("p_ingest_hour_utc") == number)["event_id"]) for number in (0, 1)
    ]
    assert by_hour[0] == by_hour[1] and len(by_hour[0]) == 2
    unreadable = feeds.lake.read_hours("hour_ledger", [hour(1)])["unreadable_files"]
    assert unreadable.sum() == 1


def state(about: int, average: str, peak: str, airtime: str) -> bytes:
    """A stream platform's file of one row."""
    return (
        "hour,average,peak,airtime\n"
        f'{hour(about):%Y-%m-%dT%H:%M:%SZ},{average},"{peak}",{airtime}\n'
    ).encode()


def test_dirty_figures_are_cleaned(feeds: Feeds) -> None:
    feeds.put("live", hour(0), "a.csv", state(0, "283669656(4.5%)", "300,000,000", "1362044 hours"))
    feeds.put("live", hour(0), "b.csv", state(0, "many", "1", "1"))
    feeds.put("live", hour(0), "c.csv", state(0, "-5", "1", "1"))
    feeds.run(hour(0))
    assert feeds.stats() == [("comet", hour(0), 283669656.0, 300_000_000, 1362044.0)]
    assert feeds.reasons() == {"bad_number": 2}
    assert feeds.ledger(hour(0))["live-comet"] == (3, 1, 2, 0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_several_statements_the_latest_ingest_hour_counts(
    feeds: Feeds, order: tuple[int, ...]
) -> None:
    feeds.put("live", hour(0), "a.csv", state(0, "10", "20", "1"))
    feeds.put("live", hour(1), "a.csv", state(0, "30", "40", "2"))
    feeds.put("live", hour(2), "a.csv", state(1, "5", "5", "5"))
    for number in order:
        feeds.run(hour(number))
    assert feeds.stats() == [("comet", hour(0), 30.0, 40, 2.0), ("comet", hour(1), 5.0, 5, 5.0)]
    # Corrected: the later statement is withdrawn, and the earlier one counts again.
    feeds.put("live", hour(1), "a.csv", b"")
    feeds.run(hour(1))
    assert feeds.stats()[0] == ("comet", hour(0), 10.0, 20, 1.0)


def test_hours_again_write_nothing(feeds: Feeds) -> None:
    feeds.put("shop", START, "sales.csv", SALES.encode("latin-1"))
    feeds.put("live", START, "a.csv", state(0, "10", "20", "1"))
    feeds.run(START)
    names = [path.name for path in (feeds.folder / "lake").iterdir() if path.name != "_locks"]
    before = {name: feeds.lake.version(name) for name in names}
    reports = feeds.run(START)
    assert {r.status for part in reports.values() for r in part} == {"unchanged"}
    assert {name: feeds.lake.version(name) for name in names} == before


def test_feeds_that_cannot_be_reached_fail_alone(feeds: Feeds) -> None:
    (feeds.folder / "feeds").rmdir()
    reports = feeds.run(START)
    assert {r.status for part in reports.values() for r in part} == {"written"}
    ledger = feeds.lake.read_hours("hour_ledger", [START])
    assert set(ledger["status"]) == {"failed"}
    assert "KPI_FEEDS_URI" in str(ledger["source_error"][0])
    (feeds.folder / "feeds").mkdir()
    feeds.put("shop", START, "sales.csv", SALES.encode("latin-1"))
    feeds.run(START)
    assert set(feeds.lake.read_hours("hour_ledger", [START])["status"]) == {"processed"}


def test_a_feed_that_returns_heals_with_the_next_hour(feeds: Feeds) -> None:
    (feeds.folder / "feeds").rmdir()
    feeds.run(hour(0), hour(1))
    (feeds.folder / "feeds").mkdir()
    feeds.put("live", hour(0), "a.csv", state(0, "10", "20", "1"))
    reports = feeds.run(hour(2))
    assert {r.hour for r in reports["raw_stream_feed"]} == {hour(n) for n in range(3)}
    assert feeds.stats() == [("comet", hour(0), 10.0, 20, 1.0)]
    ledger = feeds.lake.scan("hour_ledger").collect()
    assert set(ledger["status"]) == {"processed"} and not ledger["rows"].has_nulls()


def test_what_feeds_held_stays_when_files_or_the_whole_place_go(feeds: Feeds) -> None:
    feeds.put("shop", START, "sales.csv", SALES.encode("latin-1"))
    feeds.put("live", START, "a.csv", state(0, "10", "20", "1"))
    feeds.run(START)
    before = (feeds.ledger(START), feeds.reasons(), feeds.stats())
    events = feeds.lake.scan("cleaned_events").collect().height
    for path in (feeds.folder / "feeds").rglob("*.csv"):
        path.unlink()
    reports = feeds.run(START)
    assert {r.status for part in reports.values() for r in part} == {"unchanged"}
    assert (feeds.ledger(START), feeds.reasons(), feeds.stats()) == before
    assert set(feeds.lake.scan("file_ledger").collect()["state"]) == {"held"}
    shutil.rmtree(feeds.folder / "feeds")
    feeds.run(START)
    assert (feeds.reasons(), feeds.stats()) == before[1:]
    assert feeds.lake.scan("cleaned_events").collect().height == events
    # A late file is added to what is held.
    feeds.put("live", START, "b.csv", state(1, "5", "5", "5"))
    feeds.run(START)
    assert feeds.stats() == [*before[2], ("comet", hour(1), 5.0, 5, 5.0)]
    assert all(check.passed for check in check_events(feeds.lake, [START], 1))
    accept_removals(feeds.lake, START, START)
    feeds.run(hour(3))
    assert feeds.stats() == [("comet", hour(1), 5.0, 5, 5.0)]
    assert feeds.lake.scan("cleaned_events").collect().is_empty()
    assert all(check.passed for check in check_events(feeds.lake, [START], 1))
