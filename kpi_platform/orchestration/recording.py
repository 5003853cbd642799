"""How an hourly asset tells Dagster what it did: hour by hour, honestly, and red if hours failed.

Belongs here: materialisations and check evaluations per hour, for one hour or a range alike.
Does not: the work itself, nor what a check looks at.

In a range Dagster would mark every hour of a finished step as materialised, failed ones included.
Each hour is therefore recorded by itself, and the step's own output says that this was done.

Which hours failed is asked of the books (`hour_ledger`), so that it is the same in whichever run
and process an asset is materialised. A step that lacks hours gives its outputs, so that the others
go on, and then fails: re-executed from failure, it and all that follows it are tried again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import dagster as dg

from kpi_platform.engine.books.hour_ledger import HourFigures, errors_of_failed_hours, hour_figures
from kpi_platform.engine.checked_hours import Evaluate, Progress, work_and_check
from kpi_platform.engine.hour_steps import HourReport, HourStep
from kpi_platform.engine.run_report import Measured, RunReport, hour_values
from kpi_platform.orchestration.dagster_internals import CheckResult, already_recorded, keys_of_run
from kpi_platform.orchestration.partitions import HOURLY, fold_ranges, hour_of, key_of, range_name
from kpi_platform.orchestration.resources import require_hours
from kpi_platform.orchestration.run_reports import tell_reports
from kpi_platform.schemas.hours.hour_checks import CheckSpec, HourCheck
from kpi_platform.schemas.sources_file.sources import SourcesError
from kpi_platform.schemas.texts.hidden_secrets import hide_secrets
from kpi_platform.settings import SettingsError
from kpi_platform.storage.kpi_database.dbt_manifest import DbtProjectError
from kpi_platform.storage.kpi_database.embedded import WarehouseError
from kpi_platform.storage.lake.lake import Lake, LakeError
from kpi_platform.storage.lake.locks import LockError
from kpi_platform.storage.landing.landing import LandingError

FAILED_HOURS_TAG = "kpi/failed_hours"
_TAG_LENGTH = 1000
_NO_HOURS = "none"
# Until `cleaned_events` completes it, `hour_ledger` says of an hour what an earlier run found.
_UP_TO_THE_LEDGER = (
    "raw_telemetry",
    "raw_console_feed",
    "raw_stream_feed",
    "raw_studio_events",
    "cleaned_events",
)

SETTINGS_MISTAKES = (
    *(SettingsError, SourcesError, LandingError, LakeError, LockError),
    *(WarehouseError, DbtProjectError),
)


def check_specs(specs: Iterable[CheckSpec]) -> list[dg.AssetCheckSpec]:
    """Dagster's specs of hourly checks. One that blocks always has a result (`_summaries`): Dagster
    waits for it, without end where a step has given none (EXECUTOR)."""
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

    Yields the step's outputs and the checks' summaries, then raises dg.Failure that names the hours
    that failed, here or before. If no hour is well it gives no outputs: nothing could go on.
    """
    require_hours(context.run)
    measured = Measured(context.run_id, step.table)
    hours = [hour_of(key) for key in context.partition_keys]
    own = sorted(context.selected_asset_keys)
    failed = {} if step.table in _UP_TO_THE_LEDGER else errors_of_failed_hours(lake, hours)
    evaluated: list[HourCheck] = []
    recorded = 0
    progress = _progress(context, step.table, len(hours))
    for part in work_and_check(lake, step, evaluate, hours, chunk_limit, progress):
        failed |= part.failed
        well = [report for report in part.reports if report.hour not in failed]
        figures = hour_figures(lake, [report.hour for report in well])
        _record_hours(context, own, well, figures, _uris(lake, own))
        measured.add(well, figures)
        _report_checks(context, part.checks)
        evaluated += part.checks
        recorded += len(well)
    report = measured.report(failed_hours=len(failed))
    tell_reports(context, [report])
    if recorded:
        for key in own:
            yield already_recorded(key.to_python_identifier(), metadata_of(report))
    # Hours that came along from the queue must not block those that were asked for.
    is_range = len({*hours, *(check.hour for check in evaluated)}) > 1
    yield from _summaries(context, evaluated, is_range=is_range)
    _end_red(context, failed)


