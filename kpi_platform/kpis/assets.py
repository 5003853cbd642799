"""The assets of room 4: every dbt model, `kpi_hourly` and `kpi_daily` by the hour.

Belongs here: how dbt's models look in Dagster and the one run of dbt per Dagster run. Does not:
what is loaded and in which order, which is `build.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import dagster as dg

from kpi_platform.engine.platform import Platform
from kpi_platform.engine.run_report import Measured, RunReport
from kpi_platform.kpis.build import BuildReport, build_marts
from kpi_platform.kpis.dbt.dbt_run import DbtRun, Finding
from kpi_platform.kpis.dbt.model_specs import HOURLY_MODELS, model_specs
from kpi_platform.kpis.dbt.projects import Projects
from kpi_platform.kpis.dbt.rebuild import rebuild_marts
from kpi_platform.orchestration.dagster_internals import already_recorded
from kpi_platform.orchestration.recording import (
    end_red_if_hours_failed,
    metadata_of,
    naming_the_setting,
    record_partitions,
)
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.orchestration.run_reports import tell_reports
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest

_SPECS = model_specs(read_manifest())
# Of a model's report, what its metadata show.
_SHOWN = ("rows", "seconds", "peak_memory_mib")


def _what_was_built(report: BuildReport) -> str:
    if not report.is_built:
        return "nothing to build"
    return "every model built anew" if report.is_full_refresh else "affected periods built"


# A run with this tag builds what a changed project builds anew.
REBUILD, REBUILD_JOB = "kpi/rebuild", "definitions_rebuild"


@dg.multi_asset(
    name="kpis",
    specs=_SPECS.assets,
    check_specs=_SPECS.checks,
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def kpis(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None]]:
    """Load what the lake changed, build every model on what that affects, record the selected.

    All models are built together, so that they always agree with each other.
    """
    parts = platform.platform
    measured = Measured(context.run_id, "kpis")
    projects = Projects.of(parts)
    with naming_the_setting():
        report = _built(context, parts, projects)
    run = projects.run_before if report.is_waiting and projects.run_before else projects.run
    changed = sum(report.load.rows_changed.values())
    context.log.info(f"kpis: {changed} rows of copies changed, {_what_was_built(report)}")
    for key in context.selected_asset_keys:
        if key.path[-1] in HOURLY_MODELS:
            rows = _rows_by_hour(report, key.path[-1])
            record_partitions(context, parts.lake, key, rows, run.seconds.get(key.path[-1], 0.0))
    made = _made(context, measured, report, run)
    whole = measured.report(rows=changed)
    tell_reports(context, [whole, *(made.values() if report.is_built else ())])
    yield from _outputs(context, report, run, made, whole)
    end_red_if_hours_failed(context, parts.lake)


def _built(context: dg.AssetExecutionContext, parts: Platform, projects: Projects) -> BuildReport:
    """Build what hours need, or in the job for it what a changed project builds anew."""
    before = projects.before
    if REBUILD in context.run.tags and before is not None:
        report = rebuild_marts(parts, projects.changed_project(), before, context.log.info)
    else:
        report = build_marts(parts, projects.fingerprint, projects.run, before)
    if report.is_waiting:
        context.log.warning(
            f"kpis: definitions changed ({projects.waiting()}) and wait to be built; until then"
            f" hours are built by those before. The job {REBUILD_JOB} builds them"
        )
    else:
        projects.keep()
    return report


def _evaluations(
    context: dg.AssetExecutionContext, run: DbtRun
) -> dict[dg.AssetKey, list[dg.AssetCheckEvaluation]]:
    """The selected checks whose tests dbt ran, by asset."""
    evaluations: dict[dg.AssetKey, list[dg.AssetCheckEvaluation]] = {}
    for test, finding in run.tests.items():
        key = _SPECS.check_of_test.get(test)
        if key is not None and key in context.selected_asset_check_keys:
            evaluations.setdefault(key.asset_key, []).append(_evaluation(key, finding))
    return evaluations


def _evaluation(key: dg.AssetCheckKey, finding: Finding) -> dg.AssetCheckEvaluation:
    is_warning = finding.status == "warn"
    return dg.AssetCheckEvaluation(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=finding.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        metadata={
            "status": finding.status,
            "failing_rows": finding.failures or 0,
            "message": finding.message,
            "seconds": finding.seconds,
        },
    )


def _rows_by_hour(report: BuildReport, model: str) -> Callable[[datetime], int]:
    """The rows that a model has for an hour, or for the day that the hour is in."""
    periods = report.period_rows[model]
    whole_days = model == "kpi_daily"
    return lambda hour: periods.get(hour.replace(hour=0) if whole_days else hour, 0)


def _made(
    context: dg.AssetExecutionContext, measured: Measured, report: BuildReport, run: DbtRun
) -> dict[str, RunReport]:
    """What was done at each selected model, by its name."""
    names = sorted(key.path[-1] for key in context.selected_asset_keys)
    return {
        name: measured.report_of(name, report.rows.get(name, 0), run.seconds.get(name, 0.0))
        for name in names
    }


def _outputs(
    context: dg.AssetExecutionContext,
    report: BuildReport,
    run: DbtRun,
    made: Mapping[str, RunReport],
    whole: RunReport,
) -> Iterator[dg.Output[None]]:
    """Record the selected models and their checks, and give the models' outputs, in the order of
    their dependencies, as Dagster asks. Those of the hourly models show the step as a whole.

    Recorded here, they wait for each other and are written together. For an output Dagster records
    them itself, after reading what the newest records of all that the model reads are: that would
    write what waits and ask the database, model by model, longer than all the work on an hour.
    """
    evaluations = _evaluations(context, run)
    for asset in evaluations.keys() - set(context.selected_asset_keys):
        # A check may be selected without its asset.
        for evaluation in evaluations[asset]:
            context.log_event(evaluation)
    graph = context.op_execution_context.job_def.asset_layer.asset_graph
    for key in (key for key in graph.toposorted_asset_keys if key in context.selected_asset_keys):
        name = key.to_python_identifier()
        if name not in HOURLY_MODELS:
            context.log_event(_materialization(key, report, made[name]))
        for evaluation in evaluations.get(key, ()):
            context.log_event(evaluation)
        yield already_recorded(name, metadata_of(whole) if name in HOURLY_MODELS else {})


def _materialization(
    key: dg.AssetKey, report: BuildReport, made: RunReport
) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        key,
        metadata={
            **{figure: metadata_of(made)[figure] for figure in _SHOWN},
            "dagster/row_count": made.rows,
            "rows_loaded": sum(report.load.rows_changed.values()),
            "unchanged": not report.is_built,
        },
    )


# Named, not imported: what is made of the marts. Rooms know each other's tables only.
_MADE_OF_MARTS = (
    *("publications", "kpi_restatements", "kpi_value_books"),
    *("kpi_dashboard", "daily_report"),
)
_WITHOUT_HOURS = [spec.key for spec in _SPECS.assets if spec.key.path[-1] not in HOURLY_MODELS]

definitions_rebuild = dg.define_asset_job(
    REBUILD_JOB,
    selection=dg.AssetSelection.assets(*_WITHOUT_HOURS, *_MADE_OF_MARTS),
    tags={REBUILD: "true"},
    description="Builds the models that a changed model, macro or KPI definition makes anew, with "
    "all that depends on them, and publishes. Hours go on by the definitions before until it is "
    "done; stopped, it goes on where it was when run again.",
)
