"""Tells a run's reports to whoever KPI_METRICS names.

Belongs here: which outlet there is for which word, and keeping its failures from the run. Does not:
how each writes.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from kpi_platform.engine.run_report import RunReport
from kpi_platform.metrics.cloudwatch import put_metrics
from kpi_platform.metrics.emf import emf_line
from kpi_platform.metrics.otlp import EndedRun, send_otlp, send_run
from kpi_platform.metrics.prometheus import write_prometheus
from kpi_platform.schemas.texts.hidden_secrets import hide_secrets
from kpi_platform.settings import Settings

Outlet = Callable[[Settings, Sequence[RunReport]], None]


def _emf(_: Settings, reports: Sequence[RunReport]) -> None:
    # CloudWatch reads a line that is the object and nothing else: no logger puts a time before it.
    for report in reports:
        sys.stdout.write(f"{emf_line(report, datetime.now(UTC))}\n")
    sys.stdout.flush()


TRACES = "otlp"
OUTLETS: dict[str, Outlet] = {
    "emf": _emf,
    "cloudwatch": lambda _, reports: put_metrics(reports, datetime.now(UTC)),
    TRACES: lambda _, reports: send_otlp(reports, datetime.now(UTC)),
    "prometheus": lambda settings, reports: write_prometheus(settings.home, reports),
}


def tell(settings: Settings, reports: Sequence[RunReport]) -> list[str]:
    """Tell every outlet that KPI_METRICS names; returns a line for each that failed.

    Metrics are about a run: whatever becomes of them, the run goes on.
    """
    failures = [
        _failure(name, partial(OUTLETS[name], settings, reports)) for name in settings.metrics
    ]
    return [line for line in failures if line]


def has_traces(settings: Settings) -> bool:
    """Whether anybody wants to know of a run as a whole, and when it ends."""
    return TRACES in settings.metrics


def tell_end(run: EndedRun) -> str:
    """Tell whoever keeps traces that a run has ended; returns a line if it failed."""
    return _failure(TRACES, partial(send_run, run))


def _failure(name: str, tell_it: Callable[[], None]) -> str:
    try:
        tell_it()
    except Exception as error:  # noqa: BLE001 - any outlet, any library
        line = (str(error).splitlines() or [""])[0]
        return hide_secrets(f"KPI_METRICS: {name}: {type(error).__name__}: {line}")
    return ""
