"""An update of what this project built: a model whole or not at all, and what is left alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kpi_platform.storage.kpi_database.embedded import connect
from kpi_platform_tests.kpis.builds import (
    WAREHOUSE,
    Build,
    Lake,
    by_hour,
    dbt,
    hours_from,
    parsed_project,
    utc,
)
from kpi_platform_tests.reference import Event

HOURS = hours_from(utc(1), 30)
KNOWN = {"folder": ("unassigned", "folder")}
REVENUE = (
    "select revenue_usd from marts.kpi_hourly where studio = 'all' and hour = '2026-01-01 05:00'"
)
NOTES = "select table_name from lake.changed_periods where table_name = 'kpi_hourly'"


def purchase(minute: int, amount: str) -> Event:
    """A purchase in the sixth hour of the first day, told at once."""
    attributes = {"PlayerId": "p1", "Amount": amount, "Currency": "USD"}
    at = utc(1, 5, minute)
    return Event(f"s{minute}", at, "Purchase", utc(1, 5), attributes, source="folder")


def world(*events: Event) -> Lake:
    """These events, and hours without any up to the next day."""
    return Lake(by_hour(events, HOURS), KNOWN)


@pytest.fixture
def build() -> Build:
    """A purchase of 5 USD, built and published."""
    build = Build(questions=False)
    build.step(world(purchase(0, "5")))
    return build


@contextmanager
def no_room_for_more_than_ten_dollars() -> Iterator[None]:
    """A table that refuses the new row after the old one was deleted."""
    change = "alter table marts.kpi_hourly alter column revenue_usd type {}"
    with connect(WAREHOUSE) as con:
        [(kind,)] = con.execute(
            "select data_type from duckdb_columns()"
            " where schema_name = 'marts' and table_name = 'kpi_hourly'"
            " and column_name = 'revenue_usd'"
        ).fetchall()
        con.execute(change.format("decimal(7, 6)"))
    try:
        yield
    finally:
        with connect(WAREHOUSE) as con:
            con.execute(change.format(kind))


def test_a_model_that_fails_half_way_leaves_row_and_note_as_they_were(build: Build) -> None:
    build.load(world(purchase(0, "5"), purchase(9, "50")))
    with no_room_for_more_than_ten_dollars():
        with pytest.raises(AssertionError, match="kpi_hourly"):
            build.run()
        assert build.rows(REVENUE) == [(5,)]
        assert build.rows(NOTES) == []

    build.run()

    assert build.rows(REVENUE) == [(55,)]
    assert build.rows(NOTES) == [("kpi_hourly",)]


def test_views_are_left_alone_until_the_project_changes(build: Build) -> None:
    with connect(WAREHOUSE) as con:
        con.execute("create or replace view marts.dim_player as select 'an old text' as player_id")
    build.load(world(purchase(0, "5"), purchase(9, "50")))

    build.run()
    assert build.rows("select player_id from marts.dim_player") == [("an old text",)]

    build.load(world(purchase(0, "5")))
    # What the platform does where the project's fingerprint is another one.
    build.run(full_refresh=True)
    assert build.rows("select player_id from marts.dim_player") == []
    assert build.rows(REVENUE) == [(5,)]


def test_dbt_by_hand_makes_views_and_checks_columns(build: Build) -> None:
    with connect(WAREHOUSE) as con:
        con.execute("create or replace view marts.dim_player as select 'an old text' as player_id")
        con.execute("alter table marts.dim_device add column another integer")

    dbt("run", "--no-write-json", "--select", "dim_player")
    assert build.rows("select player_id from marts.dim_player") == []
    with pytest.raises(AssertionError, match="out of sync"):
        dbt("run", "--no-write-json", "--select", "dim_device")


def test_a_models_window_is_finished_before_it() -> None:
    """A window is asked once in a run: by then everything that it reads must be built."""
    nodes = parsed_project().nodes
    windows = [
        (node.name, relation, {nodes[n].name for n in node.depends_on.nodes if n in nodes})
        for node in nodes.values()
        for window in [node.config.get("meta", {}).get("window")]
        if window
        for relation in (window["relation"], window.get("events"))
        if relation
    ]

    assert len(windows) > 20
    assert [each for each in windows if each[1] not in each[2]] == []
