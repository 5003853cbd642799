"""Reports by OpenTelemetry's protocol (OTLP over HTTP): gauges, and a trace of each run.

Belongs here: the form of both, and handing them over. Does not: where to, and with which secrets,
which OpenTelemetry's own variables say (`OTEL_EXPORTER_OTLP_ENDPOINT`, `..._HEADERS`).

A run is a trace, named by its id as in the log; each step is a span of it. Steps tell of themselves
when they end, and nothing tells when a run does: so a trace has no span of the run above them. The
packages are an optional extra.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

from kpi_platform.engine.run_report import RunReport
from kpi_platform.metrics.metric_names import METRICS, Unit, values_of
from kpi_platform.schemas.log_lines import trace_id
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


def send_otlp(reports: Sequence[RunReport], now: datetime) -> None:
    """Send gauges and spans of these reports of steps. Raises OtlpError."""
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics.export import MetricExportResult
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError:
        raise OtlpError("is not installed: pip install 'kpi-platform[otlp]'") from None
    # Whatever is said of a failure, they are not.
    secret(_HEADERS)
    metrics = OTLPMetricExporter(timeout=_SECONDS)
    is_told = metrics.export(metrics_of(reports, now)) is MetricExportResult.SUCCESS
    metrics.shutdown()
    spans = OTLPSpanExporter(timeout=_SECONDS)
    is_traced = spans.export([span_of(report) for report in reports]) is SpanExportResult.SUCCESS
    spans.shutdown()  # type: ignore[no-untyped-call]
    if not (is_told and is_traced):
        lost = " and ".join([*([] if is_told else ["metrics"]), *([] if is_traced else ["spans"])])
        raise OtlpError(f"{lost} were not taken; OTEL_EXPORTER_OTLP_ENDPOINT says by whom")


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
    gauges = [
        Metric(
            f"{PREFIX}{metric.name}",
            metric.words,
            _UNITS[metric.unit],
            Gauge(
                [
                    NumberDataPoint({"asset": report.asset}, 0, at, values_of(report)[metric])
                    for report in reports
                ]
            ),
        )
        for metric in METRICS
    ]
    scope = ScopeMetrics(InstrumentationScope("kpi_platform"), gauges, "")
    return MetricsData([ResourceMetrics(_resource(), [scope], "")])


def span_of(report: RunReport) -> "ReadableSpan":
    """A step as a span of its run's trace; red if hours failed in it."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

    name = f"{report.run_id} {report.step} {report.started_at.isoformat()}"
    span = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    sampled = TraceFlags(TraceFlags.SAMPLED)
    context = SpanContext(int(trace_id(report.run_id), 16), span, False, sampled)
    hours = {"first_hour": report.first_hour, "last_hour": report.last_hour}
    failed = f"{report.failed_hours} hours failed" if report.failed_hours else ""
    return ReadableSpan(
        report.step,
        context,
        resource=_resource(),
        attributes={
            "dagster.run.id": report.run_id,
            **{name: hour.isoformat() for name, hour in hours.items() if hour},
            **report.figures(),
        },
        status=Status(StatusCode.ERROR, failed) if failed else Status(StatusCode.OK),
        start_time=_nanoseconds(report.started_at),
        end_time=_nanoseconds(report.started_at + timedelta(seconds=report.seconds)),
        instrumentation_scope=InstrumentationScope("kpi_platform"),
    )


def _resource() -> "Resource":
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    return Resource({"service.name": "kpi_platform"}).merge(OTELResourceDetector().detect())


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000
