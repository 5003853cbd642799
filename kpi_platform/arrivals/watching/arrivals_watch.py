"""Which ingest hours have other files than were asked for or read: what the arrival sensor knows.

Belongs here: fingerprints of hours' files, the sensor's memory, and what follows from both. Does
not: listing files, the clock, and how Dagster is asked for runs.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl

from kpi_platform.arrivals.closed_hours import CLOSED_MARK, closed_sources
from kpi_platform.engine.books.file_ledger import CURRENT, REFUSED
from kpi_platform.orchestration.partitions import HOUR, fold_ranges, hour_of, key_of, range_name
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.sources_file.sources import Kind, Sources
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.landing.landing import LandingFile

NO_FILES = ""
TELEMETRY: tuple[Kind, ...] = ("telemetry",)


@dataclass(frozen=True)
class Memory:
    """What the sensor remembers from tick to tick; only hours of the look-back window.

    `hours`: fingerprint of the files last asked for or found read, hours without files absent.
    `requests`: how often anything was requested, so that files which return to an earlier state
    get a run key of their own. `next_day`: where a tick that ran out of time stopped.
    """

    hours: Mapping[datetime, str] = field(default_factory=dict)
    requests: int = 0
    next_day: str = ""

    def to_cursor(self) -> str:
        """The memory as JSON, for Dagster to keep."""
        hours = {key_of(hour): value for hour, value in sorted(self.hours.items())}
        return json.dumps({"hours": hours, "requests": self.requests, "next_day": self.next_day})


def memory_of(cursor: str | None) -> Memory:
    """The memory that a cursor holds; no cursor is an empty memory."""
    if not cursor:
        return Memory()
    kept = json.loads(cursor)
    hours = {hour_of(key): value for key, value in kept["hours"].items()}
    return Memory(hours, kept["requests"], kept["next_day"])


@dataclass(frozen=True)
class HourRange:
    """Neighbouring hours to run together.

    `name`: as `range_name` gives it. `fingerprint`: differs whenever the hours are to run again.
    """

    name: str
    fingerprint: str


def window_hours(now: datetime, look_back_hours: int, start: datetime) -> list[datetime]:
    """The hours of the look-back window that are partitions: not before `start`, and over."""
    end = now.replace(minute=0, second=0, microsecond=0)
    hours = (end - back * HOUR for back in range(look_back_hours, 0, -1))
    return [hour for hour in hours if hour >= start]


def hours_due(start: datetime, now: datetime) -> list[datetime]:
    """The hours since the first partition that are over by `now`."""
    end = now.replace(minute=0, second=0, microsecond=0)
    return [start + n * HOUR for n in range(max((end - start) // HOUR, 0))]


def days_from(hours: Iterable[datetime], next_day: str) -> list[list[datetime]]:
    """The hours by day, newest day first, beginning with the day at which the last tick stopped."""
    days: dict[str, list[datetime]] = defaultdict(list)
    for hour in hours:
        days[f"{hour:%Y-%m-%d}"].append(hour)
    order = sorted(days, reverse=True)
    at = order.index(next_day) if next_day in order else 0
    return [days[day] for day in order[at:] + order[:at]]


def files_fingerprint(files: Iterable[LandingFile]) -> str:
    """Names, sizes and ETags of one source's readable files of an hour, as the ledger has it."""
    return fingerprint(*(f"{file.path} {file.size} {file.etag}" for file in files))


def hour_fingerprint(files: Iterable[LandingFile], sources: Sources) -> str:
    """Fingerprint of an hour's readable files over all sources; NO_FILES if there is none."""
    listed = list(files)
    by_folder: dict[str, list[LandingFile]] = defaultdict(list)
    for file in listed:
        if file.is_readable:
            by_folder[file.folder].append(file)
    by_source: dict[str, list[LandingFile]] = defaultdict(list)
    for folder, found in sorted(by_folder.items()):
        by_source[sources.source_of_folder(folder)] += sorted(found, key=lambda file: file.path)
    closed = closed_sources(listed, sources)
    return _over_sources(
        {
            key: files_fingerprint(group) + (CLOSED_MARK if key in closed else "")
            for key, group in by_source.items()
        }
    )


def feeds_fingerprint(files: Iterable[LandingFile], sources: Mapping[str, Sequence[str]]) -> str:
    """The same of feeds' files; `sources` has those that share each folder."""
    by_folder: dict[str, list[LandingFile]] = defaultdict(list)
    for file in files:
        by_folder[file.folder].append(file)
    return _over_sources(
        {
            source: files_fingerprint(sorted(found, key=lambda file: file.path))
            for folder, found in by_folder.items()
            for source in sources[folder]
        }
    )


def read_fingerprints(
    ledger: pl.DataFrame, kinds: Collection[Kind] = TELEMETRY
) -> dict[datetime, str]:
    """The same fingerprint, per hour, of the files that sources of these kinds were read from,
    from rows of `hour_ledger`.

    An hour that failed, or was read but never decoded, is absent: its files still wait.
    """
    columns = ("p_ingest_date_utc", "p_ingest_hour_utc", "status", "rows", "source", "fingerprint")
    hours: dict[datetime, dict[str, str]] = defaultdict(dict)
    unfinished = set()
    of_kinds = ledger.filter(pl.col("kind").fill_null("telemetry").is_in(sorted(kinds)))
    for day, number, status, rows, source, value in of_kinds.select(columns).iter_rows():
        hour = hour_of(f"{day:%Y-%m-%d}-{number:02d}:00")
        if status != "processed" or rows is None:
            unfinished.add(hour)
        hours[hour] |= {source: value} if value else {}
    return {hour: _over_sources(found) for hour, found in hours.items() if hour not in unfinished}


