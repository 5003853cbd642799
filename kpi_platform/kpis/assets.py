"""The assets of room 4: every dbt model, `kpi_hourly` and `kpi_daily` by the hour.

Belongs here: how dbt's models look in Dagster and the one run of dbt per Dagster run. Does not:
what is loaded and in which order, which is `build.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from kpi_platform.engine.run_report import Measured, RunReport
from kpi_platform.kpis.build import BuildReport, build_marts
from kpi_platform.kpis.dbt_run import DbtRun
from kpi_platform.kpis.project import project_fingerprint
from kpi_platform.orchestration.asset_specs import OWNERS
from kpi_platform.orchestration.dagster_internals import already_recorded
from kpi_platform.orchestration.partitions import HOURLY
from kpi_platform.orchestration.recording import (
    end_red_if_hours_failed,
    metadata_of,
    naming_the_setting,
    record_partitions,
)
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.orchestration.run_reports import tell_reports
from kpi_platform.storage.kpi_database.dbt_manifest import (
    PROJECT_DIR,
    ensure_manifest,
    read_manifest,
)
from kpi_platform.storage.local_servers.local_process import installed_program

HOURLY_MODELS = ("kpi_hourly", "kpi_daily")
# What the hourly models are made of, in the end. Dagster plans a backfill along dependencies, and
# forgets an asset's hours where it reaches them only through the models between, which have none.
_MADE_OF = ("cleaned_events", "sessions", "user_version_history", "stream_stats")
# Of a model's report, what its metadata show.
_SHOWN = ("rows", "seconds", "peak_memory_mib")
_PROJECT = DbtProject(PROJECT_DIR, profiles_dir=PROJECT_DIR, target_path=ensure_manifest().parent)
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
# The dbt of this very environment, whether or not the environment is on the PATH.
dbt_command = DbtCliResource(project_dir=_PROJECT, dbt_executable=installed_program("dbt"))


class Translator(DagsterDbtTranslator):
    """One name for a thing everywhere: a model's asset key is its name."""

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What the YAML says of a model, without its SQL: that is in the project."""
        return str(dbt_resource_props["description"]).strip()

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """The spec of a model, seed or source."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id)
        if node is None:
            return spec
        name = node["name"]
        if name in HOURLY_MODELS:
            spec = spec.replace_attributes(
                deps=[dg.AssetDep(table) for table in _MADE_OF], partitions_def=HOURLY
            )
        return spec.replace_attributes(
            key=dg.AssetKey(name),
            # The books of loading are not data that anybody looks for in the catalogue.
            deps=[dep for dep in spec.deps if _is_data(dep.asset_key)],
            group_name=_GROUPS.get(node["fqn"][1], "kpis_staging"),
            owners=OWNERS,
        )


def _what_was_built(report: BuildReport) -> str:
    if not report.is_built:
        return "nothing to build"
    return "every model built anew" if report.is_full_refresh else "affected periods built"


def _is_data(key: dg.AssetKey) -> bool:
    return len(key.path) == 1 and key.path[0] not in ("kpi_sources", "loads")


@dbt_assets(
    manifest=ensure_manifest(),
    project=_PROJECT,
    name="kpis",
    dagster_dbt_translator=Translator(),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def kpis(
    context: dg.AssetExecutionContext, platform: PlatformResource, dbt: DbtCliResource
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Load what the lake changed, build every model on what that affects, record the selected.

    All models are built together, so that they always agree with each other.
    """
    parts = platform.platform
    measured = Measured(context.run_id, "kpis")
    manifest = read_manifest()
    target = ensure_manifest().parent
    run = DbtRun(dbt, manifest, Translator(), parts.settings.warehouse_file, target)
    with naming_the_setting():
        report = build_marts(parts, project_fingerprint(manifest), run)
    changed = sum(report.load.rows_changed.values())
    context.log.info(f"kpis: {changed} rows of copies changed, {_what_was_built(report)}")
    for key in context.selected_asset_keys:
        if key.path[-1] in HOURLY_MODELS:
            rows = _rows_by_hour(report, key.path[-1])
            record_partitions(context, parts.lake, key, rows, run.seconds.get(key, 0.0))
    made = _made(context, measured, report, run)
    told = [measured.report(rows=changed), *(made.values() if report.is_built else ())]
    tell_reports(context, parts.lake, told)
    yield from _outputs(context, report, made)
    selected = {(key.asset_key, key.name) for key in context.selected_asset_check_keys}
    yield from (r for r in run.results if (r.asset_key, r.check_name) in selected)
    end_red_if_hours_failed(context, parts.lake)


def _rows_by_hour(report: BuildReport, model: str) -> Callable[[datetime], int]:
    """The rows that a model has for an hour, or for the day that the hour is in."""
    periods = report.period_rows[model]
    whole_days = model == "kpi_daily"
    return lambda hour: periods.get(hour.replace(hour=0) if whole_days else hour, 0)


def _made(
    context: dg.AssetExecutionContext, measured: Measured, report: BuildReport, run: DbtRun
) -> dict[str, RunReport]:
    """What was done at each selected model, by its name."""
    return {
        key.to_python_identifier(): measured.report_of(
            key.path[-1],
            report.rows.get(key.path[-1], 0),
            run.seconds.get(key, 0.0),
        )
        for key in sorted(context.selected_asset_keys)
    }


def _outputs(
    context: dg.AssetExecutionContext, report: BuildReport, made: Mapping[str, RunReport]
) -> Iterator[dg.Output[None]]:
    """The outputs of the selected models, in the order of their dependencies, as Dagster asks."""
    graph = context.op_execution_context.job_def.asset_layer.asset_graph
    for key in (key for key in graph.toposorted_asset_keys if key in context.selected_asset_keys):
        name = key.to_python_identifier()
        if name in HOURLY_MODELS:
            yield already_recorded(name)
            continue
        figures = {
            **{figure: metadata_of(made[name])[figure] for figure in _SHOWN},
            "dagster/row_count": made[name].rows,
            "rows_loaded": sum(report.load.rows_changed.values()),
            "unchanged": not report.is_built,
        }
        yield dg.Output(None, output_name=name, metadata=figures)
