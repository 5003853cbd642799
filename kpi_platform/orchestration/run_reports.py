"""Tells what a step of a run did to everybody at once: ledger, log, metrics.

Belongs here: that each of them gets the same report. Does not: the numbers
(`engine/run_report.py`), and Dagster's own metadata (`recording.py`).
"""

from collections.abc import Sequence

import dagster as dg

from kpi_platform.engine.books.run_ledger import write_reports
from kpi_platform.engine.books.waiting_reports import keep_reports
from kpi_platform.engine.hour_steps import FAILURES, error_line
from kpi_platform.engine.run_report import RunReport
from kpi_platform.metrics.outlets import tell
from kpi_platform.settings import Settings, load_settings
from kpi_platform.storage.lake.lake import Lake


def tell_reports(context: dg.AssetExecutionContext, reports: Sequence[RunReport]) -> None:
    """Write the reports down, for `run_ledger` to have them when the run is over; of whole steps,
    say them in the log and send the metrics.

    What cannot be written or sent is a warning: the run's own work is done.
    """
    # By steps: CloudWatch is paid by the metric, and there are dozens of models.
    whole = [each for each in reports if each.asset == each.step]
    for report in whole:
        figures = ", ".join(f"{name}={value}" for name, value in report.figures().items())
        context.log.info(f"{report.step}: {figures}")
    settings = load_settings()
    try:
        _write_down(settings, reports)
    except FAILURES as error:
        context.log.warning(f"run_ledger lacks this step: {error_line(error)}")
    for line in tell(settings, whole):
        context.log.warning(line)


def _write_down(settings: Settings, reports: Sequence[RunReport]) -> None:
    try:
        keep_reports(settings.home, reports)
    except OSError:
        # A home that is full or another user's: they do not wait then.
        write_reports(Lake(settings.lake), reports)