def as_they_were_read(
    files: Mapping[datetime, Sequence[LandingFile]],
    ledger: pl.DataFrame,
    overwriting: Collection[str],
) -> set[datetime]:
    """The hours of which every file listed is one that was read, as it is; that others are gone
    is no reason to read anything.

    `files`: the readable ones of each hour; `ledger`: rows of `file_ledger` of these hours, of
    the kind that is looked at. An hour without such rows is none of them. Of sources that
    `overwriting` names a file that is gone while others are there matters, too.
    """
    listed = pl.DataFrame(
        [(hour, f.path, f.identity) for hour, found in files.items() for f in found],
        {"hour": pl.Datetime("us", "UTC"), "path": pl.String, "identity_now": pl.String},
        orient="row",
    )
    day, number = (pl.col(name) for name in INGEST_HOUR)
    hour = day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=number)
    known = ledger.filter(pl.col("state").is_in((*CURRENT, REFUSED))).select(
        "source", "path", "identity", "state", hour=hour
    )
    joined = listed.join(known, on=["hour", "path"], how="left")
    unread = joined.filter(pl.col("identity_now").ne_missing(pl.col("identity")))["hour"]
    left = known.filter(pl.col("state") == "read", pl.col("source").is_in(sorted(overwriting)))
    overwritten = left.join(listed, on=["hour", "path"], how="anti").join(
        joined, on=["hour", "source"], how="semi"
    )["hour"]
    return (set(ledger.select(hour)["p_ingest_date_utc"]) & set(files)) - {*unread, *overwritten}


def newly_closed(
    files: Mapping[datetime, Sequence[LandingFile]], ledger: pl.DataFrame, sources: Sources
) -> set[datetime]:
    """The hours that a source has closed since they were read; `ledger`: of `hour_ledger`."""
    rows = ledger.filter(pl.col("is_closed").fill_null(value=False))
    closed = {
        (datetime(day.year, day.month, day.day, number, tzinfo=UTC), source)
        for day, number, source in rows.select(*INGEST_HOUR, "source").iter_rows()
    }
    return {
        hour
        for hour, found in files.items()
        if any((hour, source) not in closed for source in closed_sources(found, sources))
    }


def hours_that_ran(ledger: pl.DataFrame) -> set[datetime]:
    """The hours in which any source was read and decoded, from rows of `hour_ledger`."""
    ran = ledger.filter((pl.col("status") == "processed") & pl.col("rows").is_not_null())
    columns = ran.select("p_ingest_date_utc", "p_ingest_hour_utc").unique()
    return {hour_of(f"{day:%Y-%m-%d}-{number:02d}:00") for day, number in columns.iter_rows()}


def _over_sources(by_source: Mapping[str, str]) -> str:
    if not by_source:
        return NO_FILES
    return fingerprint(*(text for pair in sorted(by_source.items()) for text in pair))


def changed_hours(memory: Memory, found: Mapping[datetime, str]) -> list[datetime]:
    """The hours whose files are others than the memory says, in order."""
    return sorted(
        hour for hour, value in found.items() if value != memory.hours.get(hour, NO_FILES)
    )


def requested(
    memory: Memory, found: Mapping[datetime, str], read: Mapping[datetime, str]
) -> list[HourRange]:
    """The ranges to run: changed hours whose files are not, as they are, what was read already.

    `found`: fingerprints as listed now; `read`: as `read_fingerprints` gives them.
    """
    # Files that are gone are no reason to run an hour: it holds what they held.
    hours = [
        hour
        for hour in changed_hours(memory, found)
        if found[hour] not in (NO_FILES, read.get(hour))
    ]
    ranges = []
    for first, last in fold_ranges(hours):
        inside = [hour for hour in hours if first <= hour <= last]
        before = [memory.hours.get(hour, read.get(hour, NO_FILES)) for hour in inside]
        mark = fingerprint(str(memory.requests), *before, *(found[hour] for hour in inside))
        ranges.append(HourRange(range_name(first, last), mark))
    return ranges


def remembered(
    memory: Memory,
    found: Mapping[datetime, str],
    window: Sequence[datetime],
    ranges: Sequence[HourRange],
    next_day: str,
) -> Memory:
    """The memory after a tick: what was found, what was not listed this time, nothing older."""
    hours = {hour: value for hour, value in memory.hours.items() if hour in set(window)}
    hours |= found
    kept = {hour: value for hour, value in hours.items() if value != NO_FILES}
    return Memory(kept, memory.requests + bool(ranges), next_day)


def split_ranges(hours: Sequence[datetime], longest: timedelta) -> list[tuple[datetime, datetime]]:
    """Neighbouring hours as (first, last) ranges, none longer than `longest`."""
    ranges = []
    for first, last in fold_ranges(hours):
        while last - first >= longest:
            ranges.append((first, first + longest - HOUR))
            first += longest
        ranges.append((first, last))
    return ranges
