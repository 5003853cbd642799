"""How an hourly asset tells Dagster what it did: hour by hour, honestly, and red if hours failed.

Belongs here: materialisations and check evaluations per hour, for one hour or a range alike.
Does not: the work itself, nor what a check looks at.

In a range Dagster would mark every hour of a finished step as materialised, failed ones included.
Each hour is therefore recorded by itself as soon as it is done, and the step's own output carries
the marker with which Dagster records nothing more.
"""

import resource
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from kpi_platform.engine.hour_fingerprints import forget_consumed
from kpi_platform.engine.hour_ledger import HourFigures, hour_figures
from kpi_platform.engine.hour_steps import (
    FAILURES,
    HourReport,
    HourStep,
    error_line,
    work_through,
)
from kpi_platform.orchestration.partitions import fold_ranges, hour_of, key_of
from kpi_platform.schemas.hidden_secrets import hide_secrets
from kpi_platform.schemas.hour_checks import CheckSpec, HourCheck
from kpi_platform.schemas.sources import SourcesError
from kpi_platform.settings import SettingsError
from kpi_platform.storage.kpi_database.dbt_manifest import DbtProjectError
from kpi_platform.storage.kpi_database.embedded import WarehouseError
from kpi_platform.storage.lake.lake import Lake, LakeError
from kpi_platform.storage.lake.locks import LockError
from kpi_platform.storage.landing.landing import LandingError

FAILED_HOURS_TAG = "kpi/failed_hours"
_ALREADY_RECORDED = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}

SETTINGS_MISTAKES = (
    *(SettingsError, SourcesError, LandingError, LakeError, LockError),
    *(WarehouseError, DbtProjectError),
)

Evaluate = Callable[[Sequence[datetime]], Sequence[HourCheck]]


def check_specs(specs: Iterable[CheckSpec]) -> list[dg.AssetCheckSpec]:
    """Dagster's specs of hourly checks."""
    return [
        dg.AssetCheckSpec(
            spec.name,
            asset=spec.table,
            description=spec.description,
            blocking=not spec.is_warning,
        )
        for spec in specs
    ]


@contextmanager
def naming_the_setting() -> Iterator[None]:
    """Turn a mistake in the settings into a failure of one line, which no retry can mend."""
    try:
        yield
    except SETTINGS_MISTAKES as error:
        raise dg.Failure(hide_secrets(str(error)), allow_retries=False) from None


def record_hours(
    context: dg.AssetExecutionContext,
    lake: Lake,
    step: HourStep,
    evaluate: Evaluate,
    chunk_limit: int,
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Work a step through the run's hours and record each: materialisation, figures, checks.

    Yields the step's outputs and the checks' summaries. Ends in dg.Failure that names the hours
    that failed, if any did and nothing downstream in this run can still use the others.
    """
    hours = [hour_of(key) for key in context.partition_keys]
    own = sorted(context.selected_asset_keys)
    failed: dict[datetime, str] = {}
    evaluated: list[HourCheck] = []
    done = 0
    for reports in work_through(lake, step, hours, chunk_limit):
        up_to_date = [report.hour for report in reports if report.is_up_to_date]
        checks, broken = _evaluated(evaluate, up_to_date)
        blocked = broken | _blocked(checks)
        for hour, reason in blocked.items():
            step.fail(hour, reason)
        forget_consumed(lake, step.table, list(blocked))
        failed |= blocked | {r.hour: r.error for r in reports if not r.is_up_to_date}
        figures = hour_figures(lake, [report.hour for report in reports])
        for report in reports:
            if report.hour not in failed:
                _record_hour(context, own, report, figures[report.hour])
        _report_checks(context, checks)
        evaluated += checks
        done += len(reports)
        every = max(done, len(hours))
        context.log.info(f"{step.table}: {done} of {every} hours done, {len(failed)} failed")
    name_failed_hours(context, failed)
    if failed and len(hours) == 1 and not evaluated:
        raise _failure(context, failed)
    for key in own:
        yield already_recorded(key.to_python_identifier())
    # Hours that came along from the queue must not block those that were asked for.
    is_range = len({*hours, *(check.hour for check in evaluated)}) > 1
    yield from _summaries(context, evaluated, is_range=is_range)
    end_red_if_hours_failed(context)


def record_partitions(
    context: dg.AssetExecutionContext,
    lake: Lake,
    key: dg.AssetKey,
    rows: Callable[[datetime], int],
    seconds: float,
) -> None:
    """Record an hourly asset that is built for all hours at once: every hour that did not fail."""
    failed = set(_failed_so_far(context))
    hours = [hour_of(name) for name in context.partition_keys if name not in failed]
    figures = hour_figures(lake, hours)
    for hour in hours:
        report = HourReport(hour, "written", rows(hour), seconds / len(hours))
        _record_hour(context, [key], report, figures[hour])


def already_recorded(name: str) -> dg.Output[None]:
    """The output of a step whose materialisations are recorded hour by hour."""
    return dg.Output(None, output_name=name, metadata=_ALREADY_RECORDED)


def _evaluated(
    evaluate: Evaluate, hours: Sequence[datetime]
) -> tuple[list[HourCheck], dict[datetime, str]]:
    """The checks of these hours, and the hours whose rows cannot even be read, with the reason."""
    try:
        return list(evaluate(hours)), {}
    except FAILURES as error:
        if len(hours) == 1:
            return [], {hours[0]: f"cannot be checked: {error_line(error)}"}
    checks: list[HourCheck] = []
    broken: dict[datetime, str] = {}
    for hour in hours:
        evaluated, unread = _evaluated(evaluate, [hour])
        checks += evaluated
        broken |= unread
    return checks, broken


def _blocked(checks: Sequence[HourCheck]) -> dict[datetime, str]:
    return {
        check.hour: f"check {check.spec.name} failed: {dict(check.figures)}"
        for check in checks
        if not check.passed and not check.spec.is_warning
    }


def _record_hour(
    context: dg.AssetExecutionContext,
    keys: Iterable[dg.AssetKey],
    report: HourReport,
    figures: HourFigures,
) -> None:
    metadata = {
        "rows": report.rows,
        "files": figures.files,
        "bytes": figures.bytes,
        "quarantined": figures.quarantined,
        "duplicates": figures.duplicates,
        "seconds": round(report.seconds, 3),
        "peak_memory_mib": peak_memory_mib(),
        "unchanged": report.status == "unchanged",
        **report.figures,
    }
    for key in keys:
        context.log_event(
            dg.AssetMaterialization(key, partition=key_of(report.hour), metadata=metadata)
        )


def peak_memory_mib() -> int:
    """Peak resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 * 1024) if sys.platform == "darwin" else peak // 1024


