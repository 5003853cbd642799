"""Whoever reads a table finds in YAML what a row is and what each column means."""

import json
from typing import Any

import pytest

from kpi_platform_tests.kpis.builds import WAREHOUSE, Build, Lake, by_hour, hours_from, utc
from kpi_platform_tests.reference import Event

HOURS = hours_from(utc(1), 2)
GRAINS = ("One row per ", "Exactly one row")
QUERY = (
    "select table_schema || '.' || table_name, column_name, lower(data_type)"
    " from information_schema.columns"
)
# What DuckDB calls a type that is written as other warehouses know it.
_NAMES = {"double precision": "double"}
Tables = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def built() -> Build:
    """The warehouse after one event."""
    build = Build()
    event = Event("s1", utc(1), "Crash", utc(1), {"PlayerId": "p1"}, source="folder")
    build.step(Lake(by_hour([event], HOURS), {"folder": ("unassigned", "folder")}))
    return build


@pytest.fixture(scope="module")
def tables(built: Build) -> Tables:
    """Every model, seed and source of the manifest, by schema and name."""
    manifest = json.loads((WAREHOUSE.parent / "target" / "manifest.json").read_text())
    nodes = [*manifest["nodes"].values(), *manifest["sources"].values()]
    kinds = ("model", "seed", "source")
    return {f"{n['schema']}.{n['name']}": n for n in nodes if n["resource_type"] in kinds}


def test_every_table_is_described_and_models_name_their_grain(tables: Tables) -> None:
    undescribed = [name for name, node in tables.items() if not node["description"].strip()]
    without_grain = [
        name
        for name, node in tables.items()
        if node["resource_type"] != "source"
        and not any(grain in node["description"] for grain in GRAINS)
    ]

    assert undescribed == []
    assert without_grain == []


def test_every_column_is_described_with_its_type(built: Build, tables: Tables) -> None:
    found = built.rows(QUERY)
    real = {(str(table), str(column)): kind for table, column, kind in found if table in tables}
    described = {
        (table, name): _NAMES.get(column["data_type"], column["data_type"] or "").lower()
        for table, node in tables.items()
        for name, column in node["columns"].items()
        if column["description"].strip()
    }

    assert described == real