def record_partitions(
    context: dg.AssetExecutionContext,
    lake: Lake,
    key: dg.AssetKey,
    rows: Callable[[datetime], int],
    seconds: float,
) -> None:
    """Record an hourly asset that is built for all hours at once: every hour that did not fail."""
    require_hours(context.run)
    hours = [hour_of(name) for name in context.partition_keys]
    failed = errors_of_failed_hours(lake, hours)
    well = [hour for hour in hours if hour not in failed]
    reports = [HourReport(hour, "written", rows(hour), seconds / len(well)) for hour in well]
    _record_hours(context, [key], reports, hour_figures(lake, well))


def end_red_if_hours_failed(context: dg.AssetExecutionContext, lake: Lake) -> None:
    """Raise dg.Failure naming the hours of the run that failed, by the books."""
    hours = [hour_of(key) for key in keys_of_run(context.run, HOURLY)]
    _end_red(context, errors_of_failed_hours(lake, hours))


def _progress(context: dg.AssetExecutionContext, table: str, count: int) -> Progress:
    """Logs how far the work is, as it goes on."""
    done = 0

    def log(more: int) -> None:
        nonlocal done
        done += more
        context.log.info(f"{table}: {done} of {max(done, count)} hours worked through")

    return log


def _record_hours(
    context: dg.AssetExecutionContext,
    keys: Sequence[dg.AssetKey],
    reports: Sequence[HourReport],
    figures: Mapping[datetime, HourFigures],
    uris: Mapping[dg.AssetKey, str] = MappingProxyType({}),
) -> None:
    for report in reports:
        _record_hour(context, keys, report, figures[report.hour], uris)


def _uris(lake: Lake, keys: Iterable[dg.AssetKey]) -> dict[dg.AssetKey, str]:
    return {key: uri_of(lake, key.path[-1]) for key in keys}


def uri_of(lake: Lake, table: str) -> str:
    """Where a table lies, as a URI that the catalogue shows."""
    path = lake.path(table)
    return path if "://" in path else Path(path).absolute().as_uri()


def _record_hour(
    context: dg.AssetExecutionContext,
    keys: Iterable[dg.AssetKey],
    report: HourReport,
    figures: HourFigures,
    uris: Mapping[dg.AssetKey, str],
) -> None:
    metadata = hour_values(report, figures) | {"dagster/partition_row_count": report.rows}
    for key in keys:
        context.log_event(
            dg.AssetMaterialization(
                key,
                partition=key_of(report.hour),
                metadata=metadata | ({"dagster/uri": uris[key]} if key in uris else {}),
            )
        )


def metadata_of(report: RunReport) -> dict[str, int | float]:
    """What a step's output shows of the run, by the names of `run_ledger`."""
    return report.figures()


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
    by_check = {spec.name: (spec, results) for spec, results in by_spec.items()}
    for key in sorted(context.selected_asset_check_keys):
        spec, results = by_check.get(key.name, (None, []))
        failing = [check for check in results if not check.passed]
        blocks = spec is not None and not spec.is_warning and not is_range
        yield CheckResult(
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


def _end_red(context: dg.AssetExecutionContext, failed: Mapping[datetime, str]) -> None:
    """Name the hours that failed on the run, for people, and raise dg.Failure, if there are any."""
    for hour, error in sorted(failed.items()):
        context.log.error(f"{key_of(hour)}: {error}")
    # A re-execution has the tags of the run before it.
    if failed or FAILED_HOURS_TAG in context.run.tags:
        tag = {FAILED_HOURS_TAG: _named(failed)}
        context.instance.add_run_tags(context.run.run_id, tag)
    if failed:
        names = ", ".join(key_of(hour) for hour in sorted(failed)[:50])
        reason = failed[min(failed)]
        raise dg.Failure(
            f"{len(failed)} hours failed and were left out: {names}; {reason}", allow_retries=False
        )


def _named(hours: Iterable[datetime]) -> str:
    """Hours as ranges, no longer than a tag may be."""
    ranges = fold_ranges(list(hours))
    names = [range_name(*pair) for pair in ranges]
    shown = ",".join(names) or _NO_HOURS
    return shown if len(shown) <= _TAG_LENGTH else f"{shown[:_TAG_LENGTH]}..."
