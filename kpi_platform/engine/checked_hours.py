"""Works a table through hours and says of each whether it is right: the truth behind green and red.

Belongs here: when hours are checked, and which of them fail for it. Does not: what a check looks
at, and telling Dagster.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kpi_platform.engine.books.hour_fingerprints import forget_consumed, read_consumed
from kpi_platform.engine.hour_steps import (
    FAILURES,
    HourReport,
    HourStep,
    error_line,
    work_through,
)
from kpi_platform.schemas.hours.hour_checks import HourCheck
from kpi_platform.storage.lake.lake import Lake

Evaluate = Callable[[Sequence[datetime]], Sequence[HourCheck]]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class CheckedHours:
    """What became of some hours of a table: a report of each, their checks, and per hour that
    failed, by its work or by a check that blocks, the reason."""

    reports: Sequence[HourReport]
    checks: Sequence[HourCheck]
    failed: Mapping[datetime, str]


def work_and_check(
    lake: Lake,
    step: HourStep,
    evaluate: Evaluate,
    hours: Sequence[datetime],
    chunk_limit: int,
    progress: Progress = lambda hours_done: None,
) -> Iterator[CheckedHours]:
    """Bring a table up to date for `hours`, as `work_through` does, and check them.

    Where an hour's work may change what a check says of another (`hours_stand_alone` is false),
    nothing is checked before all the work is done; elsewhere each chunk is, as soon as it is done.
    An hour whose check fails and blocks is failed and forgotten, so that the next run repeats it.
    """
    worked = []
    for reports in work_through(lake, step, hours, chunk_limit):
        progress(len(reports))
        if step.hours_stand_alone:
            yield _checked(lake, step, evaluate, reports)
        else:
            worked.append(reports)
    for reports in worked:
        yield _checked(lake, step, evaluate, reports)


def _checked(
    lake: Lake, step: HourStep, evaluate: Evaluate, reports: Sequence[HourReport]
) -> CheckedHours:
    up_to_date = [report.hour for report in reports if report.is_up_to_date]
    checks, broken = _evaluated(evaluate, up_to_date)
    blocked = broken | _blocked(checks)
    taken = _taken_on_elsewhere(lake, step, blocked)
    blocked = {hour: reason for hour, reason in blocked.items() if hour not in taken}
    for hour, reason in blocked.items():
        step.fail(hour, reason)
    forget_consumed(lake, step.table, list(blocked))
    unworked = {report.hour: report.error for report in reports if not report.is_up_to_date}
    judged = [check for check in checks if check.hour not in taken]
    return CheckedHours(reports, judged, blocked | unworked)


def _taken_on_elsewhere(lake: Lake, step: HourStep, hours: Collection[datetime]) -> set[datetime]:
    """Those of these hours that another run is working on again: what they hold is its to judge.

    A run forgets an hour's fingerprint before it changes what the hour is made of.
    """
    return set(hours) - set(read_consumed(lake, step.table, hours)) if hours else set()


def _evaluated(
    evaluate: Evaluate, hours: Sequence[datetime]
) -> tuple[list[HourCheck], dict[datetime, str]]:
    """The checks of these hours, and the hours whose rows cannot even be read, with the reason."""
    try:
        return list(evaluate(hours)), {}
    except FAILURES as error:
        if len(hours) == 1:
            return [], {hours[0]: f"cannot be checked: {error_line(error)}"}
    checks: list[HourCheck] = []
    broken: dict[datetime, str] = {}
    for hour in hours:
        evaluated, unread = _evaluated(evaluate, [hour])
        checks += evaluated
        broken |= unread
    return checks, broken


def _blocked(checks: Sequence[HourCheck]) -> dict[datetime, str]:
    return {
        check.hour: f"check {check.spec.name} failed: {dict(check.figures)}"
        for check in checks
        if not check.passed and not check.spec.is_warning
    }
