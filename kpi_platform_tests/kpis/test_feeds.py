"""Console and stream feeds in the KPI tables, in whatever order they come."""

from datetime import date, datetime

import polars as pl

from kpi_platform.kpis.loading.load import LakeTable
from kpi_platform.schemas.tables import TABLES
from kpi_platform_tests.kpis.builds import (
    NO_SOURCES,
    Build,
    Lake,
    by_hour,
    hours_from,
    lake_table,
    utc,
)
from kpi_platform_tests.reference import Event

HOURS = hours_from(utc(1), 72)
SOURCES = pl.DataFrame(
    [
        (*("game", "s", "g", "global", None, None), "telemetry"),
        (*("console", "s", "g", "global", None, None), "console"),
        (*("stream", "s", "g", "global", None, None), "stream"),
    ],
    {**NO_SOURCES.schema, "kind": pl.String},
    orient="row",
)
STUDIOS = dict.fromkeys(("game", "console", "stream"), ("s", "g"))
TABLES_OF_FEEDS = (
    *("kpi_stream_daily", "kpi_console_daily", "kpi_daily", "kpi_values", "kpi_coverage"),
)


class FeedLake(Lake):
    """A lake with the figures of a stream platform."""

    streams: tuple[tuple[datetime, float, float], ...] = ()

    def tables(self) -> list[LakeTable]:
        """The lake tables, those of stream figures among them."""
        rows = [
            ("s", "g", hour, viewers, 9, 2, aired, hour.date())
            for hour, viewers, aired in self.streams
        ]
        frame = pl.DataFrame(rows, TABLES["stream_stats"].polars_schema, orient="row")
        return [*super().tables(), lake_table("stream_stats", frame)]


def event(at: datetime, source: str, name: str, player: str, **attributes: str) -> Event:
    """An event outside sessions that arrives in the hour in which it happened."""
    named = {"PlayerId": player, **attributes}
    return Event("", at, name, at.replace(minute=0), named, source=source)


EVENTS = [
    event(utc(1, 5), "game", "FeatureUsed", "p1"),
    event(utc(1, 6), "console", "Install", "p1"),
    event(utc(1, 7), "console", "Trophy", "p2"),
    event(utc(2, 7), "console", "Subscription", "p1"),
    event(utc(2, 8), "console", "Purchase", "p3", Amount="10", Currency="USD"),
    event(utc(3, 8), "game", "Crash", "p1"),
]
STREAMS = ((utc(1, 5), 240.0, 4.0), (utc(1, 6), 480.0, 2.0), (utc(2, 23), 24.0, 0.0))


def lake_of(events: list[Event], streams: tuple[tuple[datetime, float, float], ...]) -> FeedLake:
    """These events and figures over three processed days."""
    lake = FeedLake(by_hour(events, HOURS), STUDIOS)
    lake.streams = streams
    return lake


def test_feeds_out_of_order_equal_a_build_from_scratch() -> None:
    build = Build(SOURCES)
    build.step(lake_of(EVENTS[3:], ((utc(1, 5), 9.0, 4.0), STREAMS[2])))
    build.step(lake_of([*EVENTS[1:], event(utc(1, 9), "console", "Trophy", "p9")], STREAMS[1:]))
    build.step(lake_of(EVENTS, STREAMS))
    grown = {table: build.rows(f"from marts.{table}") for table in TABLES_OF_FEEDS}
    scratch = Build(SOURCES)
    scratch.step(lake_of(EVENTS, STREAMS))

    assert grown == {table: scratch.rows(f"from marts.{table}") for table in TABLES_OF_FEEDS}
    stream = "select date, hours_watched, viewer_ratio from marts.kpi_stream_daily where game = 'g'"
    assert scratch.rows(stream) == [
        (date(2026, 1, 1), 720.0, 120.0),
        (date(2026, 1, 2), 24.0, None),
    ]
    console = (
        "select date, installs, trophies, purchases, revenue_usd, players, trophy_earned_rate,"
        " subscriber_share from marts.kpi_console_daily where game = 'g'"
    )
    assert scratch.rows(console) == [
        (date(2026, 1, 1), 1, 1, 0, 0.0, 2, 0.5, 0.0),
        (date(2026, 1, 2), 0, 0, 1, 10.0, 3, 1 / 3, 1 / 3),
    ]
    values = (
        "select kpi, value from marts.kpi_values where studio = 's' and game = 'g'"
        " and period = '2026-01-01' and kpi in ('viewer_ratio', 'trophy_earned_rate', 'installs')"
        " order by kpi"
    )
    assert scratch.rows(values) == [
        ("installs", 1.0),
        ("trophy_earned_rate", 0.5),
        ("viewer_ratio", 120.0),
    ]
    told = (
        "select kpi, is_available, available_since from marts.kpi_coverage where game = 'g'"
        " and kpi in ('hours_watched', 'subscriber_share') order by kpi"
    )
    assert scratch.rows(told) == [
        ("hours_watched", True, date(2026, 1, 1)),
        ("subscriber_share", True, date(2026, 1, 2)),
    ]
    # Trophies make nobody active; whoever pays is, and the revenue is the game's.
    daily = (
        "select date, dau, payers, revenue_usd from marts.kpi_daily"
        " where platform = 'all' and game = 'g'"
    )
    assert scratch.rows(daily) == [
        (date(2026, 1, 1), 1, 0, 0.0),
        (date(2026, 1, 2), 1, 1, 10.0),
        (date(2026, 1, 3), 1, 0, 0.0),
    ]


def test_a_source_that_becomes_a_console_takes_its_activity_along() -> None:
    build = Build(SOURCES)
    build.step(lake_of(EVENTS, STREAMS))
    build.sources = SOURCES.with_columns(kind=pl.lit("console"))
    build.step(lake_of(EVENTS, STREAMS))

    days = "select date, dau from marts.kpi_daily where platform = 'all' and game = 'g' and dau > 0"
    assert build.rows(days) == [(date(2026, 1, 2), 1)]
