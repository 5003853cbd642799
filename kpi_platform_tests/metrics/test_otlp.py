"""A receiver decodes what is sent by OpenTelemetry's protocol: figures of reports, and a trace."""

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from kpi_platform.engine.run_report import RunReport
from kpi_platform.metrics.metric_names import METRICS
from kpi_platform.metrics.otlp import PREFIX, OtlpError, send_otlp
from kpi_platform.metrics.outlets import tell
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.schemas.texts.log_lines import trace_id
from kpi_platform.settings import Settings
from kpi_platform_tests.delivery.loopback import any_server
from kpi_platform_tests.metrics.test_outlets import NOW, REPORT

RUN = "0a4cc352-24a2-4e3a-bb0b-4a8f6a9cdf52"
STEPS = [
    RunReport(**{**vars(REPORT), "run_id": RUN, "failed_hours": 0}),
    RunReport(**{**vars(REPORT), "run_id": RUN, "step": "kpis", "asset": "kpis"}),
]


def test_what_is_received_are_the_reports_figures_and_a_trace_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with any_server() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        for step in STEPS:
            send_otlp([step], NOW)
    paths = [path for path, _ in server.requests]
    assert paths == ["/v1/metrics", "/v1/traces"] * 2
    (resource,) = ExportMetricsServiceRequest.FromString(server.requests[0][1]).resource_metrics
    assert resource.resource.attributes[0].value.string_value == "kpi_platform"
    gauges = resource.scope_metrics[0].metrics
    points = {gauge.name.removeprefix(PREFIX): gauge.gauge.data_points[0] for gauge in gauges}
    assert {n: p.as_double or p.as_int for n, p in points.items()} == STEPS[0].figures()
    assert {gauge.description for gauge in gauges} == {metric.words for metric in METRICS}
    assert {p.time_unix_nano for p in points.values()} == {round(NOW.timestamp()) * 10**9}
    assert {p.attributes[0].value.string_value for p in points.values()} == {"sessions"}
    spans = [
        ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0]
        for path, body in server.requests
        if path == "/v1/traces"
    ]
    assert [span.name for span in spans] == ["sessions", "kpis"]
    assert {span.trace_id.hex() for span in spans} == {trace_id(RUN)}
    assert len({span.span_id for span in spans}) == 2
    # Green, and red as hours failed.
    assert [span.status.code for span in spans] == [1, 2]
    for span, step in zip(spans, STEPS, strict=True):
        took = timedelta(microseconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1000)
        assert took == timedelta(seconds=step.seconds)
        said = {a.key: a.value for a in span.attributes}
        assert said["dagster.run.id"].string_value == RUN
        assert said["lines"].int_value == step.lines


def test_a_run_is_one_span_above_those_of_its_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @dg.asset
    def red(platform: PlatformResource) -> None:
        raise RuntimeError("red")

    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_METRICS", "otlp")
    with any_server() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        run = dg.materialize(
            [red], resources={"platform": PlatformResource()}, raise_on_error=False
        )
        send_otlp([replace(STEPS[0], run_id=run.run_id)], NOW)
    (root, step) = [
        ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0]
        for path, body in server.requests
        if path == "/v1/traces"
    ]
    assert root.trace_id == step.trace_id == bytes.fromhex(trace_id(run.run_id))
    assert (root.parent_span_id, step.parent_span_id) == (b"", root.span_id)
    assert root.start_time_unix_nano < root.end_time_unix_nano
    assert (root.status.code, root.status.message) == (2, "1 steps failed")


def test_a_receiver_that_refuses_is_a_line_of_the_log_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=planted-secret")
    with any_server((400, "planted-secret"), (200, "")) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        said = tell(Settings(metrics=("otlp",)), STEPS)
    (line,) = said
    assert line.startswith("KPI_METRICS: otlp: OtlpError: metrics were not taken;")
    assert "planted" not in line


def test_packages_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)
    with pytest.raises(OtlpError, match=r"kpi-platform\[otlp\]"):
        send_otlp(STEPS, NOW)
