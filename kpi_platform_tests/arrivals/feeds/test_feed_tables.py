"""Console and stream feeds that are tables of a studio's warehouse: captured like any other."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.checks import check_events
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.hour_steps import HourReport
from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.sources_file.sources import SourcesError, parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing
from kpi_platform.storage.studio_databases import TransientWarehouseError
from kpi_platform_tests.arrivals.studios.memory_warehouse import MemoryWarehouse
from kpi_platform_tests.arrivals.studios.studio_world import START, hour
from kpi_platform_tests.colours import worked

TEXT = """
studios:
  - key: aurora
    warehouse: {kind: duckdb, path: aurora.duckdb}
    games:
      - key: comet
        sources:
          - key: live-comet
            feed:
              kind: stream
              schema: game
              table: viewers
              key: id
              watermark: stated_at
              hour: hour_utc
              average_viewers: average
              peak_viewers: peak
              only: {column: title, equals: comet}
          - key: shop-comet
            feed:
              kind: console
              schema: game
              table: shop
              event: {column: what, names: {sale: Purchase}}
              event_at: at
              player_id: who
              attributes: {Amount: price, Currency: {literal: EUR}}
"""
SOURCES = parse_sources(TEXT, "sources.yaml")
UTC = pl.Datetime("us", "UTC")
Viewers = tuple[int, datetime, datetime, str, str, str]


def viewers(*rows: Viewers) -> pl.DataFrame:
    """The table: id, stated at, hour, average, peak, title."""
    texts = dict.fromkeys(("average", "peak", "title"), pl.String)
    schema = {"id": pl.Int64, "stated_at": UTC, "hour_utc": UTC, **texts}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


class Tables:
    """A lake and a warehouse that holds both feeds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = Lake(str(folder / "lake"))
        (folder / "landing").mkdir(parents=True)
        sale = {"at": hour(0) + timedelta(minutes=5), "who": "P1", "what": "sale", "price": "2.50"}
        shop = pl.DataFrame([sale]).with_columns(pl.col("at").cast(UTC))
        self.warehouse = MemoryWarehouse({"viewers": viewers(), "shop": shop})

    def run(self, *numbers: int) -> dict[str, list[HourReport]]:
        """Run every step for these hours."""
        hours = [hour(number) for number in numbers]
        landing = Landing(str(self.folder / "landing"))
        limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
        steps = (
            RawStep(self.lake, landing, SOURCES, limits),
            CaptureStep(self.lake, SOURCES, self.warehouse.open, START),
            ConsoleStep(self.lake, lambda: landing, SOURCES),
            StreamStep(self.lake, lambda: landing, SOURCES, timedelta(hours=24)),
            EventsStep(self.lake, SOURCES),
        )
        return {step.table: worked(self.lake, step, hours, 10**9) for step in steps}

    def stats(self) -> list[tuple[object, ...]]:
        """The figures of every hour."""
        columns = ("game", "hour", "average_viewers", "peak_viewers")
        return self.lake.scan("stream_stats").select(columns).collect().sort("hour").rows()

    def ledger(self, number: int, source: str) -> tuple[object, ...]:
        """Status, lines, rows, quarantined, duplicates, left out of a source's hour."""
        rows = self.lake.read_hours("hour_ledger", [hour(number)])
        columns = ("status", "lines", "rows", "quarantined", "duplicates", "left_out")
        return rows.filter(pl.col("source") == source).select(columns).row(0)


@pytest.fixture
def tables(memory_path: Path) -> Tables:
    return Tables(memory_path / "live")


def stated(key: int, at: int, about: int, average: str, title: str = "comet") -> Viewers:
    return key, hour(at) + timedelta(minutes=1), hour(about), average, "40", title


def accounted(tables: Tables, hours: Sequence[int]) -> bool:
    checks = check_events(tables.lake, [hour(number) for number in hours], 1)
    return all(check.passed for check in checks)


def test_figures_and_purchases_of_tables(tables: Tables) -> None:
    tables.warehouse.tables["viewers"] = viewers(
        stated(1, 1, 0, "1,362.5"),
        stated(2, 1, 1, "many"),
        stated(3, 1, 0, "7", "another"),
    )
    tables.run(0, 1)
    assert tables.stats() == [("comet", hour(0), 1362.5, 40)]
    assert tables.ledger(1, "live-comet") == ("processed", 3, 1, 1, 0, 1)
    events = tables.lake.scan("cleaned_events").collect()
    told = events.select("source", "event_name", attribute("PlayerId"), attribute("Amount"))
    assert told.rows() == [("shop-comet", "Purchase", "P1", "2.50")]
    reasons = tables.lake.scan("quarantined_events").select("source", "reason").collect()
    assert reasons.rows() == [("live-comet", "bad_number")]
    assert accounted(tables, [0, 1])
    assert {r.status for part in tables.run(0, 1).values() for r in part} == {"unchanged"}


@pytest.mark.parametrize("order", list(permutations((1, 2, 3)))[1:])
def test_a_row_that_is_changed_counts_as_it_is_now_in_any_order(
    tables: Tables, memory_path: Path, order: tuple[int, ...]
) -> None:
    tables.warehouse.tables["viewers"] = viewers(stated(1, 1, 0, "10"), stated(2, 2, 1, "20"))
    tables.run(order[0])
    # The first row was about another hour, it turns out.
    tables.warehouse.tables["viewers"] = viewers(stated(1, 3, 2, "11"), stated(2, 2, 1, "20"))
    for number in (*order[1:], 0, 1, 2, 3):
        tables.run(number)
    assert tables.stats() == [("comet", hour(1), 20.0, 40), ("comet", hour(2), 11.0, 40)]
    assert accounted(tables, range(4))


def test_a_warehouse_that_is_down_heals_with_the_next_hour(tables: Tables) -> None:
    tables.warehouse.tables["viewers"] = viewers(*(stated(n, n, n, "10") for n in range(4)))
    tables.run(0)
    tables.warehouse.is_down = TransientWarehouseError("gone")
    tables.run(1)
    tables.run(2)
    assert tables.ledger(1, "live-comet")[0] == "failed"
    assert len(tables.stats()) == 1
    tables.warehouse.is_down = None
    tables.run(3)
    assert [row[1] for row in tables.stats()] == [hour(n) for n in range(4)]
    assert tables.ledger(1, "live-comet")[:2] == ("processed", 1)


def test_a_table_that_cannot_be_asked_for_its_hours_is_refused_in_one_line() -> None:
    text = TEXT.replace("watermark: stated_at", "").replace(
        "hour: hour_utc", "hour: {column: doc, path: h}"
    )
    with pytest.raises(SourcesError, match=r"line 9.*a watermark is a column of its own"):
        parse_sources(text, "sources.yaml")
