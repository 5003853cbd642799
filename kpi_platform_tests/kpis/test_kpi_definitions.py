"""Every KPI column has exactly one definition of its meaning, and what repeats it is current."""

import csv
import re
from collections.abc import Sequence
from typing import Any

import pytest

from kpi_platform.kpis.definition_files import Definition, files, read_definitions
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform_tests.kpis.builds import PROJECT, parsed_project
from kpi_platform_tests.kpis.fast_builds import fast_builds

TABLES = (
    *("kpi_hourly", "kpi_daily", "kpi_monthly", "kpi_retention"),
    *("kpi_console_daily", "kpi_stream_daily"),
)
# Tables of questions of which some columns are KPIs.
OTHERS = ("version_adoption", "release_cadence")
# What readers are promised, in the order in which KPIs are explained to them.
PROMISED = """
active_players dau wau mau mau_calendar stickiness new_players returning_players
resurrected_players retention_classic_d1 retention_classic_d7 retention_classic_d30
retention_rolling_d1 retention_rolling_d7 retention_rolling_d30 churn_28 sessions
sessions_per_active_player session_length_mean_seconds session_length_median_seconds
playtime_seconds revenue_usd arpdau_usd arppu_usd payers conversion_first_purchase_daily
conversion_cohort_d7 conversion_cohort_d30 conversion_period ltv_d7_usd ltv_d30_usd
peak_concurrent_players average_concurrent_players crash_free_sessions crash_free_players
adoption hours_to_half_adoption hours_watched average_viewers peak_viewers hours_streamed
viewer_ratio installs trophy_earned_rate subscriber_share
"""
GRAIN = {"hour", "date", "month", "cohort_date", "day_n", "studio", "game", "platform"}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The parsed project."""
    return read_manifest()


@pytest.fixture(scope="module")
def definitions(manifest: dict[str, Any]) -> list[Definition]:
    """All definitions."""
    return read_definitions(manifest)


def kpi_columns(manifest: dict[str, Any], tables: Sequence[str] = TABLES) -> set[str]:
    """`table.column` of everything in the tables that is neither grain nor completeness."""
    return {
        f"{node['name']}.{column}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["name"] in tables
        for column in node["columns"]
        # Flags say what a figure may be taken for, and are none.
        if column not in GRAIN and not column.startswith("is_")
    }


def test_every_kpi_column_has_a_definition(
    manifest: dict[str, Any], definitions: list[Definition]
) -> None:
    defined = {column for each in definitions for column in each.columns}
    assert sorted(kpi_columns(manifest) - defined) == []


def test_every_definition_names_columns_that_exist(
    manifest: dict[str, Any], definitions: list[Definition]
) -> None:
    models = {node["name"] for node in manifest["nodes"].values()}
    if not models.issuperset(TABLES):
        pytest.skip("not every KPI table is there")
    named = {column for each in definitions for column in each.columns}
    assert sorted(named - kpi_columns(manifest, (*TABLES, *OTHERS))) == []


def test_every_part_of_a_definition_says_something(definitions: list[Definition]) -> None:
    for each in definitions:
        texts = (each.label, each.sentence, each.formula, each.unit, each.numerator, each.source)
        assert all(text.strip() for text in texts), each.kpi
        assert each.sentence.endswith("."), each.kpi
        assert each.requires and each.columns, each.kpi
        assert int(each.definition_version) >= 1, each.kpi
        # A quotient says what it is divided by.
        assert bool(each.denominator) or " / " not in each.formula, each.kpi


def test_a_quotient_is_made_of_what_its_denominator_says(manifest: dict[str, Any]) -> None:
    ratios = [m for m in manifest["metrics"].values() if m["type"] == "ratio"]
    assert ratios
    for metric in ratios:
        parts = [metric["type_params"][part]["name"] for part in ("numerator", "denominator")]
        meta = metric["config"]["meta"]
        assert parts[0] == meta["numerator"], metric["name"]
        assert parts[1] == meta["denominator"] or parts[1] in meta["denominator"], metric["name"]


def test_the_generated_files_are_current() -> None:
    stale = [path.name for path, text in files().items() if path.read_text() != text]
    assert stale == [], "run make definitions"


def test_what_a_kpi_requires_is_something_that_coverage_looks_for() -> None:
    with (PROJECT / "seeds" / "kpi_requirements.csv").open() as file:
        required = {row["requires"] for row in csv.DictReader(file)}
    looked_for = (PROJECT / "models" / "intermediate" / "event_days.sql").read_text()
    of_feeds = {"stream", "console"}
    of_feeds |= {f"console {name}" for name in ("Install", "Trophy", "Subscription", "Purchase")}
    missing = [each for each in sorted(required - of_feeds) if f"'{each}'" not in looked_for]
    assert missing == []


def test_every_kpi_of_the_semantics_is_defined(definitions: list[Definition]) -> None:
    """Nothing that readers are promised lacks its words."""
    assert sorted(set(PROMISED.split()) - {each.kpi for each in definitions}) == []


def test_values_have_every_kpi_of_days_months_and_cohorts(definitions: list[Definition]) -> None:
    """What is told by hour, by version, or only as a part of another KPI is found elsewhere."""
    values = (PROJECT / "models" / "marts" / "kpi_values.sql").read_text()
    parts = {"cohort_size", "cohort_payers", "cohort_revenue_usd", "churned_players_28"}
    parts |= {"retained_classic", "retained_rolling"}
    told = {each.kpi for each in definitions if each.columns[0].split(".")[0] in TABLES[1:]}
    rolling = {f"retention_rolling_d{n}" for n in (1, 7, 30)}
    missing = sorted(kpi for kpi in told - parts - rolling if f"'{kpi}'" not in values)
    assert missing == []


def test_every_value_carries_the_version_of_its_own_definition() -> None:
    """Retention of days 1, 7 and 30 stands in one column, and a month's KPI has the day's name."""
    with fast_builds() as make_build:
        build = make_build()
        metrics = parsed_project().flat_graph["metrics"].values()
        # Were all versions 1, any mistake would look right.
        versions = {metric["name"]: 100 + number for number, metric in enumerate(metrics)}
        for metric in metrics:
            metric["config"]["meta"]["version"] = versions[metric["name"]]
        text = build.text("kpi_values")
        parsed_project().build_flat_graph()
    one = r"'(\w+)'::varchar as kpi,[^;]*?'(\d+)'::varchar as definition_version"
    carried = {kpi: int(version) for kpi, version in re.findall(one, text)}

    assert len(carried) > 40
    assert carried == {
        kpi: versions.get(kpi) or versions[kpi.removeprefix("monthly_")] for kpi in carried
    }
