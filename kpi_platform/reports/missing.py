"""What a day's figures wait for, in one line.

Belongs here: the words, from the books of hours and sources. Does not: reading the books.

Times are UTC without a zone, as in the books.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from kpi_platform.published.pages.report_figures import Figure, ReportFigures
from kpi_platform.schemas.hours.completeness import SourceBook, awaited_hours
from kpi_platform.schemas.hours.hour_ranges import Range, intersected, subtracted

_MOST_SOURCES = 8


def missing_of(
    day: date,
    start: datetime,
    runs: Sequence[Range],
    books: Sequence[SourceBook],
    studio: str,
    figures: ReportFigures,
) -> str:
    """Why the day is not complete. `start`: the first ingest hour there can be; `runs`: those that
    were processed; `studio`: whose sources alone are waited for, or `all`."""
    first = datetime.combine(day, time())
    span = (max(first, start), first + timedelta(days=1))
    never = subtracted([span], runs)
    said = [f"hours {_hours(never)} have not been processed"] if never else []
    ran_until = runs[-1][1] if runs else first
    late = []
    for book in sorted(books, key=lambda each: each.source):
        if studio in ("all", book.studio):
            not_arrived = [*book.not_read, *awaited_hours(book, start, ran_until)]
            lacking = subtracted(intersected(not_arrived, *span), never)
            if lacking:
                late.append(f"{book.source} {_hours(lacking)}")
    if late:
        more = len(late) - _MOST_SOURCES
        named = ", ".join(late[:_MOST_SOURCES])
        said.append(f"nothing has come from {named}{f' and {more} more' if more > 0 else ''}")
    if not any(figure.value is not None for figure in figures.portfolio):
        said.append("no figure of the day is published")
    elif not said:
        waiting = [f.kpi.label for f in figures.portfolio if not f.is_complete]
        waiting += [each.name for each in figures.studios if not _is_complete(each.figures)]
        named = ", ".join(dict.fromkeys(waiting))
        said.append(f"provisional, as earlier days or a run are waited for: {named}")
    return f"{'; '.join(said)} (UTC)." if never or late else f"{'; '.join(said)}."


def _is_complete(figures: Sequence[Figure]) -> bool:
    return all(figure.is_complete for figure in figures)


def _hours(ranges: Sequence[Range]) -> str:
    """Ranges within a day, as clock times; its end is 24:00."""
    return " and ".join(f"{a:%H}:00-{f'{b:%H}' if b.hour else '24'}:00" for a, b in ranges)
