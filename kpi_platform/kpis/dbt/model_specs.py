"""How dbt's models look in Dagster: an asset for each model and seed, a check for each test.

Belongs here: reading dbt's manifest for the catalogue. Does not: what Dagster runs (assets.py).

dagster-dbt makes the same, and a test holds the one against the other. It is not used here because
with it every process that loads the definitions loads dbt, SQLGlot and all, also where no model
is to be built: a third of an hour in which nothing changed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from kpi_platform.orchestration.asset_specs import OWNERS
from kpi_platform.orchestration.partitions import HOURLY

HOURLY_MODELS = ("kpi_hourly", "kpi_daily")
# What the hourly models are made of, in the end. Dagster plans a backfill along dependencies, and
# forgets an asset's hours where it reaches them only through the models between, which have none.
MADE_OF = ("cleaned_events", "sessions", "user_version_history", "stream_stats")
# The group of each folder of models, in the order in which data passes; seeds are staging.
_GROUPS = {
    "staging": "kpis_staging",
    # What steers the builds, and nobody looks for.
    "control": "kpis_control",
    "events": "kpis_intermediate",
    "intermediate": "kpis_intermediate",
    "marts": "kpis",
    "questions": "kpis_questions",
}
# The books of loading are not data that anybody looks for in the catalogue.
_BOOKS = ("kpi_sources", "loads")
_BUILT = ("model", "seed")


@dataclass(frozen=True)
class ModelSpecs:
    """Every asset and every check of the project, and which check a test of dbt is, by its id."""

    assets: Sequence[dg.AssetSpec]
    checks: Sequence[dg.AssetCheckSpec]
    check_of_test: Mapping[str, dg.AssetCheckKey]


def model_specs(manifest: Mapping[str, Any]) -> ModelSpecs:
    """Read the specs out of dbt's manifest. One name for a thing: a model's asset key is its name.

    Raises KeyError if it is no manifest.
    """
    built = {name: node for name, node in manifest["nodes"].items() if _is_built(node)}
    adapter = str(manifest["metadata"]["adapter_type"])
    assets = [_asset(node, manifest, adapter) for node in built.values()]
    tests = {
        name: spec
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "test" and (spec := _check(name, node, manifest, built))
    }
    return ModelSpecs(
        assets, list(tests.values()), {name: spec.key for name, spec in tests.items()}
    )


def _is_built(node: Mapping[str, Any]) -> bool:
    return node["resource_type"] in _BUILT and node["config"]["materialized"] != "ephemeral"


def _asset(node: Mapping[str, Any], manifest: Mapping[str, Any], adapter: str) -> dg.AssetSpec:
    is_hourly = node["name"] in HOURLY_MODELS
    read = set(MADE_OF) if is_hourly else set(_read(node, manifest))
    if not any(name in manifest["nodes"] for name in node.get("depends_on", {}).get("nodes", [])):
        # What is built first waits for all tables, which are loaded together: a backfill of
        # everything would else build all models anew for each of the tables that has its hours.
        read |= set(MADE_OF)
    names = (node["database"], node["schema"], node["alias"])
    metadata = {
        "dagster-dbt/materialization_type": node["config"]["materialized"],
        "dagster/column_schema": _columns(node),
        "dagster/table_name": ".".join(name for name in names if name),
        "dagster/storage_kind": adapter,
    }
    return dg.AssetSpec(
        node["name"],
        deps=sorted(read),
        description=str(node["description"]).strip(),
        metadata={name: value for name, value in metadata.items() if value is not None},
        skippable=True,
        group_name=_GROUPS.get(node["fqn"][1], "kpis_staging"),
        code_version=_code_version(node),
        owners=OWNERS,
        kinds={"dbt", adapter},
        partitions_def=HOURLY if is_hourly else None,
    )


def _read(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterator[str]:
    """The assets that a model reads: models, seeds, and tables of the lake."""
    for name in node.get("depends_on", {}).get("nodes", []):
        if name in manifest["nodes"]:
            found = manifest["nodes"][name]["name"]
        else:
            found = _lake_table(manifest["sources"][name])
        if found is not None and found not in _BOOKS:
            yield found


def _lake_table(source: Mapping[str, Any]) -> str | None:
    """A table of the lake says which asset it is; the other sources are of no asset."""
    key: list[str] = source["config"]["meta"].get("dagster", {}).get("asset_key", [])
    return key[0] if len(key) == 1 else None


def _columns(node: Mapping[str, Any]) -> dg.TableSchema | None:
    columns = [
        dg.TableColumn(name, column.get("data_type") or "?", column.get("description"))
        for name, column in node["columns"].items()
    ]
    return dg.TableSchema(columns) if columns else None


def _code_version(node: Mapping[str, Any]) -> str:
    code = node.get("raw_code")
    if not code:
        return str(node["checksum"]["checksum"])
    return hashlib.sha1(code.encode(), usedforsecurity=False).hexdigest()


def _check(
    name: str, node: Mapping[str, Any], manifest: Mapping[str, Any], built: Mapping[str, Any]
) -> dg.AssetCheckSpec | None:
    """The check that a test is; None if it is of a source, or of several models and says of none
    that it is about that.

    It never blocks: dbt's run fails with it, and where nothing was built a test has no result, for
    which what comes after would wait for ever (EXECUTOR).
    """
    parents = node["depends_on"]["nodes"]
    about = built.get(str(parents[0] if len(parents) == 1 else node.get("attached_node")))
    named = node["config"]["meta"].get("dagster", {}).get("ref", {}).get("name")
    if named:
        about = next(each for each in built.values() if each["name"] == named)
    if about is None:
        return None
    return dg.AssetCheckSpec(
        node["name"],
        asset=about["name"],
        description=node["meta"].get("description"),
        additional_deps=sorted(set(_read(node, manifest)) - {about["name"]}),
        metadata={"dagster_dbt/unique_id": name},
        blocking=False,
    )
