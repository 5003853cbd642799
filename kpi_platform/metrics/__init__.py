"""The figures of a run where people look: CloudWatch, OpenTelemetry, Prometheus, the log.

Belongs here: how each of them writes a report of a run (`engine/run_report.py`). Does not: any
number of its own. `metric_names.py` documents every metric; `docs/metrics.md` shows them.
"""
