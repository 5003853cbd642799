"""Every metric by name, its unit and what it means: one list for every outlet.

Belongs here: names. A metric is called as its column of `run_ledger`. Does not: values.
"""

from dataclasses import dataclass
from typing import Literal

from kpi_platform.engine.run_report import Figure, RunReport

NAMESPACE = "KpiPlatform"
Unit = Literal["Seconds", "Megabytes", "Bytes", "Count"]


@dataclass(frozen=True)
class Metric:
    """A metric: `unit` is CloudWatch's word, `words` a sentence."""

    name: str
    unit: Unit
    words: str


METRICS = (
    Metric("seconds", "Seconds", "Time by the clock that the step took."),
    Metric("cpu_seconds", "Seconds", "Processor time of the step, that of dbt included."),
    Metric(
        "arrival_seconds",
        "Seconds",
        "From a file's arrival to the published figures, the longest of the hours; of the step"
        " `publications` alone.",
    ),
    Metric("peak_memory_mib", "Megabytes", "Peak memory of the run's process so far, in MiB."),
    Metric("hours", "Count", "Hours that are up to date after the step."),
    Metric("unchanged_hours", "Count", "Those of them that had not changed, and cost a look."),
    Metric("failed_hours", "Count", "Hours that failed and were left out."),
    Metric("files", "Count", "Files that arrived in these hours, over all sources."),
    Metric("bytes", "Bytes", "Their size."),
    Metric("lines", "Count", "Lines in them, and rows of warehouses captured in these hours."),
    Metric("rows", "Count", "Rows that the asset has of these hours."),
    Metric("quarantined", "Count", "Lines that could not be used."),
    Metric("duplicates", "Count", "Copies of events."),
    Metric("left_out", "Count", "Rows marked as deleted, or of no event."),
    Metric("suppressed", "Count", "Lines of erased players: none yet."),
    Metric("sealed", "Count", "Lines of sealed days."),
)


def values_of(report: RunReport) -> dict[Metric, Figure]:
    """The value of every metric that a report has."""
    figures = report.figures()
    return {metric: figures[metric.name] for metric in METRICS if metric.name in figures}
