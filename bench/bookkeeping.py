"""Definitions with the platform's assets and checks, in which no asset does anything.

Belongs here: recording per hour what the real assets record. Does not: any work on data.
"""

from collections.abc import Iterator

import dagster as dg

from kpi_platform import definitions as real
from kpi_platform.arrivals.checks import RAW_CHECKS
from kpi_platform.cleaned.checks import EVENT_CHECKS, SESSION_CHECKS
from kpi_platform.history.checks import HISTORY_CHECKS
from kpi_platform.orchestration.dagster_internals import already_recorded

FIGURES = ("rows", "files", "bytes", "quarantined", "duplicates", "seconds", "peak_memory_mib")
HOURLY_CHECKS = {
    spec.name for spec in (*RAW_CHECKS, *EVENT_CHECKS, *SESSION_CHECKS, *HISTORY_CHECKS)
}


def _empty(assets: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """An asset function with the same outputs and checks that records and does nothing else."""
    hourly = {spec.key for spec in assets.specs if spec.partitions_def is not None}
    checks = list(assets.check_specs)

    @dg.multi_asset(
        name=assets.op.name,
        specs=list(assets.specs),
        check_specs=checks,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def empty(context: dg.AssetExecutionContext) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
        for hour in context.partition_keys if hourly else ():
            for key in sorted(hourly):
                figures = dict.fromkeys(FIGURES, 0)
                context.log_event(dg.AssetMaterialization(key, partition=hour, metadata=figures))
            for check in checks:
                if check.name in HOURLY_CHECKS:
                    context.log_event(_evaluation(check, hour))
        graph = context.op_execution_context.job_def.asset_layer.asset_graph
        for key in graph.toposorted_asset_keys:
            if key in context.selected_asset_keys:
                name = key.to_python_identifier()
                yield already_recorded(name) if key in hourly else dg.Output(None, name)
        for check in checks:
            yield dg.AssetCheckResult(asset_key=check.asset_key, check_name=check.name, passed=True)

    return empty


def _evaluation(check: dg.AssetCheckSpec, hour: str) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=True,
        partition=hour,
        metadata={"rows": 0},
    )


defs = dg.Definitions(
    assets=[_empty(a) for a in real.defs.assets or () if isinstance(a, dg.AssetsDefinition)],
    executor=dg.in_process_executor,
)
