"""Reports to CloudWatch by `PutMetricData`, through boto3.

Belongs here: the requests. Does not: credentials, which boto3 finds as always.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from kpi_platform.engine.run_report import RunReport
from kpi_platform.metrics.metric_names import NAMESPACE, values_of

# What CloudWatch takes in one request.
_MOST_METRICS = 1000


def metric_data(reports: Sequence[RunReport], now: datetime) -> list[dict[str, Any]]:
    """Every metric of every report, at `now`, with the asset as its one dimension."""
    return [
        {
            "MetricName": metric.name,
            "Dimensions": [{"Name": "asset", "Value": report.asset}],
            "Timestamp": now,
            "Value": float(value),
            "Unit": metric.unit,
        }
        for report in reports
        for metric, value in values_of(report).items()
    ]


def put_metrics(reports: Sequence[RunReport], now: datetime, client: Any = None) -> None:  # noqa: ANN401 (boto3 makes its classes when it runs)
    """Send them, in as few requests as CloudWatch takes. Raises what boto3 raises."""
    cloudwatch = client or _client()
    for batch in _batches(metric_data(reports, now)):
        cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=batch)


def _client() -> Any:  # noqa: ANN401 (boto3 makes its classes when it runs)
    # Loaded when it is used: runs that tell CloudWatch nothing are most.
    import boto3
    from botocore.config import Config

    # A run must not wait for its metrics: nothing is lost that `run_ledger` does not have.
    patience = Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 2})
    return boto3.Session().client("cloudwatch", config=patience)


def _batches(data: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for first in range(0, len(data), _MOST_METRICS):
        yield data[first : first + _MOST_METRICS]
