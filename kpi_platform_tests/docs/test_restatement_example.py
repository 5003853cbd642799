"""The log of restatements in docs/completeness.md is that of a late hour, built and published."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kpi_platform.published.publish import Publication, publication_rows, publish, restate
from kpi_platform.published.restatements import KPI_RESTATEMENTS
from kpi_platform.storage.kpi_database.embedded import changed_ingest_hours
from kpi_platform.storage.kpi_database.marts import EmbeddedMarts
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.lake_query import run_query
from kpi_platform_tests.kpis.builds import Lake as World
from kpi_platform_tests.kpis.builds import by_hour, hours_from, utc
from kpi_platform_tests.kpis.fast_builds import FastBuild, fast_builds
from kpi_platform_tests.reference import Event

PAGE = Path(__file__).parents[2] / "docs" / "completeness.md"
VALUES = Publication("kpi_values", "date", "period", ("kpi_daily",))
HOURS = hours_from(utc(1), 49)
LATE = utc(1, 20)
SHOWN = ("arpdau_usd", "arppu_usd", "dau", "new_players", "retention_classic_d1", "revenue_usd")
QUERY = (
    "select kpi, period, old_value, new_value, cause, caused_by_hours from kpi_restatements"
    f" where studio = 'all' and kpi in {SHOWN} order by kpi, period"
)


def event(player: str, at: datetime, name: str = "SessionStart", **attributes: str) -> Event:
    """An event that arrives in its hour, in a session of the day."""
    hour = at.replace(minute=0)
    return Event(
        f"{player}-{at:%d}", at, name, hour, {"PlayerId": player, **attributes}, source="one"
    )


ON_TIME = [
    event("p1", utc(1, 8)),
    event("p1", utc(2, 8)),
    event("p2", utc(1, 9)),
    event("p3", utc(2, 20)),
    event("p1", utc(3, 0)),
]
CAME_LATE = [
    event("p3", LATE),
    event("p3", LATE + timedelta(minutes=5), "Purchase", Amount="4.99", Currency="USD"),
]


def test_the_example_is_what_a_late_hour_gives(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    with fast_builds() as make:
        build = make()
        _publish(lake, build, ON_TIME, minute=1)
        _publish(lake, build, [*ON_TIME, *CAME_LATE], minute=2)

    assert re.findall(r"```csv restatements\n(.*?)```", PAGE.read_text(), re.DOTALL) == [_log(lake)]


def _publish(lake: Lake, build: FastBuild, events: list[Event], minute: int) -> None:
    at = datetime(2026, 1, 3, 1, minute, tzinfo=UTC)
    build.load(World(by_hour(events, HOURS), {"one": ("alpha", "one")}))
    changed = changed_ingest_hours(build.connection)
    build.run()
    marts = EmbeddedMarts(build.connection)
    restate(lake, marts, VALUES, {"*": []}, changed, at)
    done = publish(lake, marts, [VALUES], {"*": []})
    lake.add_published("publications", publication_rows(done, at))
    assert lake.published(KPI_RESTATEMENTS) is not None


def _log(lake: Lake) -> str:
    with run_query(lake, QUERY) as found:
        lines = [",".join(column for column, *_ in found.description or ())]
        for kpi, period, old, new, cause, hours in found.fetchall():
            caused = " ".join(f"{hour:%Y-%m-%d %H:%M}" for hour in hours)
            lines.append(f"{kpi},{period},{_text(old)},{_text(new)},{cause},{caused}")
    return "\n".join(lines) + "\n"


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
