"""Reports by OpenTelemetry's protocol (OTLP over HTTP): gauges, and a trace of each run.

Belongs here: the form of both, and handing them over. Does not: where to, and with which secrets,
which OpenTelemetry's own variables say (`OTEL_EXPORTER_OTLP_ENDPOINT`, `..._HEADERS`).

A run is a trace, named by its id as in the log: a span of the run, told when it ends, and in it one
of each step, told when that ends. A run that is killed has those of its steps alone. The packages
are an optional extra.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

from kpi_platform.engine.run_report import Figure, RunReport
from kpi_platform.metrics.metric_names import METRICS, Unit, values_of
from kpi_platform.schemas.texts.log_lines import trace_id
from kpi_platform.settings import secret

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

PREFIX = "kpi.run."
_UNITS: dict[Unit, str] = {"Seconds": "s", "Megabytes": "MiBy", "Bytes": "By", "Count": "1"}
# A run must not wait for its metrics: nothing is lost that `run_ledger` does not have.
_SECONDS = 5.0
_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"


class OtlpError(RuntimeError):
    """Metrics or spans were not taken, or the packages are not there."""


@dataclass(frozen=True)
class EndedRun:
    """A run of Dagster that has ended: `job` is its job's name, `failed_steps` their number."""

    run_id: str
    job: str
    started_at: datetime
    ended_at: datetime
    failed_steps: int = 0


def send_otlp(reports: Sequence[RunReport], now: datetime) -> None:
    """Send gauges and spans of these reports of steps. Raises OtlpError."""
    _require_packages()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import MetricExportResult

    metrics = OTLPMetricExporter(timeout=_SECONDS)
    is_told = metrics.export(metrics_of(reports, now)) is MetricExportResult.SUCCESS
    metrics.shutdown()
    is_traced = _send_spans([span_of(report) for report in reports])
    if not (is_told and is_traced):
        lost = " and ".join([*([] if is_told else ["metrics"]), *([] if is_traced else ["spans"])])
        raise OtlpError(f"{lost} were not taken; OTEL_EXPORTER_OTLP_ENDPOINT says by whom")


def send_run(run: EndedRun) -> None:
    """Send the span of a run, above those of its steps. Raises OtlpError."""
    _require_packages()
    if not _send_spans([span_of_run(run)]):
        raise OtlpError("the run's span was not taken; OTEL_EXPORTER_OTLP_ENDPOINT says by whom")


def _require_packages() -> None:
    try:
        import opentelemetry.exporter.otlp.proto.http.metric_exporter
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401
    except ImportError:
        raise OtlpError("is not installed: pip install 'kpi-platform[otlp]'") from None
    # Whatever is said of a failure, they are not.
    secret(_HEADERS)


def _send_spans(spans: Sequence["ReadableSpan"]) -> bool:
    """Whether they were taken."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    exporter = OTLPSpanExporter(timeout=_SECONDS)
    is_taken = exporter.export(spans) is SpanExportResult.SUCCESS
    exporter.shutdown()  # type: ignore[no-untyped-call]
    return is_taken


def metrics_of(reports: Sequence[RunReport], now: datetime) -> "MetricsData":
    """Every metric as a gauge at `now`, with a point for each report, labelled by its asset."""
    from opentelemetry.sdk.metrics.export import (
        Gauge,
        Metric,
        MetricsData,
        NumberDataPoint,
        ResourceMetrics,
        ScopeMetrics,
    )
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    at = _nanoseconds(now)
    values_by_report = [(report, values_of(report)) for report in reports]
    gauges = [
        Metric(
            f"{PREFIX}{metric.name}",
            metric.words,
            _UNITS[metric.unit],
            Gauge(
                [
                    NumberDataPoint({"asset": report.asset}, 0, at, values[metric])
                    for report, values in values_by_report
                    if metric in values
                ]
            ),
        )
        for metric in METRICS
        if any(metric in values for _, values in values_by_report)
    ]
    scope = ScopeMetrics(InstrumentationScope("kpi_platform"), gauges, "")
    return MetricsData([ResourceMetrics(_resource(), [scope], "")])


def span_of(report: RunReport) -> "ReadableSpan":
    """A step as a span below its run's; red if hours failed in it."""
    hours = {"first_hour": report.first_hour, "last_hour": report.last_hour}
    return _span(
        report.run_id,
        report.step,
        f"{report.run_id} {report.step} {report.started_at.isoformat()}",
        (report.started_at, report.started_at + timedelta(seconds=report.seconds)),
        {
            **{name: hour.isoformat() for name, hour in hours.items() if hour},
            **report.figures(),
        },
        f"{report.failed_hours} hours failed" if report.failed_hours else "",
        parent=report.run_id,
    )


def span_of_run(run: EndedRun) -> "ReadableSpan":
    """A run as the span that all of its steps are in; red if steps failed."""
    return _span(
        run.run_id,
        run.job,
        run.run_id,
        (run.started_at, run.ended_at),
        {"failed_steps": run.failed_steps},
        f"{run.failed_steps} steps failed" if run.failed_steps else "",
    )


def _span(
    run_id: str,
    name: str,
    key: str,
    times: tuple[datetime, datetime],
    attributes: Mapping[str, str | Figure],
    failed: str,
    parent: str | None = None,
) -> "ReadableSpan":
    """`key` and `parent` name spans; `failed` says in words what makes it red, blank: nothing."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

    def context(of: str) -> SpanContext:
        span = int.from_bytes(blake2b(of.encode(), digest_size=8).digest(), "big")
        return SpanContext(int(trace_id(run_id), 16), span, False, TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name,
        context(key),
        parent=None if parent is None else context(parent),
        resource=_resource(),
        attributes={"dagster.run.id": run_id, **attributes},
        status=Status(StatusCode.ERROR, failed) if failed else Status(StatusCode.OK),
        start_time=_nanoseconds(times[0]),
        end_time=_nanoseconds(times[1]),
        instrumentation_scope=InstrumentationScope("kpi_platform"),
    )


def _resource() -> "Resource":
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    return Resource({"service.name": "kpi_platform"}).merge(OTELResourceDetector().detect())


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000
