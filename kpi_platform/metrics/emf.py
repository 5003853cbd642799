"""A report as a line in CloudWatch's embedded metric format (EMF), which CloudWatch Logs reads.

Belongs here: the line, pure. Does not: writing it.

The metric's time is when it was made, and its one dimension the asset: a backfilled hour is a
property, as a dimension would make a metric of its own, and be paid for, for each hour.
"""

import json
from datetime import datetime

from kpi_platform.engine.run_report import RunReport
from kpi_platform.metrics.metric_names import NAMESPACE, values_of


def emf_line(report: RunReport, now: datetime) -> str:
    """One JSON object without a line end."""
    told = values_of(report)
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["asset"]],
        "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in told],
    }
    values = {metric.name: value for metric, value in told.items()}
    return json.dumps(
        {
            "_aws": {
                "Timestamp": round(now.timestamp() * 1000),
                "CloudWatchMetrics": [directive],
            },
            "asset": report.asset,
            "step": report.step,
            "run_id": report.run_id,
            "first_hour": report.first_hour and report.first_hour.isoformat(),
            "last_hour": report.last_hour and report.last_hour.isoformat(),
            **values,
        }
    )
