"""Every KPI column has exactly one definition of its meaning, and what repeats it is current."""

import csv
import re
from collections.abc import Sequence
from typing import Any

import pytest

from kpi_platform.kpis.dbt.definition_files import files
from kpi_platform.schemas.kpi_definitions import (
    Definition,
    KpiDefinitionError,
    read_definitions,
)
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


def test_a_quotient_is_made_of_what_its_denominator_says(definitions: list[Definition]) -> None:
    ratios = [each for each in definitions if each.ratio]
    names = {each.kpi for each in definitions}
    assert len(ratios) > 10
    for each in ratios:
        numerator, denominator = each.ratio
        assert numerator == each.numerator, each.kpi
        assert denominator == each.denominator or denominator in each.denominator, each.kpi
        assert {numerator, denominator} <= names, each.kpi


def test_what_weighs_a_mean_of_days_is_a_column_of_its_table(
    manifest: dict[str, Any], definitions: list[Definition]
) -> None:
    """The page divides by the weight: it reads it from the same table."""
    weighted = [each for each in definitions if each.weight]
    assert len(weighted) > 10
    defined = {column: each.kpi for each in definitions for column in each.columns}
    for each in weighted:
        held = {kpi for column, kpi in defined.items() if column.startswith(f"{each.table}.")}
        assert each.period == "mean" and each.weight in held, each.kpi


def test_no_semantic_model_answers_wrongly(manifest: dict[str, Any]) -> None:
    """A measure that takes the largest day of a month is no answer: there are none (0109)."""
    assert not manifest["semantic_models"] and not manifest["metrics"]


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
    values = {name for each in definitions for name in each.values}
    parts = {"cohort_size", "cohort_payers", "cohort_revenue_usd", "churned_players_28"}
    parts |= {"retained_classic", "retained_rolling"}
    told = {each.kpi for each in definitions if each.columns[0].split(".")[0] in TABLES[1:]}
    missing = told - parts - values - {"arpmau_usd"}
    assert sorted(missing) == []
    assert {"mau_calendar", "monthly_arpmau_usd"} <= values
    assert {f"retention_rolling_d{n}" for n in (1, 7, 30)} <= values


def test_every_value_carries_the_version_of_its_own_definition() -> None:
    """Retention of days 1, 7 and 30 stands in one column, and a month's KPI has the day's name."""
    with fast_builds() as make_build:
        build = make_build()
        entries = [
            kpi
            for node in parsed_project().flat_graph["nodes"].values()
            for column in node.get("columns", {}).values()
            for kpi in column["config"]["meta"].get("kpis", [])
        ]
        # Were all versions 1, any mistake would look right.
        defined = [kpi for kpi in entries if "version" in kpi]
        versions = {kpi["name"]: 100 + number for number, kpi in enumerate(defined)}
        before = [kpi["version"] for kpi in defined]
        for kpi in defined:
            kpi["version"] = versions[kpi["name"]]
        text = build.text("kpi_values")
        for kpi, version in zip(defined, before, strict=True):
            kpi["version"] = version
        parsed_project().build_flat_graph()
    one = r"'(\w+)'::varchar as kpi,[^;]*?'(\d+)'::varchar as definition_version"
    carried = {kpi: int(version) for kpi, version in re.findall(one, text)}

    assert len(carried) > 40
    assert carried == {
        kpi: versions.get(kpi) or versions[kpi.removeprefix("monthly_")] for kpi in carried
    }


KPI = {
    **{"name": "wins", "label": "Wins", "sentence": "Won.", "formula": "count", "unit": "wins"},
    **{"grain": "date", "numerator": "Won", "source": ["t"], "requires": ["Win"]},
    **{"better": "more", "period": "sum", "version": 1, "owner": "team:a"},
    "approved": {"since": "2026-11-30", "by": "team:a"},
    "in_values": {"name": "wins"},
}


def holding(*entries: dict[str, Any]) -> dict[str, Any]:
    """A manifest of a model with a column per entry."""
    columns = {f"c{n}": {"config": {"meta": {"kpis": [kpi]}}} for n, kpi in enumerate(entries)}
    return {"nodes": {"m": {"name": "m", "resource_type": "model", "columns": columns}}}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([KPI, KPI], "m.c0, m.c1: KPI 'wins' is defined 2 times"),
        ([{"name": "wins"}], "defined 0 times"),
        ([KPI | {"owner": ""}], "lacks owner"),
        ([KPI | {"dirction": "more"}], "has dirction, which nothing reads"),
        ([KPI | {"better": "higher"}], "has better 'higher'"),
        ([KPI | {"shown_in": {"card": 1}}], "is shown in card, which is no list"),
        ([KPI | {"approved": {"since": "soon", "by": "team:a"}}], "since which date"),
        ([KPI | {"approved": {"since": "2026-11-30"}}], "by whom"),
        ([KPI | {"in_values": {"day": 7}}], "in_values without a name"),
        ([KPI, {"name": "wins", "unit": "share"}], "m.c1: KPI 'wins' has unit"),
        ([KPI, {"name": "wins", "in_values": {"name": "wins"}}], "two KPIs named wins"),
    ],
)
def test_a_definition_that_cannot_be_used_says_why(
    entries: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(KpiDefinitionError, match=re.escape(words)):
        read_definitions(holding(*entries))


def test_a_definition_is_read_from_its_columns() -> None:
    (found,) = read_definitions(holding({"name": "wins"}, KPI))
    assert found.columns == ("m.c1", "m.c0")
    assert (found.short, found.shown_unit, found.values) == ("Wins", "number", ("wins",))
