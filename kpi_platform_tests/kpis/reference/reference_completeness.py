"""The slow, obvious reference of completeness: hour by hour and source by source (semantics, 6).

Belongs here: the sentences of the meaning, one by one, over sets of hours. Does not: any code of
the engine, ranges, or anything clever.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Known:
    """A source as configured, and what is there of it.

    `data`: hours that ran and had a file or a row of it. `closed`: hours with a `_SUCCESS`.
    `not_read`: hours that ran without it. A folder that no source names is not `is_named`.
    """

    studio: str
    game: str
    since: datetime | None = None
    until: datetime | None = None
    is_running: bool = False
    is_named: bool = True
    data: Set[datetime] = frozenset()
    closed: Set[datetime] = frozenset()
    not_read: Set[datetime] = frozenset()

    def may_be_active(self, hour: datetime) -> bool:
        """Whether nothing says that it is not active in the hour."""
        return (self.since is None or self.since <= hour) and (
            self.until is None or hour < self.until
        )

    def is_active(self, hour: datetime) -> bool:
        """Whether it is active: without `since` from its first hour with data."""
        begun = self.since is not None or any(known <= hour for known in self.data)
        return begun and self.may_be_active(hour)


@dataclass(frozen=True)
class Arrivals:
    """The first partition, the hours that ran, and the sources by key."""

    start: datetime
    ran: Set[datetime]
    sources: Mapping[str, Known] = field(default_factory=dict)

    def has_arrived(self, source: Known, hour: datetime) -> bool:
        """Whether a source's hour, which ran, has arrived."""
        if hour in source.not_read:
            return False
        if any(later >= hour for later in source.closed) or any(h > hour for h in source.data):
            return True
        if hour in source.data and not source.is_running:
            return True
        return source.until is not None and any(ran >= source.until for ran in self.ran)

    def waits(self, studio: str | None, game: str | None, hour: datetime) -> bool:
        """Whether figures of a studio and game (None: all of them) wait for the hour."""
        if hour < self.start:
            return False
        of_grain = [
            source
            for source in self.sources.values()
            if studio in {None, source.studio} and game in {None, source.game}
        ]
        if hour not in self.ran:
            named = [source for source in self.sources.values() if source.is_named]
            asked = of_grain
            if studio is None and named:
                asked = named
            return any(source.may_be_active(hour) for source in asked)
        return any(
            (source.is_named and source.is_active(hour) and not self.has_arrived(source, hour))
            or (source.may_be_active(hour) and hour in source.not_read)
            for source in of_grain
        )

    def is_complete(
        self, studio: str | None, game: str | None, start: datetime, end: datetime
    ) -> bool:
        """Whether the period is over and no ingest hour of it is waited for."""
        if not self.ran or max(self.ran) + HOUR < end:
            return False
        hour = start
        while hour < end:
            if self.waits(studio, game, hour):
                return False
            hour += HOUR
        return True
