"""Affected periods that lie scattered: more than stand in a statement as ranges of their own."""

from datetime import datetime, timedelta

from kpi_platform.storage.kpi_database.embedded import affected_periods_to_publish, connect
from kpi_platform_tests.kpis.builds import WAREHOUSE, Build, Lake, by_hour, hours_from, utc
from kpi_platform_tests.reference import Event

HOURS = hours_from(utc(1), 60)
KNOWN = {"folder": ("unassigned", "folder")}
TABLES = ("kpi_hourly", "kpi_daily", "fact_version")


def event(at: datetime, name: str, session: str) -> Event:
    """An event that arrives in the hour in which it happened."""
    attributes = {"PlayerId": session, "Amount": "5", "Currency": "USD"}
    return Event(session, at, name, at.replace(minute=0), attributes, source="folder")


def test_scattered_hours_equal_a_build_from_scratch() -> None:
    events = [event(hour, "Crash", f"s{number}") for number, hour in enumerate(HOURS)]
    # Twelve islands, one of them two hours long, with hours between that stay as they are.
    scattered = sorted({*HOURS[::5], HOURS[21]})
    late = [event(hour + timedelta(minutes=9), "Purchase", f"p{hour:%d%H}") for hour in scattered]
    final = Lake(by_hour([*events, *late], HOURS), KNOWN)
    build = Build(questions=False)
    build.step(Lake(by_hour(events, HOURS), KNOWN))

    build.load(final)
    build.run()
    with connect(WAREHOUSE) as con:
        changed = affected_periods_to_publish(con)["kpi_hourly"]
    assert asks_a_set_of_hours()
    grown = {table: build.rows(f"from marts.{table}") for table in TABLES}
    scratch = Build(questions=False)
    scratch.step(final)

    assert changed == [hour.replace(tzinfo=None) for hour in scattered]
    assert grown == {table: scratch.rows(f"from marts.{table}") for table in TABLES}


def asks_a_set_of_hours() -> bool:
    """Whether the last incremental build of the events asked a set of hours."""
    run = WAREHOUSE.parent / "target" / "run" / "kpi_platform" / "models" / "events"
    return "date_trunc('hour', event_at) in (" in (run / "attributed_events.sql").read_text()
