"""Reports as a text file for Prometheus' node exporter (its textfile collector).

Belongs here: the text, pure, and putting it in place. Does not: which reports there are.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kpi_platform.engine.run_report import RunReport
from kpi_platform.metrics.metric_names import METRICS, values_of

_PREFIX = "kpi_run"
FOLDER = "metrics"


def prometheus_text(reports: Sequence[RunReport]) -> str:
    """Gauges of the last run of each asset, with the labels `step` and `asset`, and when it was."""
    return "".join(f"{line}\n" for line in _lines(reports))


def _lines(reports: Sequence[RunReport]) -> Iterator[str]:
    values_by_report = [(report, values_of(report)) for report in reports]
    for metric in METRICS:
        if not any(metric in values for _, values in values_by_report):
            continue
        yield f"# HELP {_PREFIX}_{metric.name} {metric.words}"
        yield f"# TYPE {_PREFIX}_{metric.name} gauge"
        for report, values in values_by_report:
            if metric in values:
                yield f"{_PREFIX}_{metric.name}{_labels(report)} {values[metric]}"
    yield f"# HELP {_PREFIX}_started_at_seconds When the step began, in seconds since 1970."
    yield f"# TYPE {_PREFIX}_started_at_seconds gauge"
    for report in reports:
        at = report.started_at.timestamp()
        yield f"{_PREFIX}_started_at_seconds{_labels(report)} {at}"


def _labels(report: RunReport) -> str:
    return f'{{step="{_escaped(report.step)}",asset="{_escaped(report.asset)}"}}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write_prometheus(home: Path, reports: Sequence[RunReport]) -> None:
    """Replace the file of the reports' step, `<home>/metrics/<step>.prom`, at once."""
    if not reports:
        return
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{reports[0].step}.prom"
    # Another ending: the collector must not read what is half written.
    unfinished = place.with_suffix(".unfinished")
    unfinished.write_text(prometheus_text(reports), encoding="utf-8")
    unfinished.replace(place)
