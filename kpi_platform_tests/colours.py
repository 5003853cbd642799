"""Works steps through hours as Dagster's assets do, and fails where one of them would be red.

Belongs here: which checks follow which step, and that none that blocks fails. Does not: which
hours are run, and what the tables should hold.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain

from kpi_platform.arrivals.checks import check_console, check_raw, check_stream, check_studios
from kpi_platform.cleaned.checks import check_events, check_sessions
from kpi_platform.engine.checked_hours import work_and_check
from kpi_platform.engine.hour_steps import HourReport, HourStep
from kpi_platform.history.checks import check_history
from kpi_platform.schemas.hours.hour_checks import HourCheck
from kpi_platform.storage.lake.lake import Lake

Checks = Mapping[str, Callable[[Lake, Sequence[datetime]], Sequence[HourCheck]]]
# Of the tables that are folded over all hours; `cleaned_events` may come from anywhere.
FOLDED: Checks = {"sessions": check_sessions, "user_version_history": check_history}
EVERY: Checks = {
    **FOLDED,
    "raw_telemetry": check_raw,
    "raw_console_feed": check_console,
    "raw_stream_feed": check_stream,
    "raw_studio_events": check_studios,
    "cleaned_events": lambda lake, hours: check_events(lake, hours, 1.0),
}


def worked(
    lake: Lake,
    step: HourStep,
    hours: Sequence[datetime],
    chunk_limit: int = 1_000_000,
    checks: Checks = EVERY,
) -> list[HourReport]:
    """Work a step through the hours; one report per hour.

    Fails if a check does: whatever else becomes of hours, and whichever way they come, what is up
    to date is right.
    """

    def evaluate(some: Sequence[datetime]) -> Sequence[HourCheck]:
        return checks[step.table](lake, some) if step.table in checks else []

    parts = list(work_and_check(lake, step, evaluate, hours, chunk_limit))
    reports = list(chain.from_iterable(part.reports for part in parts))
    unworked = {report.hour for report in reports if not report.is_up_to_date}
    wrong = {h: reason for part in parts for h, reason in part.failed.items() if h not in unworked}
    assert not wrong, f"{step.table} is red: {wrong}"
    return reports
