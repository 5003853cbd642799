"""Who reads the marts outside of dbt stands in dbt, and reads what is said there."""

from typing import Any

import pytest

from kpi_platform.published.pages.dashboard import SERIES_TABLES
from kpi_platform.published.pages.dashboard_data import OTHER_TABLES, QUESTION_TABLES
from kpi_platform.published.publish import marts_to_publish
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The parsed project."""
    return read_manifest()


def models_of(manifest: dict[str, Any], exposure: str) -> set[str]:
    """The models that an exposure depends on."""
    (found,) = [each for each in manifest["exposures"].values() if each["name"] == exposure]
    assert found["description"] and found["owner"]["name"]
    return {name.split(".")[-1] for name in found["depends_on"]["nodes"]}


def test_the_dashboard_reads_what_its_exposure_says(manifest: dict[str, Any]) -> None:
    models = {node["name"] for node in manifest["nodes"].values()}
    read = {*SERIES_TABLES, *QUESTION_TABLES, *OTHER_TABLES} & models
    assert models_of(manifest, "kpi_dashboard") == read


def test_published_tables_are_those_of_the_exposure(manifest: dict[str, Any]) -> None:
    published = {mart.table for mart in marts_to_publish(manifest)}
    assert models_of(manifest, "published_tables") == published


def test_the_report_reads_published_tables(manifest: dict[str, Any]) -> None:
    report = models_of(manifest, "daily_report")
    assert "kpi_daily" in report
    assert report <= models_of(manifest, "published_tables")
