"""Which days are to be told of at an instant, and whether a day is complete for all that is shown.

Belongs here: the rules, purely. Does not: the figures, and reading anything.
"""

from datetime import UTC, date, datetime, time, timedelta

from kpi_platform.published.pages.report_figures import ReportFigures

_DAY = timedelta(days=1)
# After a long silence no older days are told: who wants them reads the dashboard.
_MOST_DAYS = 7


def days_to_tell(last: date | None, first: date, at: datetime) -> list[date]:
    """The days that are over at `at` and not yet told, in order. `last`: the newest that was told;
    without any, yesterday is the first. `first`: there are none before."""
    yesterday = (at - _DAY).date()
    start = max(yesterday if last is None else last + _DAY, first, yesterday - 6 * _DAY)
    return [start + n * _DAY for n in range(min((yesterday - start).days + 1, _MOST_DAYS))]


def deadline(day: date, hour: int) -> datetime:
    """When a report of the day leaves, complete or not: `hour` (UTC) of the day after."""
    return datetime.combine(day + _DAY, time(hour), UTC)


def is_whole(figures: ReportFigures) -> bool:
    """Whether nothing that is told of the day may change by hours that are waited for.

    A day without any figure of the whole is not complete: it is not published yet.
    """
    shown = [*figures.portfolio, *(each for line in figures.studios for each in line.figures)]
    has_any = any(figure.value is not None for figure in figures.portfolio)
    return has_any and all(figure.is_complete for figure in shown)