def _report_checks(context: dg.AssetExecutionContext, checks: Sequence[HourCheck]) -> None:
    for check in checks:
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(check.spec.table),
                check_name=check.spec.name,
                passed=check.passed,
                severity=_severity(check.spec),
                partition=key_of(check.hour),
                metadata=dict(check.figures),
            )
        )


def _severity(spec: CheckSpec) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.WARN if spec.is_warning else dg.AssetCheckSeverity.ERROR


def _summaries(
    context: dg.AssetExecutionContext, checks: Sequence[HourCheck], *, is_range: bool
) -> Iterator[dg.AssetCheckResult]:
    """One result per check for the run as a whole, which is what Dagster asks of a step.

    In a range it never blocks: the hours that failed are left out downstream one by one.
    """
    by_spec: dict[CheckSpec, list[HourCheck]] = defaultdict(list)
    for check in checks:
        by_spec[check.spec].append(check)
    found = {spec.name: (spec, results) for spec, results in by_spec.items()}
    for key in sorted(context.selected_asset_check_keys):
        spec, results = found.get(key.name, (None, []))
        failing = [check for check in results if not check.passed]
        blocks = spec is not None and not spec.is_warning and not is_range
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=bool(results) and not failing,
            severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
            metadata={
                "hours": len(results),
                "failed_hours": ", ".join(key_of(check.hour) for check in failing[:50]),
                **(dict(failing[0].figures) if failing else {}),
            },
        )


# Per run, in the process that executes it (the executor is in-process). The run's tag shows them
# to people only: it is copied to re-executions, and its length is limited.
_FAILED: dict[str, set[str]] = {}
_TAG_LENGTH = 1000


def name_failed_hours(context: dg.AssetExecutionContext, failed: Mapping[datetime, str]) -> None:
    """Log each hour that failed and name them all on the run, for the steps after this one."""
    for hour, error in sorted(failed.items()):
        context.log.error(f"{key_of(hour)}: {error}")
    if failed:
        _FAILED.setdefault(context.run.run_id, set()).update(key_of(hour) for hour in failed)
        ranges = fold_ranges([hour_of(name) for name in _failed_so_far(context)])
        names = [key_of(a) if a == b else f"{key_of(a)}...{key_of(b)}" for a, b in ranges]
        shown = ",".join(names)
        shown = shown if len(shown) <= _TAG_LENGTH else f"{shown[:_TAG_LENGTH]}..."
        context.instance.add_run_tags(context.run.run_id, {FAILED_HOURS_TAG: shown})


def end_red_if_hours_failed(context: dg.AssetExecutionContext) -> None:
    """Raise dg.Failure naming the run's failed hours, if this step is the last of its line.

    Steps before it let the others go on with the hours that are well.
    """
    failed = _failed_so_far(context)
    if failed and _is_last(context):
        raise dg.Failure(
            f"{len(failed)} hours failed and were left out: {', '.join(failed[:50])}",
            allow_retries=False,
        )


def _failed_so_far(context: dg.AssetExecutionContext) -> list[str]:
    return sorted(_FAILED.get(context.run.run_id, ()))


def _is_last(context: dg.AssetExecutionContext) -> bool:
    layer = context.op_execution_context.job_def.asset_layer
    own = set(context.selected_asset_keys)
    below: set[dg.AssetKey] = set()
    todo = set(own)
    while todo:
        for child in layer.asset_graph.get(todo.pop()).child_keys - below:
            below.add(child)
            todo.add(child)
    return not (below - own) & set(layer.executable_asset_keys)


def _failure(context: dg.AssetExecutionContext, failed: Mapping[datetime, str]) -> dg.Failure:
    hour, error = next(iter(failed.items()))
    return dg.Failure(f"{key_of(hour)}: {error}", allow_retries=False)
