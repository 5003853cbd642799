"""Six studios with nothing in common, from their tables to conformed events, as proposed.

Belongs here: the whole way with the proposals taken as they are. Does not: what is proposed.
"""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.checks import check_events
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.hour_steps import work_through
from kpi_platform.onboarding.proposal_step import propose_unmapped
from kpi_platform.onboarding.proposal_yaml import as_yaml
from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.sources_file.sources import Sources, Studio, parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing
from kpi_platform.storage.studio_databases import StudioWarehouse, open_warehouse
from kpi_platform_tests.onboarding.six_studios import SIX_STUDIOS

# After every row there is: the first partition takes them all.
FIRST = datetime(2026, 1, 2, tzinfo=UTC)
EVENTS = {
    "snake": {"Purchase": 60, "SessionStart": 60},
    "camel": {"Purchase": 60, "Crash": 60},
    "wide": {"Purchase": 12, "SessionStart": 12, "SessionEnd": 12, "Crash": 12, "level_up": 12},
    "german": {"Purchase": 60, "SessionStart": 60},
    "per_platform": {"Purchase": 180},
    "views": {"Purchase": 60, "SoftwareVersion": 60},
}
FIRST_PURCHASES = {
    "snake": ("P0", None, "4.99", "EUR"),
    "camel": ("1000", None, "120", "JPY"),
    "wide": ("U0", "android", "4.99", "USD"),
    "german": ("500", None, "9.99", "EUR"),
    "per_platform": ("0", "android", "0.99", "USD"),
    "views": ("G0", None, "1.99", "USD"),
}


def proposed_sources(name: str, folder: Path) -> Sources:
    """The studio's file made, and its proposal taken as it is."""
    schema, statements = SIX_STUDIOS[name]
    with duckdb.connect(str(folder / f"{name}.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(statements)
    place = {"kind": "duckdb", "path": f"{name}.duckdb"}
    empty = parse_sources(f"studios: [{{key: {name}, warehouse: {place}}}]", "sources.yaml")
    with closing(opened(empty.studios[0], folder)) as warehouse:
        catalogs = {schema: warehouse.discover(schema)}
        found = propose_unmapped(warehouse, [], catalogs, sample_views=True)
    return parse_sources(as_yaml(name, place, found), "proposed.yaml")


def opened(studio: Studio, folder: Path) -> StudioWarehouse:
    assert studio.warehouse is not None
    return open_warehouse(studio.warehouse, folder, lambda _: None)


def events_of(sources: Sources, folder: Path) -> Lake:
    """A lake with what the first hour captures, as events."""
    lake = Lake(str(folder / "lake"))
    (folder / "landing").mkdir()
    limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
    capture = CaptureStep(lake, sources, lambda studio: opened(studio, folder), FIRST)
    landing = Landing(str(folder / "landing"))
    with closing(capture):
        for step in (
            RawStep(lake, landing, sources, limits),
            capture,
            EventsStep(lake, sources),
        ):
            for reports in work_through(lake, step, [FIRST], 1):
                assert [report.status for report in reports] == ["written"]
    return lake


@pytest.mark.parametrize("name", SIX_STUDIOS)
def test_a_proposal_taken_as_it_is_makes_conformed_events(name: str, memory_path: Path) -> None:
    lake = events_of(proposed_sources(name, memory_path), memory_path)
    events = lake.scan("cleaned_events").collect()
    assert dict(events.group_by("event_name").len().iter_rows()) == EVENTS[name]
    shown = [attribute(column) for column in ("PlayerId", "Platform", "Amount", "Currency")]
    bought = events.filter(pl.col("event_name") == "Purchase").sort("event_at", "source", shown[1])
    assert bought.select(shown).row(0) == FIRST_PURCHASES[name]
    assert set(bought["event_at"].dt.date()) == {date(2026, 1, 1)}
    assert all(check.passed for check in check_events(lake, [FIRST], 1))
