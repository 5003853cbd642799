"""What the catalogue shows of dbt's models is what dagster-dbt makes of them, and our own words."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator
from dagster_dbt.asset_utils import build_dbt_specs, get_asset_check_key_for_test

from kpi_platform.kpis.dbt.model_specs import HOURLY_MODELS, MADE_OF, model_specs
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest


class Translator(DagsterDbtTranslator):
    """dagster-dbt's own, but that a model's asset key is its name."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(dbt_resource_props["name"])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props["description"]).strip()


def test_they_are_those_of_dagster_dbt() -> None:
    manifest, translator = read_manifest(), Translator()
    assets, checks = build_dbt_specs(
        translator=translator,
        manifest=manifest,
        select="fqn:*",
        exclude="",
        selector="",
        io_manager_key=None,
        project=None,
    )
    ours = model_specs(manifest)
    found = {spec.key: spec for spec in ours.assets}
    assert found.keys() == {spec.key for spec in assets}
    for theirs in assets:
        own = found[theirs.key]
        if own.key.path[-1] not in HOURLY_MODELS:
            read = _data(theirs.deps)
            # What is built first waits for all tables of the lake, which are loaded together.
            loaded = {dg.AssetKey(table) for table in MADE_OF} if read.isdisjoint(found) else set()
            assert {dep.asset_key for dep in own.deps} == read | loaded
            assert own.partitions_def is None
        for name in ("code_version", "tags", "kinds", "skippable", "description"):
            assert getattr(own, name) == getattr(theirs, name), (own.key, name)
        shown = {name for name in theirs.metadata if not name.startswith("dagster_dbt/")}
        assert own.metadata.keys() == shown
        assert all(own.metadata[name] == theirs.metadata[name] for name in shown), own.key

    assert {spec.key: spec for spec in ours.checks} == {
        # No check of ours blocks: what was not built would be waited for. dagster-dbt tells what
        # a check of several models reads in the order of a set, which is another in each process.
        spec.key: spec._replace(
            blocking=False,
            additional_deps=sorted(spec.additional_deps, key=lambda dep: dep.asset_key),
        )
        for spec in checks
    }
    for test, key in ours.check_of_test.items():
        assert get_asset_check_key_for_test(manifest, translator, test, None) == key


def _data(deps: Any) -> set[dg.AssetKey]:
    """Without the books of loading, which no asset stands for."""
    keys = {dep.asset_key for dep in deps}
    return {
        key for key in keys if len(key.path) == 1 and key.path[0] not in ("kpi_sources", "loads")
    }


def test_every_test_of_the_project_is_a_check_of_one_asset() -> None:
    """One of several models says in its `meta` which it is about; else nobody would see it."""
    manifest = read_manifest()
    tests = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and not all(each.startswith("source.") for each in node["depends_on"]["nodes"])
    }
    assert {spec.name for spec in model_specs(manifest).checks} == tests
