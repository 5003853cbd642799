"""Which ingest hours have not arrived, and for which figures (semantics, section 6).

Belongs here: the rule, as a pure function of books that stay small. Does not: keeping the books,
and what a period is.

All times are UTC without a zone, as in the KPI database.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kpi_platform.schemas.hours.hour_ranges import (
    HOUR,
    Range,
    differing,
    intersected,
    merged,
    subtracted,
)

# Later than any hour: what is waited for without an end.
EVER = datetime(9999, 12, 31)  # noqa: DTZ001


@dataclass(frozen=True)
class SourceBook:
    """A source and how far its hours have arrived.

    `is_named`: the configuration knows it; a folder that no source names is not waited for.
    `is_running`: its writers go on while an hour lasts, so a file does not say that it is whole.
    `first_hour`, `newest_hour`: the first and the newest hour that had a file or a captured row;
    `closed_hour`: the newest hour of a running source with its writer's `_SUCCESS`. `not_read`: the
    hours, as ranges, that ran without this source: it could not be read, is yet to be decoded, or
    has files there that no run has read.
    """

    source: str
    studio: str
    game: str
    kind: str
    since: datetime | None = None
    until: datetime | None = None
    is_named: bool = True
    is_running: bool = False
    first_hour: datetime | None = None
    newest_hour: datetime | None = None
    closed_hour: datetime | None = None
    not_read: tuple[Range, ...] = ()

    @property
    def starts_at(self) -> datetime | None:
        """The first hour in which it is active; None before its first data, without `since`."""
        return self.first_hour if self.since is None else _hour_from(self.since)

    @property
    def ends_at(self) -> datetime:
        """The end of the last hour in which it is active."""
        return EVER if self.until is None else _hour_from(self.until)

    @property
    def arrived_until(self) -> datetime | None:
        """The end of the last hour that has arrived by what the source itself delivered."""
        ends = [] if self.closed_hour is None else [self.closed_hour + HOUR]
        if self.newest_hour is not None:
            ends.append(self.newest_hour + (0 if self.is_running else 1) * HOUR)
        return max(ends, default=None)


@dataclass(frozen=True)
class Wait:
    """Hours from `first_hour` to `end_hour` that the figures of a grain wait for.

    `studio` and `game` are None in totals over all of them; `kind` is what delivers.
    """

    studio: str | None
    game: str | None
    kind: str
    first_hour: datetime
    end_hour: datetime


def waits(start: datetime, runs: Sequence[Range], sources: Sequence[SourceBook]) -> list[Wait]:
    """What each game, studio and the whole portfolio wait for, in order.

    `start`: the first partition; nothing before it is an ingest hour. `runs`: the hours that were
    processed. A period is complete if it is over (the newest hour that ran ends no earlier) and
    meets no wait of its grain.
    """
    ran_until = max((end for _, end in runs), default=start)
    gaps = subtracted([(start, ran_until)], runs)
    any_named = any(book.is_named for book in sources)
    found = set()
    for book in sources:
        active = (max(start, _hour_from(book.since or start)), book.ends_at)
        never_ran = intersected(gaps, *active)
        not_arrived = [*intersected(book.not_read, *active), *awaited_hours(book, start, ran_until)]
        # The whole waits for what never ran by those whom it knows; without any, by everybody.
        found |= set(_of_grains(book, never_ran, in_total=book.is_named or not any_named))
        found |= set(_of_grains(book, not_arrived, in_total=True))
    return sorted(found, key=order_of_waits)


def awaited_hours(book: SourceBook, start: datetime, ran_until: datetime) -> list[Range]:
    """The hours of an active source that no later file of it, and no end, has vouched for."""
    begins = book.starts_at
    if not book.is_named or begins is None or ran_until > book.ends_at:
        return []
    first = max(start, begins, book.arrived_until or begins)
    return [(first, book.ends_at)] if first < book.ends_at else []


def _of_grains(book: SourceBook, hours: Sequence[Range], *, in_total: bool) -> Iterator[Wait]:
    grains: list[tuple[str | None, str | None]] = [(book.studio, book.game), (book.studio, None)]
    if in_total:
        grains.append((None, None))
    for studio, game in grains:
        for first, end in hours:
            yield Wait(studio, game, book.kind, first, end)


def _hour_from(at: datetime) -> datetime:
    """The first hour that starts at `at` or later."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if hour == at else hour + HOUR


def order_of_waits(wait: Wait) -> tuple[str, str, str, datetime, datetime]:
    """A key that sorts waits, totals first."""
    return (wait.studio or "", wait.game or "", wait.kind, wait.first_hour, wait.end_hour)


def turned_hours(
    old: Sequence[Wait], new: Sequence[Wait], ran_until: datetime | None
) -> list[Range]:
    """The hours, until the newest that ran has ended, that a grain newly or no longer awaits."""
    if ran_until is None:
        return []
    before, after = _by_grain(old), _by_grain(new)
    turned = [
        each
        for grain in {*before, *after}
        for each in differing(before.get(grain, []), after.get(grain, []))
    ]
    return merged((first, min(end, ran_until)) for first, end in turned)


def _by_grain(waiting: Sequence[Wait]) -> dict[tuple[str | None, str | None, str], list[Range]]:
    found: dict[tuple[str | None, str | None, str], list[Range]] = defaultdict(list)
    for wait in waiting:
        found[wait.studio, wait.game, wait.kind].append((wait.first_hour, wait.end_hour))
    return {grain: merged(ranges) for grain, ranges in found.items()}
