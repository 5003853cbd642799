"""The dbt project's own tests, its fingerprint, and that work follows change."""

import copy
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from kpi_platform.kpis.dbt.project import changed_names, project_fingerprint
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform.storage.kpi_database.embedded import affected_periods_to_publish, connect, pending
from kpi_platform_tests.kpis.builds import WAREHOUSE, Build, Lake, by_hour, dbt, hours_from, utc
from kpi_platform_tests.reference import Event

HOURS = hours_from(utc(1), 50)
MANIFEST: dict[str, Any] = {
    "metadata": {"project_name": "ours"},
    "nodes": {
        "model.m": {
            "unique_id": "model.m",
            "resource_type": "model",
            "checksum": {"checksum": "1"},
            "name": "m",
            "config": {"materialized": "table"},
            "description": "",
        },
        "test.t": {"unique_id": "test.t", "resource_type": "test"},
    },
    "macros": {
        "macro.ours": {"unique_id": "macro.ours", "package_name": "ours", "macro_sql": "1"},
        "macro.dbt": {"unique_id": "macro.dbt", "package_name": "dbt", "macro_sql": "1"},
    },
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The manifest with one value replaced."""
    manifest = copy.deepcopy(MANIFEST)
    *parents, last = path.split("/")
    place = manifest
    for name in parents:
        place = place[name]
    place[last] = value
    return manifest


@pytest.mark.parametrize(
    "path",
    ["nodes/model.m/checksum/checksum", "nodes/model.m/config", "macros/macro.ours/macro_sql"],
)
def test_the_fingerprint_follows_what_decides_rows(path: str) -> None:
    assert project_fingerprint(changed(path, "2")) != project_fingerprint(MANIFEST)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("nodes/model.m/config", ["m"]),
        ("nodes/model.m/columns", ["m"]),
        ("macros/macro.ours/macro_sql", ["ours"]),
        ("macros/macro.dbt/macro_sql", []),
        ("nodes/model.m/description", []),
    ],
)
def test_what_decides_other_rows_is_named(path: str, names: list[str]) -> None:
    kpis = {"c": {"name": "c", "config": {"meta": {"kpis": [{"name": "k", "version": 2}]}}}}
    now = changed(path, kpis if path.endswith("columns") else "2")
    assert changed_names(MANIFEST, now) == changed_names(now, MANIFEST) == names


MODEL = """
{# Why it is so: it's data. #}
select a, 'it''s -- text' as b  -- a comment's end
from {{ ref("x") }} where a<b /* more
of it */
"""


@pytest.mark.parametrize(
    ("text", "is_same"),
    [
        ("select a,\n  'it''s -- text' as b\nfrom {{ref(\"x\")}}\nwhere a < b\n", True),
        (MODEL.replace("it's data", "it's data, and more").replace("more\n", "less\n"), True),
        (MODEL.replace("-- text", "--  text"), False),
        (MODEL.replace("a<b", "a<=b"), False),
        (MODEL.replace("select a,", "select aa,"), False),
        (MODEL.replace("select a,", "selecta,"), False),
        (MODEL.replace("  -- a comment's end", " , c"), False),
    ],
)
def test_comments_and_layout_change_no_fingerprint(text: str, *, is_same: bool) -> None:
    for path in ("nodes/model.m/raw_code", "macros/macro.ours/macro_sql"):
        before, after = (project_fingerprint(changed(path, each)) for each in (MODEL, text))
        assert (before == after) is is_same


def test_where_sql_and_jinja_read_quotes_differently_every_letter_counts() -> None:
    texts = [f"select 'a\\' -- b' , {word}" for word in ("c", "d")]
    prints = {project_fingerprint(changed("nodes/model.m/raw_code", text)) for text in texts}
    assert len(prints) == len(texts)


@pytest.mark.parametrize(
    ("kpi", "is_same"),
    [
        ({"name": "k", "sentence": "Other words.", "version": 1, "in_values": {"name": "k"}}, True),
        ({"name": "k", "sentence": "Words.", "version": 2, "in_values": {"name": "k"}}, False),
        ({"name": "k", "sentence": "Words.", "version": 1}, False),
    ],
)
def test_the_fingerprint_follows_what_kpi_values_reads_of_a_kpi(
    kpi: dict[str, Any], *, is_same: bool
) -> None:
    before = {"name": "k", "sentence": "Words.", "version": 1, "in_values": {"name": "k"}}
    prints = []
    for entry in (before, kpi):
        column = {"name": "c", "config": {"meta": {"kpis": [entry]}}}
        prints.append(project_fingerprint(changed("nodes/model.m/columns", {"c": column})))
    assert (prints[0] == prints[1]) is is_same


@pytest.mark.parametrize(
    "path", ["nodes/model.m/description", "nodes/test.t/name", "macros/macro.dbt/macro_sql"]
)
def test_the_fingerprint_ignores_what_changes_no_row(path: str) -> None:
    assert project_fingerprint(changed(path, "2")) == project_fingerprint(MANIFEST)


def event(at: datetime, name: str, session: str = "s1", **attributes: str) -> Event:
    """An event that arrives in the hour in which it happened."""
    hour = at.replace(minute=0, second=0)
    return Event(session, at, name, hour, attributes, source="folder")


KNOWN = {"folder": ("unassigned", "folder")}
EVENTS = [
    event(utc(1, 5), "SessionStart", PlayerId="p1", Platform="pc"),
    event(utc(1, 6), "SoftwareVersion", Version="1.0"),
    event(utc(1, 6, 30), "Purchase", Amount="5", Currency="XXX"),
    event(utc(2, 7), "SessionStart", "s2", PlayerId="p2", Platform="pc"),
    event(utc(2, 9), "Crash", "s3"),
    event(utc(3, 1), "Crash", "s3"),
]


@pytest.fixture(scope="module")
def built() -> Build:
    """Two days of one game, built and published; then a late purchase, built."""
    build = Build()
    build.step(Lake(by_hour(EVENTS, HOURS), KNOWN))
    late = event(utc(2, 7, 30), "Purchase", "s2", Amount="5", Currency="EUR")
    build.load(Lake(by_hour([*EVENTS, late], HOURS), KNOWN))
    build.run()
    return build


def test_the_projects_own_tests_pass(built: Build) -> None:
    results = dbt("test").result
    outcomes = {each.node.name: str(each.status) for each in getattr(results, "results", [])}

    assert outcomes.pop("currencies_have_rates") in {"pass", "warn"}
    # The hooks that set up DuckDB, and that grant the readers' role; here nothing is to be granted.
    assert outcomes.pop("kpi_platform-on-run-start-0") == "success"
    assert outcomes.pop("kpi_platform-on-run-end-0") == "success"
    assert set(outcomes.values()) == {"pass"}
    assert {
        "a_refund_lowers_revenue_and_a_payer_pays_on_balance",
        "whoever_has_an_old_device_cannot_move",
    } < set(outcomes)


def test_a_late_purchase_changes_its_hour_and_date_only(built: Build) -> None:
    with connect(WAREHOUSE) as con:
        assert not pending(con)
        found = affected_periods_to_publish(con)

    assert {table: [str(start)[:13] for start in starts] for table, starts in found.items()} == {
        "kpi_hourly": ["2026-01-02 07"],
        "kpi_daily": ["2026-01-02 00"],
        "kpi_monthly": ["2026-01-01 00"],
        # Published whole: what its version brought in.
        "version_shutdown_impact": [],
    }


def test_every_published_mart_says_how(built: Build) -> None:
    manifest = json.loads((WAREHOUSE.parent / "target" / "manifest.json").read_text())
    published = {
        node["name"]: node["config"]["meta"]["publish"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and "publish" in node["config"]["meta"]
    }

    assert set(published) == {
        *("kpi_hourly", "kpi_daily", "kpi_monthly", "kpi_retention", "kpi_values"),
        *("kpi_stream_daily", "kpi_console_daily", "fact_version"),
        *("dim_version", "dim_device", "active_versions", "dim_service", "kpi_coverage"),
        *("version_shutdown_impact", "version_distribution", "version_adoption"),
        *("upgrade_notifications", "feature_use_by_version", "ab_test_results"),
        *("install_sources", "issues_by_version", "version_engagement", "version_focus"),
        *("release_cadence", "version_behaviour"),
    }
    assert {each["period"] for each in published.values()} == {"hour", "date", "month", "all"}


def test_first_days_and_starts_move_however_far() -> None:
    hours = [utc(1, 5), utc(1) + timedelta(days=20), utc(1) + timedelta(days=60)]
    first, middle, last = (
        Event("", hour, "Crash", hour, {"PlayerId": "p1", "Platform": platform}, source="folder")
        for hour, platform in zip(hours, ("pc", "phone", "pc"), strict=True)
    )
    query = (
        "select date, platform, new_players, returning_players from marts.kpi_daily"
        " where dau > 0 and platform in ('pc', 'all')"
    )
    rows = "select platform, count(*) from marts.kpi_daily where studio != 'all' group by all"
    build = Build()

    build.step(Lake({hours[0]: [first], hours[1]: [], hours[2]: [last]}, KNOWN))
    assert ("pc", 61) in build.rows(rows)
    build.step(Lake({hours[0]: [], hours[1]: [middle], hours[2]: [last]}, KNOWN))
    days = {(str(day), platform): counts for day, platform, *counts in build.rows(query)}

    assert days == {
        ("2026-01-21", "all"): [1, 0],
        ("2026-03-02", "pc"): [1, 0],
        ("2026-03-02", "all"): [0, 1],
    }
    assert {("pc", 1), ("phone", 41)} < set(build.rows(rows))


def test_no_view_reads_a_table_that_every_build_makes_anew() -> None:
    """PostgreSQL and Redshift drop the views with it, which an update does not make again."""
    nodes = read_manifest()["nodes"]
    models = {key: node for key, node in nodes.items() if node["resource_type"] == "model"}
    kind = {key: node["config"]["materialized"] for key, node in models.items()}
    wrong = [
        (node["name"], models[parent]["name"])
        for key, node in models.items()
        if kind[key] == "view"
        for parent in node["depends_on"]["nodes"]
        if kind.get(parent) == "table"
    ]
    assert wrong == []
