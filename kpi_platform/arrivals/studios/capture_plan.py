"""Which windows of which tables a run reads: its own hours, the last ones again, and what failed.

Belongs here: the plan. Does not: reading.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kpi_platform.arrivals.studios.captured_rows import CapturedTable
from kpi_platform.orchestration.partitions import HOUR, fold_ranges
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.sources_file.source_tables import ConsoleFeed, StreamFeed, TableMapping
from kpi_platform.schemas.sources_file.sources import Source, Sources, Studio

Range = tuple[datetime | None, datetime]


@dataclass(frozen=True)
class CapturedSource:
    """A source in a studio's warehouse and its tables; `first_hour` takes what is older."""

    studio: Studio
    source: Source
    tables: tuple[CapturedTable, ...]
    first_hour: datetime

    @property
    def key(self) -> str:
        """The source's key."""
        return self.source.key

    def ranges(
        self,
        own: Sequence[datetime],
        captured: Collection[datetime],
        failed: Collection[datetime],
    ) -> list[Range]:
        """The windows to read for the `own` hours: those, hours that failed before, and of the
        last ones (three, or `reread_hours`) those that were `captured`. Only a run of the first
        hour, or one that mends it, takes what is older."""
        wanted = {hour for hour in own if self.source.active_in(hour)}
        if not wanted:
            return []
        whole = wanted | set(failed)
        again = self.reread(wanted)
        hours = whole | {h for h in again if h in captured and self.source.active_in(h)}
        return [
            (None if first == self.first_hour and first in whole else first, last + HOUR)
            for first, last in fold_ranges([hour for hour in hours if hour >= self.first_hour])
        ]

    def reread(self, own: Iterable[datetime]) -> set[datetime]:
        """The hours before each of the `own` that its run looks at again."""
        backs = range(1, self.source.reread_hours + 1)
        return {hour - back * HOUR for hour in own for back in backs}

    def identity(self) -> str:
        """What decides about the rows that are captured."""
        parts = (
            f"{t.schema} {t.table} {t.mapping.key} {t.mapping.watermark!r} {sorted(t.ignored)}"
            for t in self.tables
        )
        return fingerprint(self.key, str(self.first_hour), *parts)


def captured_sources(sources: Sources, start_hour: datetime) -> list[CapturedSource]:
    """Every source that is read from a warehouse, with its tables."""
    captured = []
    for studio, of_studio in sources.warehouses():
        for _, source in of_studio:
            since = source.since or start_hour
            first = max(start_hour, since.replace(minute=0, second=0, microsecond=0))
            if first < since:
                first += timedelta(hours=1)
            tables = tuple(_tables(source, first))
            if tables:
                captured.append(CapturedSource(studio, source, tables, first))
    return captured


def _tables(source: Source, first: datetime) -> list[CapturedTable]:
    feed = source.feed
    if feed is not None and feed.table is not None and feed.schema_ is not None:
        return [_table(source.key, feed.schema_, feed.table, feed, first)]
    schema = source.schema_
    if schema is None:
        return []
    return [_table(source.key, schema, m.table, m, first) for m in source.tables]


def _table(
    source: str,
    schema: str,
    table: str,
    mapping: TableMapping | ConsoleFeed | StreamFeed,
    first: datetime,
) -> CapturedTable:
    captured = mapping if isinstance(mapping, TableMapping) else mapping.as_captured()
    ignored = () if isinstance(mapping, StreamFeed) else mapping.ignore
    needed = frozenset[str]().union(*mapping.columns_by_use().values(), captured.key)
    if captured.watermark is not None:
        needed |= {captured.watermark.column}
    return CapturedTable(source, schema, table, captured, ignored, needed, first)
